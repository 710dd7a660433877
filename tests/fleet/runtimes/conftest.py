"""A runtime of each kind, and what a test of one needs."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.fleet.runtimes.engines import SHELL, TINY, make_tiny_image, socket_of

from metertwin.fleet.runtimes.docker.runtime import DockerRuntime
from metertwin.fleet.runtimes.port import ContainerStatus, EventKind, Runtime, RuntimeEvent
from metertwin.fleet.runtimes.process.runtime import ProcessRuntime
from metertwin.fleet.runtimes.spec import ContainerSpec

WITHIN_S = 15.0
LABEL = "io.metertwin.test"

_numbers = itertools.count(1)


@dataclass
class Bench:
    """One runtime under test, as controllers of it see it.

    Args:
        connect: Makes a further runtime of the same place, as a controller started again would.
    """

    kind: str
    runtime: Runtime
    connect: Callable[[], Awaitable[Runtime]]
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    prefix: str = field(default_factory=lambda: f"mt-test-{next(_numbers)}")

    def spec(self, script: str, name: str = "a", **more: Any) -> ContainerSpec:  # noqa: ANN401
        labels = {LABEL: self.prefix, **more.pop("labels", {})}
        return ContainerSpec(
            name=f"{self.prefix}-{name}",
            image=TINY,
            argv=(*SHELL, script),
            labels=labels,
            **more,
        )

    async def start(self, script: str, name: str = "a", **more: Any) -> ContainerStatus:  # noqa: ANN401
        return await self.runtime.start(self.spec(script, name, **more))

    async def event(self, kind: EventKind, name: str = "a", count: int = 1) -> RuntimeEvent:
        """Return the n-th event of a kind since the test began."""
        async with asyncio.timeout(WITHIN_S):
            async for event in self.runtime.events(self.began_at):
                if (event.name, event.kind) == (f"{self.prefix}-{name}", kind):
                    count -= 1
                    if count == 0:
                        return event
        raise AssertionError("events end only with an error")

    async def until(
        self, is_so: Callable[[ContainerStatus], bool], name: str = "a"
    ) -> ContainerStatus:
        """Return the status once it is as wished."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                status = await self.runtime.status(f"{self.prefix}-{name}")
                if is_so(status):
                    return status
                await asyncio.sleep(0.02)

    async def said(self, word: str, name: str = "a") -> str:
        """Return the log once a word is in it."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                log = await self.runtime.logs(f"{self.prefix}-{name}")
                if word in log:
                    return log
                await asyncio.sleep(0.02)

    async def clear(self) -> None:
        for status in await self.runtime.containers({LABEL: self.prefix}):
            await self.runtime.remove(status.name)


@pytest.fixture(scope="session")
def tiny_image(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the socket of an engine that has the tiny image."""
    sockets: dict[str, Path] = {}

    async def ready(kind: str) -> Path:
        socket = await socket_of(kind)
        await make_tiny_image(socket, tmp_path_factory.mktemp(kind))
        return socket

    def socket_with_image(kind: str) -> Path:
        if kind not in sockets:
            sockets[kind] = asyncio.run(ready(kind))
        return sockets[kind]

    return socket_with_image


@pytest.fixture(params=["docker", "podman"])
def engine_socket(request: pytest.FixtureRequest, tiny_image: Callable[[str], Path]) -> Path:
    """The socket of each engine, which has the tiny image."""
    return tiny_image(request.param)


@pytest.fixture(params=["process", "docker", "podman"])
def place(
    request: pytest.FixtureRequest, tiny_image: Callable[[str], Path], tmp_path: Path
) -> tuple[str, Path]:
    """Where a runtime of each kind is."""
    kind: str = request.param
    return kind, tmp_path if kind == "process" else tiny_image(kind)


@pytest.fixture
async def bench(place: tuple[str, Path]) -> AsyncIterator[Bench]:
    kind, where = place
    opened: list[Runtime] = []

    async def connect() -> Runtime:
        opened.append(await _connect(kind, where))
        return opened[-1]

    bench = Bench(kind, await connect(), connect)
    try:
        yield bench
    finally:
        await bench.clear()
        for runtime in opened:
            await runtime.close()


async def _connect(kind: str, where: Path) -> Runtime:
    if kind != "process":
        return await DockerRuntime.connect(where)
    runtime = ProcessRuntime(where)
    await runtime.add_image(TINY, ())
    return runtime
