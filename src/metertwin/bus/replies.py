"""Waiting for answers: one inbox per connection, one future per question.

A question that is under way when the connection goes will not be answered any more; it fails then
and not at its deadline.
"""

import asyncio
from collections.abc import Mapping

import nats.errors

from metertwin.bus.client import RawClient

_NO_RESPONDERS = b"NATS/1.0 503"


class Replies:
    """The answers to a connection's questions."""

    def __init__(self, client: RawClient) -> None:
        self._client = client
        self._inbox = ""
        self._last_number = 0
        self._waiting: dict[int, asyncio.Future[bytes]] = {}

    async def open(self) -> None:
        """Begin to hear answers."""
        self._inbox = self._client.new_inbox()
        await self._client.subscribe_raw(f"{self._inbox}.*", self._on_answer)

    async def ask(
        self, subject: str, data: bytes, headers: Mapping[str, str], within_s: float
    ) -> bytes:
        """Ask and return the answer.

        Raises:
            TimeoutError: There was none within `within_s`.
            nats.errors.NoRespondersError: Nobody subscribes to the subject.
            nats.errors.Error: The connection is away, or went while waiting.
        """
        self._last_number = number = self._last_number + 1
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            reply = f"{self._inbox}.{number}"
            await self._client.publish(subject, data, reply, dict(headers))
            async with asyncio.timeout(within_s):
                return await future
        finally:
            del self._waiting[number]

    def fail_all(self, error: nats.errors.Error) -> None:
        """Fail what is under way: the connection is lost."""
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)

    def _on_answer(self, subject: bytes, _reply: bytes, data: bytes, headers: bytes | None) -> None:
        future = self._waiting.get(int(subject.rpartition(b".")[2]))
        if future is None or future.done():
            return  # too late
        if headers is not None and headers.startswith(_NO_RESPONDERS):
            future.set_exception(nats.errors.NoRespondersError())
        else:
            future.set_result(data)
