"""An edge with its gateway and twin host, and a cloud that stands in for it, on a real link."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from tests.bus.sites import EDGE, EDGE_GROUP, HUB, TwoSites

from metertwin.bus.credentials import Role
from metertwin.bus.messages import Request, decode_event
from metertwin.bus.publish import Publisher
from metertwin.bus.requests import ask
from metertwin.bus.server import BusServer
from metertwin.bus.subjects import EVENT_STREAM, Kind, of_group, subject
from metertwin.bus.tail import StreamTail
from metertwin.bus.wire import encode_readings
from metertwin.core.batch import ReadingBatch
from metertwin.core.clock import ManualClock
from metertwin.core.errors import DeadlineError, UnavailableError
from metertwin.core.event import Event
from metertwin.core.ids import MeterId
from metertwin.twins.host import TwinHost
from metertwin.twins.settings import GroupSettings, TwinHostSettings
from metertwin.twins.stand_in import StandIn, StandInSettings

HOME, DIALYSIS = MeterId("a"), MeterId("b")
GROUP = GroupSettings(id=EDGE_GROUP, meters=(HOME, DIALYSIS), protected_meters=(DIALYSIS,))
Answer = TypeVar("Answer")


@dataclass
class EdgeAndCloud:
    sites: TwoSites
    clock: ManualClock
    make_batch: Callable[..., ReadingBatch]

    async def publish(self, *runs: tuple[str, int, list[tuple[int, int, float]]]) -> None:
        batch = replace(self.make_batch(*runs), group=EDGE_GROUP)
        gateway = await self.sites.connect(self.sites.edge, Role.GATEWAY)
        async with Publisher(gateway) as publisher:
            identity = f"{[(run[0], run[1]) for run in runs]}"
            to = subject(EDGE_GROUP, Kind.READING)
            await publisher.publish(to, encode_readings(batch), identity)

    @contextlib.asynccontextmanager
    async def edge_host(self) -> AsyncIterator[TwinHost]:
        settings = TwinHostSettings(name="edge1-twin-host", groups=(GROUP,))
        bus = await self.sites.connect(self.sites.edge, Role.TWIN_HOST)
        async with Publisher(bus) as publisher:
            host = TwinHost(settings, bus, self.clock, publisher)
            async with running(host.run()):
                await self.until(lambda: self._is_told(self.ask_owner(self.sites.edge, "host")))
                yield host

    @contextlib.asynccontextmanager
    async def stand_in(self) -> AsyncIterator[StandIn]:
        here = await self.sites.connect(self.sites.hub, Role.TWIN_HOST)
        there = await self.sites.connect(self.sites.hub, Role.TWIN_HOST, EDGE)
        settings = StandInSettings(HUB, EDGE, (GROUP,), checkpoint_every_s=0.1)
        stand_in = StandIn(settings, here, there, self.clock)
        try:
            async with running(stand_in.run()):
                await self.until(lambda: self._is_told(self.ask_stand_in("standing")))
                yield stand_in
        except ExceptionGroup:
            if not here.nc.is_closed:
                raise

    @staticmethod
    async def kill(stand_in: StandIn) -> None:
        """Take its connections away, as if it were killed: nothing more of it is written."""
        for bus in (stand_in.here, stand_in.there):
            await bus.nc.close()

    async def ask_owner(
        self,
        server: BusServer,
        name: str,
        meter: str = "_",
        arguments: Any = None,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401 - plain values
        """Ask the group's host from the client's place at a site."""
        client = await self.sites.connect(server, Role.CLIENT)
        to = subject(EDGE_GROUP, Kind.REQUEST, meter)
        return await ask(client, to, Request(name, arguments or {}), 2.0, object)

    async def ask_stand_in(
        self,
        name: str,
        meter: str = "_",
        reply_type: type[Answer] | None = None,
        arguments: dict[str, object] | None = None,
        max_age_s: float | None = None,
    ) -> Any:  # noqa: ANN401 - plain values, or the reply type
        client = await self.sites.connect(self.sites.hub, Role.API)
        to = subject(EDGE_GROUP, Kind.LAST_KNOWN, meter)
        request = Request(name, arguments or {}, max_age_s)
        return await ask(client, to, request, 5.0, reply_type or object)

    async def until(self, said: Callable[[], Awaitable[bool]], within_s: float = 20.0) -> None:
        """Return when a question is answered with something true; nobody there is not yet."""
        async with asyncio.timeout(within_s):
            while True:
                with contextlib.suppress(UnavailableError, DeadlineError):
                    if await said():
                        return
                await asyncio.sleep(0.01)

    @staticmethod
    async def _is_told(asked: Awaitable[object]) -> bool:
        await asked
        return True

    async def until_stand_in_received(self, count: int) -> None:
        async def received() -> bool:
            lines = await self.ask_stand_in("ledger")
            return bool(sum(line["received"] for line in lines) >= count)

        await self.until(received)

    async def until_reached(self, *, is_reached: bool) -> None:
        async def stands_so() -> bool:
            return bool((await self.ask_stand_in("standing"))["is_reached"] is is_reached)

        await self.until(stands_so)

    async def events(self, server: BusServer) -> list[Event]:
        """Return the events a site keeps."""
        recorder = await self.sites.connect(server, Role.RECORDER)
        tail = StreamTail(recorder, EVENT_STREAM, subjects=[of_group(EDGE_GROUP, Kind.EVENT)])
        events = [decode_event(m.data) async for messages in tail.until_now() for m in messages]
        await tail.close()
        return events


@contextlib.asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
