"""One consumer of a stream and what it has delivered and not yet been asked for.

Messages are pulled in batches, the next batch before the last is used up, without
acknowledgements. The server numbers what it delivers; a number left out means that a message was
lost on the way, and then the feed is dead and its owner makes another.
"""

import asyncio
import json
import time
from collections import deque
from typing import NamedTuple

import nats.errors
from nats.aio.subscription import Subscription

from metertwin.bus.client import header_fields
from metertwin.bus.connection import Bus

_PULL_EXPIRES_S = 30
_HEARTBEAT_S = 2
_SILENCE_S = 3 * _HEARTBEAT_S  # three heartbeats missed: the consumer is gone
# Two pulls may wait here, so at most twice this; a message has at most 8 MiB.
_PULL_BYTES = 32 * 1024 * 1024
# Reasons with status 409 that end a pull and not the consumer.
_PULL_OVER = ("batch completed", "exceeds maxbytes")
_NANOSECONDS = 1_000_000_000


class Delivered(NamedTuple):
    """A message of a stream.

    Attributes:
        stream_sequence: Its number in the stream, from 1.
        subject: Where it was published.
        data: What it says.
        header_block: Its headers as they came; `headers` reads them.
    """

    stream_sequence: int
    subject: str
    data: bytes
    header_block: bytes | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Its headers, `Nats-Msg-Id` among them."""
        return header_fields(self.header_block)


class Feed:
    """One pull consumer; dead once anything is wrong with it.

    Args:
        bus: The connection.
        stream: The stream's name.
        consumer: The consumer's name, already made on the server.
        batch_count: Messages pulled at a time.
        pending_count: Messages the stream held for it when it was made.
    """

    def __init__(
        self, bus: Bus, stream: str, consumer: str, batch_count: int, pending_count: int
    ) -> None:
        self.pending_count = pending_count
        self._bus = bus
        self._stream = stream
        self._consumer = consumer
        self._batch_count = batch_count
        self._born_at_disconnect = bus.disconnect_count
        self._inbox = bus.nc.new_inbox()
        self._messages: deque[tuple[bytes, bytes, bytes, bytes | None]] = deque()
        self._has_news = asyncio.Event()
        self._subscription: Subscription | None = None
        self._credit_count = 0  # messages pulled and not yet come
        self._delivered_count = 0
        self._is_broken = False
        self._heard_s = 0.0

    @property
    def is_live(self) -> bool:
        """Whether it can still deliver."""
        return not self._is_broken and self._bus.disconnect_count == self._born_at_disconnect

    async def open(self) -> None:
        """Begin to listen."""
        self._bus.on_lost.add(self._has_news.set)
        self._subscription = await self._bus.nc.subscribe_raw(self._inbox, self._on_message)

    async def close(self) -> None:
        """Stop listening; the server forgets the consumer by itself."""
        self._bus.on_lost.discard(self._has_news.set)
        if self._subscription is not None:
            await self._bus.nc.unsubscribe_raw(self._subscription)
        self._subscription = None

    async def pull(self) -> None:
        """Ask for another batch when less than one is on its way or here."""
        if self._credit_count + len(self._messages) >= self._batch_count or not self.is_live:
            return
        request = {
            "batch": self._batch_count,
            "max_bytes": _PULL_BYTES,
            "expires": _PULL_EXPIRES_S * _NANOSECONDS,
            "idle_heartbeat": _HEARTBEAT_S * _NANOSECONDS,
        }
        self._credit_count += self._batch_count
        self._heard_s = time.monotonic()
        try:
            await self._bus.nc.publish(
                f"{self._bus.stream_api}.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}",
                json.dumps(request).encode(),
                reply=self._inbox,
            )
        except nats.errors.Error:
            self._is_broken = True

    async def wait(self, timeout_s: float) -> bool:
        """Wait for news of any kind; False when `timeout_s` passed."""
        give_up_s = time.monotonic() + timeout_s
        while not self._messages and self.is_live:
            silent_until_s = self._heard_s + _SILENCE_S
            self._has_news.clear()
            try:
                async with asyncio.timeout(min(give_up_s, silent_until_s) - time.monotonic()):
                    await self._has_news.wait()
            except TimeoutError:
                if time.monotonic() >= give_up_s:
                    return False
                self._is_broken = time.monotonic() >= self._heard_s + _SILENCE_S
            if not self._credit_count:
                break  # a pull ran out: the caller pulls again
        return True

    def take(self, max_messages: int) -> list[Delivered]:
        """Return up to `max_messages` of what is here, in order and without a gap."""
        taken: list[Delivered] = []
        messages = self._messages
        delivered_count = self._delivered_count
        for _ in range(min(max_messages, len(messages))):
            subject, reply, data, headers = messages.popleft()
            # $JS.ACK.<stream>.<consumer>.<tries>.<stream seq>.<consumer seq>.<time>.<pending>
            tokens = reply.split(b".")
            if int(tokens[6]) != delivered_count + 1:
                self._is_broken = True
                messages.clear()
                break
            delivered_count += 1
            taken.append(Delivered(int(tokens[5]), subject.decode(), data, headers))
        if taken:
            self.pending_count = int(tokens[8])
        self._delivered_count = delivered_count
        return taken

    def _on_message(self, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        if reply.startswith(b"$JS.ACK."):
            self._messages.append((subject, reply, data, headers))
            self._credit_count -= 1
        else:
            self._on_status(header_fields(headers))
        self._heard_s = time.monotonic()
        self._has_news.set()

    def _on_status(self, headers: dict[str, str]) -> None:
        status, reason = headers.get("Status", ""), headers.get("Description", "").lower()
        if status == "100":
            return  # still there, nothing new
        if status in ("404", "408") or reason.endswith(_PULL_OVER):
            unserved = int(headers.get("Nats-Pending-Messages", self._credit_count))
            self._credit_count = max(self._credit_count - unserved, 0)
            return
        self._is_broken = True  # the consumer is gone, or says something we do not know
