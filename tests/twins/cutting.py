"""A group that is cut otherwise while it lives: hosts in this process, ordered over a real bus."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import msgspec
from tests.twins.hosting import Site

from metertwin.bus.credentials import Role
from metertwin.bus.cuts import Cuts
from metertwin.bus.ownership import current_holder, twins_key
from metertwin.bus.publish import Publisher
from metertwin.bus.requests import Service, serve
from metertwin.bus.subjects import of_host
from metertwin.core.ids import Lot, LotId, MeterId, SiteId
from metertwin.fleet.hosts import berth_for
from metertwin.fleet.moves.migration import Mover
from metertwin.fleet.moves.recut import Recut, Recutter
from metertwin.twins.control import HostControl
from metertwin.twins.host import TwinHost
from metertwin.twins.hosted import HostedGroup
from metertwin.twins.settings import AppGrant, GroupSettings, TwinHostSettings

METERS = tuple(map(MeterId, "abcde"))


class OrdererDied(Exception):  # noqa: N818 - a death is no error of the program
    """Whoever ordered it is gone."""


@dataclass
class RunningHost:
    """A twin host at work."""

    engine: TwinHost
    task: asyncio.Task[None]
    publisher: Publisher
    orders: Service

    async def end(self) -> None:
        await self.orders.stop()
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        await self.publisher.close()


@dataclass
class CutBench:
    """A group, its hosts, and who cuts it.

    Attributes:
        size: Most twins in a container, as last ordered.
        hosts: By name.
    """

    site: Site
    apps: tuple[AppGrant, ...] = ()
    meters: tuple[MeterId, ...] = METERS
    size: int = 0
    hosts: dict[str, RunningHost] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    @property
    def place(self) -> SiteId:
        return SiteId(f"site-{self.site.group}")

    def settings(self, size: int) -> GroupSettings:
        return GroupSettings(self.site.group, self.meters, apps=self.apps, twins_per_container=size)

    async def start(self, name: str, *groups: GroupSettings) -> RunningHost:
        settings = TwinHostSettings(name=name, groups=groups, checkpoint_every_s=0.05)
        bus = await self.site.connect(Role.TWIN_HOST)
        publisher = Publisher(bus)
        await publisher.open()
        engine = TwinHost(settings, bus, self.site.clock, publisher)
        control = HostControl(name, [engine])
        orders = await serve(bus, of_host(self.place, name), name, control.handlers())
        task = asyncio.create_task(engine.run())
        self.hosts[name] = RunningHost(engine, task, publisher, orders)
        return self.hosts[name]

    async def begin(self, size: int) -> None:
        """Start the group, cut so."""
        self.size = size
        for lot in self.settings(size).shares():
            await self.start(berth_for(self.place, lot.lot).hosts[0], lot)
        await self.until_served(size)

    async def cut(self, size: int, say: Callable[[str], None] | None = None) -> Recut:
        """Cut the group otherwise, by an orderer of its own."""
        fleet = await self.site.connect(Role.FLEET)
        await Cuts(fleet, self.site.group).note(self.size)
        hosts = {}
        for lot in self.settings(size).shares():
            first, second = berth_for(self.place, lot.lot).hosts
            name = second if await current_holder(fleet, twins_key(lot.lot)) == first else first
            hosts[lot.lot] = name
            if name not in self.hosts:
                await self.start(name, lot)
        mover = Mover(fleet, fleet, (self.place,), say or self.told.append)
        try:
            done = await Recutter(mover).recut(self.settings(self.size), self.settings(size), hosts)
        finally:
            await fleet.close()
        self.size = size
        return done

    async def until_served(self, size: int) -> None:
        """Return when each lot of a cut is served, by its owner alone."""
        async with asyncio.timeout(20):
            while await self.acting() != {each.lot for each in self.settings(size).shares()}:  # noqa: ASYNC110 - the product's
                await asyncio.sleep(0.02)

    async def acting(self) -> set[Lot]:
        """Return the lots that are acted for; no lot, and no meter, is acted for twice."""
        all_hosted = self.all_hosted()
        lots = [hosted.lot for hosted in all_hosted]
        meters = [meter for each in all_hosted for meter in each.group.columns.meters]
        assert len(set(lots)) == len(lots)
        assert len(set(meters)) == len(meters)
        return {*lots}

    def all_hosted(self) -> list[HostedGroup]:
        """Return all lots that hosts act for, the first share first."""
        engines = [host.engine for host in self.hosts.values()]
        found = [hosted for engine in engines for hosted in engine.hosted.values()]
        return sorted(found, key=lambda each: each.group.settings.share)

    def host_of(self, lot: str) -> TwinHost:
        """Return the host that acts for a lot."""
        return next(host.engine for host in self.hosts.values() if LotId(lot) in host.engine.hosted)

    def counted(self) -> dict[str, object]:
        """Return what the counting app knows, of all lots."""
        known: dict[str, object] = {}
        for hosted in self.all_hosted():
            state = msgspec.json.decode(hosted.apps.apps[0].at_work().save())
            known |= {"limit_wh": state["limit_wh"], **dict(state["energy"])}
        return known


@contextlib.asynccontextmanager
async def cut_bench(
    site: Site, apps: tuple[AppGrant, ...] = (), meters: tuple[MeterId, ...] = METERS
) -> AsyncIterator[CutBench]:
    bench = CutBench(site, apps, meters)
    try:
        yield bench
    finally:
        for host in bench.hosts.values():
            await host.end()
