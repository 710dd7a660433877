"""The twin host as a process: one engine for the site's own groups, one for each edge's.

In a cloud it also stands in for the hosts of its edges while they cannot be reached.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING

from metertwin.bus.connection import Bus, connect
from metertwin.bus.credentials import Role, seed_path
from metertwin.bus.publish import Publisher
from metertwin.bus.requests import serve
from metertwin.bus.subjects import of_host
from metertwin.cli.roles.session import Session, session, until_stopped
from metertwin.core.ids import LotId
from metertwin.fleet.hosts import host_name
from metertwin.fleet.site import EdgeSettings, SiteSettings
from metertwin.fleet.state import StateDirectory
from metertwin.twins.control import HostControl
from metertwin.twins.host import TwinHost
from metertwin.twins.settings import GroupSettings, TwinHostSettings

if TYPE_CHECKING:
    from metertwin.twins.stand_in import StandIn


async def run(state: StateDirectory, stop: asyncio.Event) -> None:
    """Host the site's groups, and those of edges handed over to it, until `stop` is set."""
    async with session(state, Role.TWIN_HOST) as here, contextlib.AsyncExitStack() as stack:
        share = LotId(here.site.host_share) if here.site.host_share else None
        name = host_name(here.site.site, here.site.host_number, share)
        groups = _hosted(here.site, here.site.groups)
        # A second host takes what it is given and nothing else.
        own = TwinHostSettings(name=name, groups=groups)
        if here.site.host_number != 1:
            own = TwinHostSettings(name=name, groups=(), guests=groups)
        stand_ins = []
        engines = []
        if share is None or groups:
            engines.append(await stack.enter_async_context(_engine(here, here.bus, own)))
        for edge in here.site.edges:
            bus = await stack.enter_async_context(_domain(state, here, edge))
            guests = _hosted(here.site, edge.groups)
            if share is not None and not guests:
                continue  # another site's share
            settings = TwinHostSettings(name=name, groups=(), guests=guests)
            engines.append(await stack.enter_async_context(_engine(here, bus, settings)))
            if share is None:  # one stands in for all
                stand_ins.append(_stand_in(here, bus, edge))
        control = HostControl(name, engines)
        await serve(here.bus, of_host(here.site.site, name), name, control.handlers())
        await until_stopped(_run_all([*engines, *stand_ins]), stop)


def _hosted(site: SiteSettings, groups: Iterable[GroupSettings]) -> tuple[GroupSettings, ...]:
    """Return what of these groups this host may have: those that lie whole, or its one share."""
    lots = (share for group in site.with_apps(groups) for share in group.shares())
    if site.host_share:
        return tuple(each for each in lots if each.lot == site.host_share)
    return tuple(each for each in lots if not each.share)


@contextlib.asynccontextmanager
async def _engine(here: Session, bus: Bus, settings: TwinHostSettings) -> AsyncIterator[TwinHost]:
    async with Publisher(bus) as publisher:
        yield TwinHost(settings, bus, here.clock, publisher)


@contextlib.asynccontextmanager
async def _domain(state: StateDirectory, here: Session, edge: EdgeSettings) -> AsyncIterator[Bus]:
    seed = seed_path(state.bus_seeds, Role.TWIN_HOST)
    name = f"{here.site.site}-{Role.TWIN_HOST}-at-{edge.site}"
    bus = await connect(here.site.bus_url, seed, name, domain=edge.site)
    try:
        yield bus
    finally:
        await bus.close()


def _stand_in(here: Session, bus: Bus, edge: EdgeSettings) -> "StandIn":
    # Imported where it is needed: the hosts of edges stand in for nobody, and start without it.
    from metertwin.twins.stand_in import StandIn, StandInSettings  # noqa: PLC0415

    settings = StandInSettings(here.site.site, edge.site, edge.groups)
    return StandIn(settings, here.bus, bus, here.clock)


async def _run_all(engines: "list[TwinHost | StandIn]") -> None:
    async with asyncio.TaskGroup() as tasks:
        for engine in engines:
            tasks.create_task(engine.run())
