"""A bus in one container and twins in others, on the engine that answers: for benchmarks."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from benchmarks.twins import GROUP_SIZE, batch_of
from metertwin.bus.connection import Bus, connect
from metertwin.bus.credentials import Role, ensure_seeds, seed_path
from metertwin.bus.messages import Request
from metertwin.bus.publish import Publisher
from metertwin.bus.requests import ask
from metertwin.bus.server import free_port
from metertwin.bus.subjects import Kind, subject
from metertwin.bus.wire import encode_readings
from metertwin.core.errors import UnavailableError
from metertwin.core.ids import GroupId, MeterId, SiteId
from metertwin.core.twin import TwinDocument, TwinStatus
from metertwin.fleet.local.containers import Containers, Part
from metertwin.fleet.local.launch import LocalSite
from metertwin.fleet.local.ports import port_of
from metertwin.fleet.roles import BUS, TWIN_HOST
from metertwin.fleet.site import SITE_VERSION, SiteSettings, save_private, save_site
from metertwin.fleet.state import StateDirectory
from metertwin.twins.settings import GroupSettings

NETWORK = "site"
WITHIN_S = 60.0
LOOK_S = 0.01


@dataclass(frozen=True, slots=True)
class Memory:
    """What one container takes, in bytes."""

    engine_bytes: int
    pss_bytes: int
    shim_bytes: int


@dataclass(slots=True)
class ContainerSite:
    """A bus in its container, and twins in others."""

    containers: Containers
    state: StateDirectory
    settings: SiteSettings
    client: Bus
    gateway: Bus

    def part(self, name: str, groups: tuple[GroupSettings, ...]) -> Part:
        """Return a twin host of its own site, furnished."""
        home = self.state.part(name)
        home.make()
        home.bus_seeds.mkdir(mode=0o700)
        seed = seed_path(self.state.bus_seeds, Role.TWIN_HOST)
        save_private(home.bus_seeds / seed.name, seed.read_bytes())
        bus_url = f"nats://{self.containers.host_of(BUS)}:{port_of(self.settings.bus_url)}"
        own = msgspec.structs.replace(
            self.settings, site=SiteId(name), groups=groups, bus_url=bus_url
        )
        save_site(home.site_file, own)
        argv = ("run", TWIN_HOST, "--state", str(home.root.resolve()))
        return Part(name, argv, home.root, networks=(NETWORK,))

    async def fill(self, groups: tuple[GroupSettings, ...]) -> None:
        """Publish a reading of every register of every meter."""
        async with Publisher(self.gateway) as publisher:
            for group in groups:
                readings = encode_readings(batch_of(group.id, list(group.meters), 0))
                await publisher.publish(subject(group.id, Kind.READING), readings, group.id)

    async def until_answer(self, group: GroupSettings, *, is_filled: bool = False) -> None:
        """Return when the group's last twin answers, with its readings if it is to have them."""
        to = subject(group.id, Kind.REQUEST, group.meters[-1])
        async with asyncio.timeout(WITHIN_S):
            while True:
                with contextlib.suppress(UnavailableError):
                    twin = await ask(self.client, to, Request("twin"), WITHIN_S, TwinDocument)
                    if not is_filled or twin.status is not TwinStatus.WAITING:
                        return
                await asyncio.sleep(LOOK_S)

    async def run_filled(self, name: str, twins_count: int) -> None:
        """Run a container whose twins have all their readings."""
        groups = groups_of(name, twins_count)
        await self.fill(groups)
        await self.containers.start(self.part(name, groups))
        for group in groups:
            await self.until_answer(group, is_filled=True)

    async def remove(self, name: str) -> None:
        """Remove a part's container."""
        await self.containers.runtime.remove(self.containers.host_of(name))

    async def memory(self, name: str) -> Memory:
        """Return what a part's container takes."""
        full_name = self.containers.host_of(name)
        pid = (await self.containers.status(name)).pid
        assert pid is not None
        used = await self.containers.runtime.usage(full_name)
        return Memory(used.memory_bytes, pss_of(pid), pss_of(psutil.Process(pid).ppid()))


@contextlib.asynccontextmanager
async def container_site(containers: Containers, root: Path) -> AsyncIterator[ContainerSite]:
    """Yield a site whose bus runs in a container; whoever made the containers removes them."""
    state = StateDirectory(root)
    state.make()
    ensure_seeds(state.bus_seeds)
    url = f"nats://127.0.0.1:{free_port()}"
    settings = SiteSettings(version=SITE_VERSION, site=SiteId("bench"), bus_url=url, groups=())
    await LocalSite(state, settings, containers, lambda _: None).start_role(BUS)
    client = await connect(url, seed_path(state.bus_seeds, Role.CLIENT), "bench", WITHIN_S)
    gateway = await connect(url, seed_path(state.bus_seeds, Role.GATEWAY), "fill", WITHIN_S)
    try:
        yield ContainerSite(containers, state, settings, client, gateway)
    finally:
        await client.close()
        await gateway.close()


def groups_of(name: str, twins_count: int) -> tuple[GroupSettings, ...]:
    """Return groups of at most `GROUP_SIZE` twins."""
    meters = [MeterId(f"{name}-m{number}") for number in range(twins_count)]
    return tuple(
        GroupSettings(id=GroupId(f"{name}-g{start}"), meters=tuple(meters[start:][:GROUP_SIZE]))
        for start in range(0, twins_count, GROUP_SIZE)
    )


def pss_of(pid: int) -> int:
    """Return a process's proportional set, what it shares by how many share it; 0 if unreadable."""
    try:
        return int(psutil.Process(pid).memory_full_info().pss)
    except psutil.AccessDenied:
        return 0  # another user's: the engine's containers are root's
