"""The recorder as a process."""

import asyncio

from metertwin.bus.credentials import Role
from metertwin.cli.roles.session import session, until_stopped
from metertwin.fleet.state import StateDirectory
from metertwin.recorder.run import open_history, run_recorder
from metertwin.recorder.settings import RecorderSettings


async def run(state: StateDirectory, stop: asyncio.Event) -> None:
    """Record the site's streams until `stop` is set."""
    async with session(state, Role.RECORDER) as here:
        groups = [group.id for group in here.site.all_groups]
        settings = RecorderSettings(name=f"{here.site.site}-recorder", groups=groups)
        store = await open_history(state.history_file, settings)
        try:
            await until_stopped(run_recorder(settings, here.bus, store, here.clock), stop)
        finally:
            store.close()
