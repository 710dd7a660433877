"""The fleet as a process: in a cloud with edges it keeps their streams coming."""

import asyncio

from metertwin.bus.credentials import Role
from metertwin.bus.sourcing import Sourcing
from metertwin.cli.roles.session import session, until_stopped
from metertwin.fleet.state import StateDirectory


async def run(state: StateDirectory, stop: asyncio.Event) -> None:
    """Look after the cloud's edges until `stop` is set."""
    async with session(state, Role.FLEET) as here:
        await until_stopped(Sourcing(here.bus, here.site.place).run(), stop)
