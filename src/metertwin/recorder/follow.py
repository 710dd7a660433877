"""A stream followed: the next messages are read and decoded while the last are being written."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from metertwin.bus.tail import Delivered
from metertwin.recorder.counters import Counters
from metertwin.recorder.settings import RecorderSettings
from metertwin.store.harvest import Harvest

_READING_BYTES = 28  # of one reading's columns on the wire
_IDLE_S = 1.0  # a fetch returns so often when there is nothing


class Tail(Protocol):
    """What gives messages in order: `bus.tail.StreamTail`."""

    async def fetch(self, max_messages: int, timeout_s: float) -> list[Delivered]:
        """Return the next messages, none when `timeout_s` passed without any."""
        ...


@dataclass(slots=True)
class Follower:
    """Follows one stream.

    Args:
        tail: Where messages come from.
        intake: Makes a harvest of messages; called in the order of the stream.
        record: Makes a harvest durable.
        settings: How much goes into one harvest.
        counters: Counts the messages.
    """

    tail: Tail
    intake: Callable[[Sequence[Delivered]], Harvest]
    record: Callable[[Harvest], Awaitable[None]]
    settings: RecorderSettings
    counters: Counters
    is_stopping: bool = field(default=False, init=False)
    _message_bytes: float = field(default=8_192.0, init=False)  # mean of the last harvest

    async def run(self) -> None:
        """Follow until an error, until cancelled, or soon after `is_stopping` was set."""
        under_way: asyncio.Task[None] | None = None
        try:
            while not self.is_stopping:
                messages = await self._gather()
                if not messages:
                    if under_way is not None and under_way.done():
                        await under_way  # says so if the store is broken
                    continue
                self.counters.message_count += len(messages)
                harvest = self.intake(messages)
                if under_way is not None:
                    await under_way
                under_way = asyncio.create_task(self._write(harvest))
        finally:
            if under_way is not None:
                under_way.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await under_way

    async def _write(self, harvest: Harvest) -> None:
        await self.record(harvest)

    async def _gather(self) -> list[Delivered]:
        """Return messages for one harvest: enough of them, or those of a moment."""
        loop = asyncio.get_running_loop()
        room_bytes = self.settings.harvest_rows * _READING_BYTES
        gathered = await self.tail.fetch(self._most(room_bytes, 0), _IDLE_S)
        if not gathered:
            return gathered
        until_s = loop.time() + self.settings.harvest_s
        gathered_bytes = _size(gathered)
        while gathered_bytes < room_bytes and len(gathered) < self.settings.harvest_messages:
            most = self._most(room_bytes - gathered_bytes, len(gathered))
            more = await self.tail.fetch(most, max(until_s - loop.time(), 0.0))
            gathered += more
            gathered_bytes += _size(more)
            if not more or loop.time() >= until_s:
                break
        self._message_bytes = gathered_bytes / len(gathered)
        return gathered

    def _most(self, room_bytes: int, gathered_count: int) -> int:
        by_bytes = int(room_bytes / self._message_bytes) + 1
        return max(1, min(by_bytes, self.settings.harvest_messages - gathered_count))


def _size(messages: Sequence[Delivered]) -> int:
    return sum([len(message.data) + 1 for message in messages])
