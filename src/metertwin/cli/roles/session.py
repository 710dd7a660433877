"""What every role does first and last: read the site, connect, end when it is asked to."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass

from metertwin.bus.connection import Bus, connect
from metertwin.bus.credentials import Role, seed_path
from metertwin.core.clock import Clock
from metertwin.fleet.site import SiteSettings, load_site, site_clock
from metertwin.fleet.state import StateDirectory

_FIRST_CONNECTION_WITHIN_S = 60.0
_CANCEL_AGAIN_S = 6.0


@dataclass(frozen=True, slots=True)
class Session:
    """A role's surroundings."""

    site: SiteSettings
    clock: Clock
    bus: Bus


@contextlib.asynccontextmanager
async def session(state: StateDirectory, role: Role) -> AsyncIterator[Session]:
    """Read the site file and connect to the bus as `role`, for as long as the block runs."""
    site = load_site(state.site_file)
    seed = seed_path(state.bus_seeds, role)
    bus = await connect(site.bus_url, seed, f"{site.site}-{role}", _FIRST_CONNECTION_WITHIN_S)
    try:
        yield Session(site, site_clock(site), bus)
    finally:
        await bus.close()


async def until_stopped(work: Coroutine[object, object, None], stop: asyncio.Event) -> None:
    """Run `work`; when `stop` is set first, cancel it and wait until it has put things in order."""
    task = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    while not task.done():
        task.cancel()
        # Said again if it was swallowed on the way; not so soon that it disturbs the last writes.
        await asyncio.wait({task}, timeout=_CANCEL_AGAIN_S)
    with contextlib.suppress(asyncio.CancelledError):
        try:
            await task
        except ExceptionGroup as group:
            raise _first(group) from group


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """Return the first error itself: whoever reads the log asks why, not in which task."""
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
