"""Publishing to streams: many in flight, each again until the server says that it is stored.

Each message carries an id by which the server recognises a repetition. When the connection was
lost, everything not yet acknowledged is sent again in its order, before anything new.
"""

import asyncio
import contextlib
from types import TracebackType
from typing import NamedTuple, Self

import nats.errors
import structlog
from nats.aio.subscription import Subscription

from metertwin.bus.client import header_fields
from metertwin.bus.connection import Bus
from metertwin.core.errors import InvalidInputError, MeterTwinError, UnavailableError

_ACK_WITHIN_S = 5.0
_CHECK_S = 0.25

log = structlog.get_logger(__name__)


class _Message(NamedTuple):
    subject: str
    data: bytes
    headers: dict[str, str]


class Publisher:
    """Publishes to streams, in order, at least once, and by the server's memory of ids only once.

    Use it as `async with Publisher(bus) as publisher`; the end waits for what is in flight.

    Args:
        bus: The connection, of a role that may publish the subjects.
        window_count: Messages that may be un-acknowledged; above, `publish` waits.
        window_bytes: Bytes that may be un-acknowledged; above, `publish` waits.
    """

    def __init__(
        self, bus: Bus, window_count: int = 2_000, window_bytes: int = 32 * 1024 * 1024
    ) -> None:
        self.acked_count = 0
        self.resent_count = 0
        self._bus = bus
        self._window_count = window_count
        self._window_bytes = window_bytes
        self._inbox = ""
        self._unacked: dict[int, _Message] = {}  # by number, in order
        self._unacked_bytes = 0
        self._last_number = 0
        self._sent_number = 0
        self._round = 0  # grows when sending begins again
        self._seen_disconnects = bus.disconnect_count
        self._is_sending = False
        self._was_rejected = False
        self._has_room = asyncio.Event()
        self._failure: MeterTwinError | None = None
        self._subscription: Subscription | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def unacked_count(self) -> int:
        """Messages not yet known to be stored."""
        return len(self._unacked)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                await self.flush()
        finally:
            await self.close()

    async def open(self) -> None:
        """Begin."""
        self._inbox = self._bus.nc.new_inbox()
        self._subscription = await self._bus.nc.subscribe_raw(f"{self._inbox}.*", self._on_ack)
        self._keeper = asyncio.create_task(self._keep(), name=f"publisher of {self._bus.name}")

    async def publish(self, subject: str, data: bytes, message_id: str) -> None:
        """Take a message; waits only while the window is full.

        Args:
            subject: Where; a subject of a stream.
            data: What.
            message_id: The same id is one message, however often it is sent.

        Raises:
            InvalidInputError: The message exceeds what one message carries.
            RefusedError: This role may not publish there (told at a later call).
            UnavailableError: The connection was closed.
        """
        if len(data) > self._bus.nc.max_payload:
            raise InvalidInputError(
                f"A message at {subject} has {len(data)} bytes; one carries "
                f"{self._bus.nc.max_payload}.",
                subject=subject,
            )
        while self._is_full(len(data)):
            await self._wait_for_room()
        if self._failure is not None:
            raise self._failure
        self._last_number += 1
        self._unacked[self._last_number] = _Message(subject, data, {"Nats-Msg-Id": message_id})
        self._unacked_bytes += len(data)
        await self._send()

    async def flush(self) -> None:
        """Return when everything taken so far is stored; waits for an absent server.

        Raises:
            RefusedError: This role may not publish one of the subjects.
            UnavailableError: The connection was closed.
        """
        last_number = self._last_number
        while next(iter(self._unacked), last_number + 1) <= last_number:
            await self._wait_for_room()
        if self._failure is not None:
            raise self._failure

    async def close(self) -> None:
        """Stop; what is not acknowledged may or may not be stored."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        if self._subscription is not None:
            await self._bus.nc.unsubscribe_raw(self._subscription)
        self._subscription = None

    def _is_full(self, added_bytes: int) -> bool:
        return bool(self._unacked) and (
            len(self._unacked) >= self._window_count
            or self._unacked_bytes + added_bytes > self._window_bytes
        )

    async def _wait_for_room(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._has_room.clear()
        await self._has_room.wait()

    async def _send(self) -> None:
        """Send what was not sent in this round, in order; one task at a time."""
        if self._is_sending:
            return
        self._is_sending = True
        try:
            while self._sent_number < self._last_number and self._may_send():
                number, in_round = self._sent_number + 1, self._round
                message = self._unacked.get(number)
                if message is not None:
                    reply = f"{self._inbox}.{number}"
                    await self._bus.nc.publish(
                        message.subject, message.data, reply, message.headers
                    )
                if in_round == self._round:
                    self._sent_number = number
        except nats.errors.Error as error:
            # The keeper sends again when the connection is back.
            log.debug("publish_interrupted", name=self._bus.name, reason=str(error))
        finally:
            self._is_sending = False

    def _may_send(self) -> bool:
        return self._bus.is_connected and self._bus.disconnect_count == self._seen_disconnects

    def _on_ack(self, subject: bytes, _reply: bytes, data: bytes, headers: bytes | None) -> None:
        number = int(subject.rpartition(b".")[2])
        if b'"error"' in data or not data:
            # Not stored: no stream (yet), or its disk is full. The keeper sends it again.
            reason = data.decode(errors="replace") or header_fields(headers).get("Status", "")
            log.warning("not_stored", reason=reason)
            self._was_rejected = True
            return
        stored = self._unacked.pop(number, None)
        if stored is not None:
            self._unacked_bytes -= len(stored.data)
            self.acked_count += 1
            self._has_room.set()

    async def _keep(self) -> None:
        """Send again after a lost connection, and what stays un-acknowledged for too long."""
        loop = asyncio.get_running_loop()
        oldest, since_s = 0, loop.time()
        while True:
            await asyncio.sleep(_CHECK_S)
            self._notice_failure()
            if next(iter(self._unacked), 0) != oldest:
                oldest, since_s = next(iter(self._unacked), 0), loop.time()
            is_overdue = bool(oldest) and loop.time() > since_s + _ACK_WITHIN_S
            if self._bus.disconnect_count != self._seen_disconnects:
                await self._bus.wait_connected()
                self._seen_disconnects = self._bus.disconnect_count
            elif not (is_overdue or self._was_rejected):
                continue
            since_s = loop.time()
            await self._send_again()

    async def _send_again(self) -> None:
        self._was_rejected = False
        self._round += 1
        self._sent_number = next(iter(self._unacked), self._last_number + 1) - 1
        self.resent_count += len(self._unacked)
        if self._unacked:
            log.info("sending_again", name=self._bus.name, messages_count=len(self._unacked))
        await self._send()

    def _notice_failure(self) -> None:
        if self._bus.nc.is_closed:
            self._failure = UnavailableError(
                f"The connection {self._bus.name} was closed with {len(self._unacked)} messages "
                "not known to be stored."
            )
        for message in self._unacked.values() if self._bus.refused else ():
            self._failure = self._failure or self._bus.refusal(message.subject)
        if self._failure is not None:
            self._has_room.set()
