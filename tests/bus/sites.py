"""A hub and an edge of it on this machine, with a link that can be cut."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from metertwin.bus.certificate import CERTIFICATE
from metertwin.bus.connection import Bus, connect
from metertwin.bus.credentials import Role
from metertwin.bus.place import BusPlace, Edge, Uplink, leaf_seed_name
from metertwin.bus.server import BusServer, free_port
from metertwin.bus.streams import ensure_streams
from metertwin.core.ids import GroupId, SiteId
from metertwin.fleet.local.link import Link

HUB, EDGE = SiteId("cloud"), SiteId("edge1")
HUB_GROUP, EDGE_GROUP = GroupId("c1"), GroupId("e1")


@dataclass
class TwoSites:
    hub: BusServer
    edge: BusServer
    link: Link
    _opened: list[Bus] = field(default_factory=list)

    async def connect(self, server: BusServer, role: Role, domain: str = "") -> Bus:
        name = f"test-{role}-{server.place.domain}"
        bus = await connect(server.url, server.seed(role), name, domain=domain)
        self._opened.append(bus)
        return bus

    async def until_linked(self) -> None:
        """Return when the hub reaches the edge's streams."""
        admin = await self.connect(self.hub, Role.TWIN_HOST, domain=EDGE)
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(Exception):
                    await admin.js.stream_info("READINGS")
                    return
                await asyncio.sleep(0.05)

    async def until_stored(self, server: BusServer, stream: str, count: int) -> None:
        """Return when a stream of a site holds so many messages."""
        admin = await self.connect(server, Role.ADMIN)
        async with asyncio.timeout(20):
            while (await admin.js.stream_info(stream)).state.messages < count:  # noqa: ASYNC110 - the server's
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        for bus in self._opened:
            await bus.close()


@contextlib.asynccontextmanager
async def two_sites(root: Path) -> AsyncIterator[TwoSites]:
    """A hub and an edge, linked."""
    leaf_port = free_port()
    link = Link(free_port(), leaf_port)
    await link.open()
    hub_place = BusPlace(
        domain=HUB,
        own_groups=(HUB_GROUP,),
        leaf_port=leaf_port,
        edges=(Edge(EDGE, (EDGE_GROUP,)),),
    )
    hub = BusServer(root / "hub" / "bus", root / "hub" / "seeds", place=hub_place)
    await hub.start()
    seed = root / "hub" / "seeds" / f"{leaf_seed_name(EDGE)}.seed"
    certificate = root / "hub" / "seeds" / CERTIFICATE
    uplink = Uplink(f"nats-leaf://127.0.0.1:{link.port}", seed, certificate)
    edge_place = BusPlace(domain=EDGE, uplink=uplink)
    edge = BusServer(root / "edge" / "bus", root / "edge" / "seeds", place=edge_place)
    await edge.start()
    sites = TwoSites(hub, edge, link)
    try:
        for server in (edge, hub):
            admin = await sites.connect(server, Role.ADMIN)
            await ensure_streams(admin, place=server.place)
        await sites.until_linked()
        yield sites
    finally:
        await sites.close()
        await edge.stop()
        await hub.stop()
        await link.close()
