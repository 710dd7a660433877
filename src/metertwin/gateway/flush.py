"""From the queue to the stream: one numbered batch after the other, each durable before the next.

A batch counts as published when the stream has confirmed it, and only then does the gateway's
progress move. So at any moment the progress is exactly what the stream holds, and a checkpoint can
be taken at any moment.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field

from metertwin.bus.connection import Bus
from metertwin.bus.ending import end_if_told
from metertwin.bus.subjects import Kind, subject
from metertwin.bus.wire import encode_readings
from metertwin.core.batch import ReadingBatch
from metertwin.gateway.durable import publish_until_stored
from metertwin.gateway.metrics import GatewayMetrics
from metertwin.gateway.pending import NumberedBatch, PendingReadings, Piece
from metertwin.gateway.progress import GroupProgress


@dataclass(slots=True)
class Flusher:
    """Publishes what is pending.

    Attributes:
        flush_s: Longest time a reading waits for others to travel with, in s.
        readings_count: Readings that make a message travel at once.
        room_count: Readings pending above which `wait_for_room` waits.
    """

    bus: Bus
    pending: PendingReadings
    progress: GroupProgress
    metrics: GatewayMetrics
    flush_s: float
    readings_count: int
    room_count: int
    _published: int = 0
    _in_flight: NumberedBatch | None = None
    _urgent: asyncio.Event = field(default_factory=asyncio.Event)
    _flushed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def run(self) -> None:
        """Publish for ever."""
        while True:
            await self.pending.filled.wait()
            if len(self.pending) < self.readings_count:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.flush_s):
                        await self._urgent.wait()
            self._urgent.clear()
            await self.flush()
            end_if_told()

    async def flush(self) -> None:
        """Publish everything pending now."""
        while (numbered := self._next()) is not None:
            batch, pieces = numbered
            await self.publish(batch)
            self._in_flight = None
            last_numbers = (batch.first_sequences + batch.counts - 1).tolist()
            for piece, last_number in zip(pieces, last_numbers, strict=True):
                piece.last_number = last_number
            async with self._flushed:
                self._flushed.notify_all()

    def _next(self) -> NumberedBatch | None:
        # A batch whose publishing was cancelled may be in the stream or not; publishing it again,
        # the same under the same identity, is the only way not to give its numbers twice.
        if self._in_flight is None:
            self._in_flight = self.pending.take_batch(self.progress, self.readings_count)
        return self._in_flight

    async def publish(self, batch: ReadingBatch) -> int:
        """Publish a batch and count it; return its number in the stream."""
        to = subject(batch.group, Kind.READING)
        identity = f"{batch.group}:{batch.epoch}:{self._published}"
        sequence = await publish_until_stored(self.bus, to, encode_readings(batch), identity)
        self._published += 1
        self.progress.take(batch, sequence)
        self.metrics.messages_count += 1
        return sequence

    async def published(self, piece: Piece) -> int:
        """Return the number of a queued piece's last reading when the stream has it."""
        if not len(piece):
            return self.progress.of(piece.meter).number
        self._urgent.set()
        async with self._flushed:
            await self._flushed.wait_for(lambda: piece.last_number > 0)
        return piece.last_number

    async def wait_for_room(self) -> None:
        """Return when few enough readings are pending to take more."""
        if len(self.pending) >= self.room_count:
            async with self._flushed:
                await self._flushed.wait_for(lambda: len(self.pending) < self.room_count)
