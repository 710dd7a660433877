"""The NATS client library with a short cut for those who take messages by the thousand.

The library parses each message's headers, queues it and wakes a task for it, about 25 us in all.
A stream's reader and a publisher's acknowledgements need none of that: their messages are handed
over as they came, in about 5 us.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from nats.aio.client import Client
from nats.aio.subscription import Subscription
from nats.errors import FlushTimeoutError

# Subject, reply subject, data, and the header block or None; called in order, must not wait.
RawListener = Callable[[bytes, bytes, bytes, bytes | None], None]


class RawClient(Client):
    """The library's client; what a raw listener listens to goes around its queues."""

    def __init__(self) -> None:
        super().__init__()
        self._raw_listeners: dict[int, RawListener] = {}

    async def subscribe_raw(
        self, subject: str, listener: RawListener, queue: str = ""
    ) -> Subscription:
        """Subscribe; each message is handed to the listener while it is being read.

        Raises:
            nats.errors.Error: The connection is closed.
        """
        subscription = await self.subscribe(subject, queue)
        # The library keeps no public way from a subscription to its number.
        self._raw_listeners[subscription._id] = listener  # noqa: SLF001
        return subscription

    async def unsubscribe_raw(self, subscription: Subscription) -> None:
        """Stop a raw subscription."""
        self._raw_listeners.pop(subscription._id, None)  # noqa: SLF001
        if not self.is_closed:
            await subscription.unsubscribe()

    async def leave_raw(self, subscription: Subscription) -> None:
        """Stop a raw subscription once everything the server sent to it has been handed over."""
        if not self.is_closed:
            await subscription.unsubscribe()
            if self.is_connected:
                await self.settle()  # what it had sent came before its pong
        self._raw_listeners.pop(subscription._id, None)  # noqa: SLF001

    async def settle(self) -> None:
        """Return when the server has taken everything said before; refusals are known by then.

        The library's own `flush` sends its ping ahead of what waits to be sent.

        Raises:
            nats.errors.Error: The server does not answer.
        """
        await self.send_waiting()
        await self.rtt()

    async def send_waiting(self) -> None:
        """Return when everything said before was handed to the socket."""
        await self._flush_pending(force_flush=True)

    async def _flush_pending(self, force_flush: bool = False) -> Any:  # noqa: FBT001, FBT002, ANN401 - the library's signature
        """Have the waiting octets written, as the library does, but let a cancellation through.

        The library swallows one that comes while it waits here, and the task that was to end
        goes on for ever.
        """
        if not self.is_connected or self._flusher_task is None or self._flusher_task.done():
            return await super()._flush_pending(force_flush=force_flush)
        written = asyncio.get_running_loop().create_future()
        assert self._flush_queue is not None  # it is there as long as the connection is
        await self._flush_queue.put(written)
        if force_flush:
            try:
                await asyncio.wait_for(written, self._flush_timeout)
            except TimeoutError:
                await self._error_cb(FlushTimeoutError())
        return written

    async def _process_pong(self) -> None:
        """Take the server's pong, also one whose waiter was cancelled meanwhile.

        The library stumbles over a cancelled waiter, and its reading of the socket ends for good.
        """
        if self._pongs and self._pongs[0].done():
            self._pongs[0] = asyncio.get_running_loop().create_future()
        await super()._process_pong()

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None
    ) -> None:
        listener = self._raw_listeners.get(sid)
        if listener is None:
            await super()._process_msg(sid, subject, reply, data, headers)  # type: ignore[arg-type] # None is allowed
            return
        try:
            listener(subject, reply, data, headers)
        except Exception as error:  # noqa: BLE001 - told to the error callback; else reading ends
            await self._error_cb(error)


def header_fields(block: bytes | None) -> dict[str, str]:
    r"""Return the fields of a header block; the status line's parts are `Status`, `Description`.

    Example:
        >>> header_fields(b"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 3\r\n\r\n")
        {'Status': '408', 'Description': 'Request Timeout', 'Nats-Pending-Messages': '3'}
    """
    if not block:
        return {}
    first, *lines = block.decode(errors="replace").split("\r\n")
    _, _, status_line = first.partition(" ")
    status, _, description = status_line.strip().partition(" ")
    found = {"Status": status, "Description": description.strip()} if status else {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            found[name.strip()] = value.strip()
    return found
