"""A twin host on a real bus, and what surrounds it: for several tests of this folder."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from metertwin.bus.connection import Bus
from metertwin.bus.credentials import Role
from metertwin.bus.messages import Request, decode_event, decode_output
from metertwin.bus.publish import Publisher
from metertwin.bus.requests import ask
from metertwin.bus.subjects import EVENT_STREAM, Kind, of_group, subject
from metertwin.bus.tail import StreamTail
from metertwin.bus.wire import encode_readings
from metertwin.core.batch import ReadingBatch
from metertwin.core.clock import ManualClock
from metertwin.core.errors import UnavailableError
from metertwin.core.event import Event
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.output import AppOutput
from metertwin.core.twin import LedgerLine
from metertwin.twins.host import TwinHost
from metertwin.twins.settings import AppGrant, GroupSettings, TwinHostSettings

Connect = Callable[[Role], Awaitable[Bus]]
MakeBatch = Callable[..., ReadingBatch]
Run = tuple[str, int, list[tuple[int, int, float]]]
Answer = TypeVar("Answer")


@dataclass
class Site:
    """A host's surroundings: the gateway's side, and a client's."""

    group: GroupId
    gateway: Bus
    client: Bus
    clock: ManualClock
    connect: Connect
    make_batch: MakeBatch

    async def publish(self, *runs: Run, epoch: int = 1, received_s: float = 0.0) -> None:
        made = self.make_batch(*runs, epoch=epoch, received_s=received_s)
        batch = replace(made, group=self.group)
        async with Publisher(self.gateway) as publisher:
            identity = f"{self.group}:{epoch}:{[(run[0], run[1]) for run in runs]}"
            await publisher.publish(
                subject(self.group, Kind.READING), encode_readings(batch), identity
            )

    @contextlib.asynccontextmanager
    async def host(
        self, name: str = "host-1", checkpoint_s: float = 60.0, apps: tuple[AppGrant, ...] = ()
    ) -> AsyncIterator[tuple[TwinHost, asyncio.Task[None]]]:
        settings = TwinHostSettings(
            name=name,
            groups=(GroupSettings(id=self.group, meters=(MeterId("a"), MeterId("b")), apps=apps),),
            checkpoint_every_s=checkpoint_s,
        )
        bus = await self.connect(Role.TWIN_HOST)
        async with Publisher(bus) as publisher:
            host = TwinHost(settings, bus, self.clock, publisher)
            task = asyncio.create_task(host.run())
            try:
                await self._until_hosted(task)
                yield host, task
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def ask(
        self,
        name: str,
        meter: str,
        reply_type: type[Answer],
        arguments: dict[str, object] | None = None,
        max_age_s: float | None = None,
    ) -> Answer:
        request = Request(name, arguments or {}, max_age_s)
        to = subject(self.group, Kind.REQUEST, meter)
        return await ask(self.client, to, request, 5.0, reply_type)

    async def ask_history(self, name: str, meter: str, reply_type: type[Answer]) -> Answer:
        """Ask the group's recorder."""
        to = subject(self.group, Kind.HISTORY, meter)
        return await ask(self.client, to, Request(name), 5.0, reply_type)

    async def until_received(self, count: int) -> list[LedgerLine]:
        async with asyncio.timeout(10):
            while True:
                lines: list[LedgerLine] = await self.ask("ledger", "_", list[LedgerLine])
                if sum(line.received for line in lines) >= count:
                    return lines
                await asyncio.sleep(0.01)

    async def _until_hosted(self, task: asyncio.Task[None]) -> None:
        async with asyncio.timeout(10):
            while not task.done():
                with contextlib.suppress(UnavailableError):
                    await self.ask("host", "_", dict)
                    return
                await asyncio.sleep(0.01)
        await task

    async def kept(self) -> tuple[list[AppOutput], list[Event]]:
        """Return the outputs and events of the group that the stream has."""
        recorder = await self.connect(Role.RECORDER)
        subjects = [of_group(self.group, kind) for kind in (Kind.OUTPUT, Kind.EVENT)]
        tail = StreamTail(recorder, EVENT_STREAM, subjects=subjects)
        outputs: list[AppOutput] = []
        events: list[Event] = []
        async for messages in tail.until_now():
            for message in messages:
                if f".{Kind.OUTPUT}." in message.subject:
                    outputs.append(decode_output(message.data))
                else:
                    events.append(decode_event(message.data))
        await tail.close()
        return outputs, events
