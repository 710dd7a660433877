"""The twin host as a process."""

import asyncio

from metertwin.bus.credentials import Role
from metertwin.bus.publish import Publisher
from metertwin.cli.roles.session import session, until_stopped
from metertwin.fleet.state import StateDirectory
from metertwin.twins.host import TwinHost
from metertwin.twins.settings import TwinHostSettings


async def run(state: StateDirectory, stop: asyncio.Event) -> None:
    """Host the site's groups until `stop` is set."""
    async with session(state, Role.TWIN_HOST) as here, Publisher(here.bus) as publisher:
        settings = TwinHostSettings(
            name=f"{here.site.site}-twin-host", groups=here.site.groups_with_apps()
        )
        await until_stopped(TwinHost(settings, here.bus, here.clock, publisher).run(), stop)
