"""The gateway's side of a group: it numbers readings, and carries out each command once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from tests.bus.sites import EDGE_GROUP
from tests.twins.conftest import POWER

from metertwin.bus.connection import Bus
from metertwin.bus.messages import decode_command, encode
from metertwin.bus.ownership import current_epoch, twins_key
from metertwin.bus.publish import Publisher
from metertwin.bus.subjects import COMMAND_STREAM, Kind, of_group, subject
from metertwin.bus.tail import StreamTail
from metertwin.bus.wire import encode_readings
from metertwin.core.batch import ReadingBatch
from metertwin.core.clock import to_us
from metertwin.core.command import Command, CommandOutcome, CommandStatus
from metertwin.core.ids import CommandId, MeterId

METERS = (MeterId("a"), MeterId("b"))
BEGIN = datetime(2026, 6, 1, 12, tzinfo=UTC)


@dataclass
class StreetGateway:
    """What a gateway does, without meters.

    Attributes:
        sent_count: Readings of each meter so far; they are numbered from 1.
        effected: Commands carried out, as often as they were.
        refused: Commands that carried another epoch than the owner's.
    """

    bus: Bus
    publisher: Publisher
    sent_count: int = 0
    effected: list[CommandId] = field(default_factory=list)
    refused: list[CommandId] = field(default_factory=list)
    _done: dict[CommandId, CommandOutcome] = field(default_factory=dict)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, bus: Bus) -> AsyncIterator["StreetGateway"]:
        async with Publisher(bus) as publisher:
            street = cls(bus, publisher)
            working = asyncio.create_task(street.carry_out_commands())
            try:
                yield street
            finally:
                working.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await working

    async def publish(self, readings_count: int = 3) -> None:
        """Publish the next readings of every meter, durably."""
        first, total = self.sent_count + 1, readings_count * len(METERS)
        numbers = np.tile(np.arange(first, first + readings_count, dtype=np.int64), len(METERS))
        batch = ReadingBatch(
            group=EDGE_GROUP,
            epoch=1,
            meters=list(METERS),
            first_sequences=np.full(len(METERS), first, dtype=np.int64),
            counts=np.full(len(METERS), readings_count, dtype=np.uint32),
            registers=(POWER,),
            register_index=np.zeros(total, dtype=np.uint16),
            integers=numbers,
            captured_at_us=to_us(BEGIN) + numbers * 1_000_000,
            received_at_us=to_us(BEGIN) + numbers * 1_000_000,
            quality=np.zeros(total, dtype=np.uint8),
            origin=np.zeros(total, dtype=np.uint8),
        )
        batch.check()
        self.sent_count += readings_count
        to = subject(EDGE_GROUP, Kind.READING)
        await self.publisher.publish(to, encode_readings(batch), f"readings-{first}")
        await self.publisher.flush()

    async def carry_out_commands(self) -> None:
        """Follow the group's commands as `gateway.commands` does: by id once, by epoch or not."""
        tail = StreamTail(self.bus, COMMAND_STREAM, subjects=[of_group(EDGE_GROUP, Kind.COMMAND)])
        try:
            while True:
                for message in await tail.fetch(100, 0.5):
                    await self._carry_out(decode_command(message.data))
        finally:
            await tail.close()

    async def _carry_out(self, command: Command) -> None:
        if command.id not in self._done:
            is_owners = command.epoch == await current_epoch(self.bus, twins_key(EDGE_GROUP))
            (self.effected if is_owners else self.refused).append(command.id)
            status = CommandStatus.EFFECTED if is_owners else CommandStatus.REFUSED
            self._done[command.id] = CommandOutcome(command.id, command.meter, status, BEGIN)
        outcome = self._done[command.id]
        to = subject(EDGE_GROUP, Kind.OUTCOME, command.meter)
        await self.publisher.publish(to, encode(outcome), f"{command.id}:{outcome.status}")
