"""What several packages' tests share: a real bus."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from metertwin.bus.connection import Bus, connect
from metertwin.bus.credentials import Role
from metertwin.bus.server import BusServer
from metertwin.bus.streams import ensure_streams
from metertwin.core.ids import GroupId

Connect = Callable[[Role], Awaitable[Bus]]

_group_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def bus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BusServer]:
    """A real server with all roles' seeds and all streams, shared by the whole run."""
    root: Path = tmp_path_factory.mktemp("site")
    server = BusServer(root / "bus", root / "secrets" / "bus")
    asyncio.run(_start(server))
    yield server
    asyncio.run(server.stop())


@pytest.fixture
async def connect_as(bus_server: BusServer) -> AsyncIterator[Connect]:
    """Connect as a role; closed when the test ends."""
    opened: list[Bus] = []

    async def connect_one(role: Role) -> Bus:
        opened.append(await connect(bus_server.url, bus_server.seed(role), f"test-{role}"))
        return opened[-1]

    yield connect_one
    for bus in opened:
        await bus.close()


@pytest.fixture
def group() -> GroupId:
    """A group no other test uses: tests share the server, never a group."""
    return GroupId(f"g{next(_group_numbers)}")


async def _start(server: BusServer) -> None:
    await server.start()
    bus = await connect(server.url, server.seed(Role.ADMIN), "test-admin")
    await ensure_streams(bus)
    await bus.close()
