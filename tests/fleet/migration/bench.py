"""A group at an edge, a host there and one in the cloud, on real servers in one process.

Each host reaches its server over a relay of its own. So it can be killed, without a goodbye and
without a last checkpoint, or stand still while the world goes on.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from tests.bus.sites import EDGE, EDGE_GROUP, HUB, TwoSites, two_sites
from tests.fleet.migration.gateway import METERS, StreetGateway

from metertwin.bus.connection import Bus, connect
from metertwin.bus.credentials import Role
from metertwin.bus.ownership import Held, look_up, twins_key
from metertwin.bus.publish import Publisher
from metertwin.bus.requests import serve
from metertwin.bus.server import BusServer, free_port
from metertwin.bus.subjects import of_host
from metertwin.core.clock import Clock, ScaledClock
from metertwin.core.ids import SiteId
from metertwin.fleet.hosts import host_name
from metertwin.fleet.local.link import Link, LinkState
from metertwin.fleet.moves.migration import Migration, Mover
from metertwin.twins.control import HostControl
from metertwin.twins.host import TwinHost
from metertwin.twins.settings import GroupSettings, TwinHostSettings

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SITES = (HUB, EDGE)
GROUP = GroupSettings(id=EDGE_GROUP, meters=METERS)


def clock_at(ahead: timedelta = timedelta(0)) -> Clock:
    """Return a clock that goes right and is ahead, or behind, of noon."""
    return ScaledClock(NOON + ahead, asyncio.get_running_loop().time(), 1.0)


@dataclass
class RunningHost:
    """A twin host at work."""

    engine: TwinHost
    relay: Link
    bus: Bus
    publisher: Publisher
    task: asyncio.Task[None]

    async def kill(self) -> None:
        """End it as a power cut does: nothing more is said or written."""
        await self.relay.close()
        self.relay.state = LinkState.CUT
        await self._end()

    async def stop(self) -> None:
        """End it in good order."""
        await self._end()
        await self.relay.close()

    async def _end(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        await self.publisher.close()
        await self.bus.close()


@dataclass
class Bench:
    """Everything around a migration."""

    sites: TwoSites
    street: StreetGateway
    clocks: dict[SiteId, Clock]
    hosts: dict[SiteId, RunningHost] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def server(self, site: SiteId) -> BusServer:
        return self.sites.hub if site == HUB else self.sites.edge

    async def start(self, site: SiteId) -> RunningHost:
        """Start the site's host, as a process with its name would."""
        host = await self.start_beside(site)
        self.hosts[site] = host
        return host

    async def start_beside(self, site: SiteId) -> RunningHost:
        server = self.server(site)
        parts = urlsplit(server.url)
        assert parts.port is not None
        relay = Link(free_port(), parts.port)
        await relay.open()
        domain = EDGE if site == HUB else ""
        url, seed = f"nats://127.0.0.1:{relay.port}", server.seed(Role.TWIN_HOST)
        bus = await connect(url, seed, f"{site}-twin-host", domain=domain)
        publisher = Publisher(bus)
        await publisher.open()
        settings = TwinHostSettings(
            name=host_name(site),
            groups=(GROUP,) if site == EDGE else (),
            guests=(GROUP,) if site == HUB else (),
            checkpoint_every_s=0.5,
        )
        engine = TwinHost(settings, bus, self.clocks[site], publisher)
        control = HostControl(settings.name, [engine])
        await serve(bus, of_host(site, settings.name), settings.name, control.handlers())
        return RunningHost(engine, relay, bus, publisher, asyncio.create_task(engine.run()))

    async def kill(self, site: SiteId) -> None:
        await self.hosts.pop(site).kill()

    @contextlib.asynccontextmanager
    async def mover(self) -> AsyncIterator[Mover]:
        """A mover with connections of its own, as the command line has."""
        server = self.sites.hub
        seed = server.seed(Role.FLEET)
        cloud = await connect(server.url, seed, "mover")
        at_home = await connect(server.url, seed, "mover-at-home", domain=EDGE)
        try:
            yield Mover(cloud, at_home, SITES, self.told.append)
        finally:
            await cloud.close()
            await at_home.close()

    async def move(self, to: SiteId) -> Migration | None:
        """Move the group, by a mover of its own."""
        async with self.mover() as mover:
            return await mover.move(EDGE_GROUP, to)

    async def claim(self) -> Held:
        """Return the claim as the group's home has it, whatever the link does."""
        held = await look_up(self.street.bus, twins_key(EDGE_GROUP))
        assert held is not None
        return held

    def acting(self) -> list[SiteId]:
        """Return the sites whose host acts for the group."""
        return [site for site, host in self.hosts.items() if EDGE_GROUP in host.engine.hosted]

    async def until_settled(self, within_s: float = 90.0) -> SiteId:
        """Return the owner once it has taken what it was given and acts alone."""
        async with asyncio.timeout(within_s):
            while (owner := await self._settled()) is None:  # noqa: ASYNC110 - the product's
                await asyncio.sleep(0.02)
        return owner

    async def _settled(self) -> SiteId | None:
        acting = self.acting()
        if len(acting) != 1:
            return None
        hosted = self.hosts[acting[0]].engine.hosted[EDGE_GROUP]
        claim = await self.claim()
        is_owned = (claim.holder, claim.epoch) == (host_name(acting[0]), hosted.epoch)
        is_settled = is_owned and not claim.is_given and self.acting() == acting
        return acting[0] if is_settled else None


@contextlib.asynccontextmanager
async def bench(
    root: Path, ahead: timedelta = timedelta(0), *, begin: bool = True
) -> AsyncIterator[Bench]:
    """A group at its home edge, owned by the edge's host.

    Args:
        root: Where the servers keep their files.
        ahead: How far the cloud's clock is ahead of the edge's.
        begin: Whether both hosts are started.
    """
    async with two_sites(root) as sites, contextlib.AsyncExitStack() as stack:
        gateway = await sites.connect(sites.edge, Role.GATEWAY)
        street = await stack.enter_async_context(StreetGateway.open(gateway))
        made = Bench(sites, street, {EDGE: clock_at(), HUB: clock_at(ahead)})
        try:
            if begin:
                await made.start(EDGE)
                await made.start(HUB)
                await made.until_settled()
            yield made
        finally:
            for host in made.hosts.values():
                await host.stop()
