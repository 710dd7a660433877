"""Live fan-out: what happens on the bus, to many clients, none of which can slow another down.

Each client has a bounded queue. One that reads too slowly loses the oldest of what waits for it
and is told how many it lost, because a stream that silently skips looks exactly like a quiet one.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec

QUEUE_LIMIT = 2_000  # frames waiting per client; about 1 MB
_FRAMES_A_CHUNK = 256
HEARTBEAT_S = 15.0  # proxies close what is silent for 30 s to 60 s
_HEARTBEAT = b": still here\n\n"


@dataclass(frozen=True, slots=True)
class Interest:
    """What a client wants to hear; an empty set means everything.

    Attributes:
        kinds: Names of server-sent events: state, event, outcome, output.
        groups: Groups.
        meters: Meters.
    """

    kinds: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    meters: frozenset[str] = frozenset()

    def covers(self, kind: str, group: str, meter: str) -> bool:
        """Whether a message is wanted."""
        return (
            (not self.kinds or kind in self.kinds)
            and (not self.groups or group in self.groups)
            and (not self.meters or meter in self.meters)
        )


@dataclass(slots=True, eq=False)
class Listener:
    """One client's queue."""

    interest: Interest
    frames: deque[bytes]
    missed_count: int = 0
    has_news: asyncio.Event = field(default_factory=asyncio.Event)
    is_closed: bool = False

    def offer(self, frame: bytes) -> bool:
        """Queue a frame, dropping the oldest of a full queue; say whether all were kept."""
        is_full = len(self.frames) == self.frames.maxlen
        self.missed_count += is_full
        self.frames.append(frame)
        self.has_news.set()
        return not is_full

    def close(self) -> None:
        """End the client's stream once its queue is empty."""
        self.is_closed = True
        self.has_news.set()

    def take(self) -> bytes:
        """Return what waits, at most one chunk, preceded by the count of what was lost."""
        parts: list[bytes] = []
        if self.missed_count:
            # Said first: the lost ones are older than anything that still waits.
            parts.append(server_sent_event("missed", {"missed_count": self.missed_count}))
            self.missed_count = 0
        while self.frames and len(parts) < _FRAMES_A_CHUNK:
            parts.append(self.frames.popleft())
        if not self.frames and not self.is_closed:
            self.has_news.clear()
        return b"".join(parts)


class LiveHub:
    """Hands each live message to the clients that want it.

    Args:
        on_missed: Told of each frame lost to a slow client.
        queue_limit: Frames that may wait per client.
    """

    def __init__(self, on_missed: Callable[[], None], queue_limit: int = QUEUE_LIMIT) -> None:
        self._on_missed = on_missed
        self._queue_limit = queue_limit
        self._listeners: set[Listener] = set()
        self._is_closed = False

    @property
    def listener_count(self) -> int:
        """How many clients listen."""
        return len(self._listeners)

    @contextmanager
    def listening(self, interest: Interest) -> Iterator[Listener]:
        """Register a client for as long as the block runs."""
        listener = Listener(interest, deque(maxlen=self._queue_limit))
        if self._is_closed:
            listener.close()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def wants(self, kind: str, group: str) -> bool:
        """Whether any client may want messages of this kind and group: decode only then."""
        return any(
            (not each.interest.kinds or kind in each.interest.kinds)
            and (not each.interest.groups or group in each.interest.groups)
            for each in self._listeners
        )

    def publish(self, kind: str, group: str, meter: str, content: object) -> None:
        """Offer one message to every client that wants it; encoded once."""
        frame = b""
        for listener in self._listeners:
            if listener.interest.covers(kind, group, meter):
                frame = frame or server_sent_event(kind, content)
                if not listener.offer(frame):
                    self._on_missed()

    def close(self) -> None:
        """End every client's stream, and those of clients yet to come."""
        self._is_closed = True
        for listener in self._listeners:
            listener.close()


def server_sent_event(name: str, content: object) -> bytes:
    r"""Return one frame of a text/event-stream.

    Example:
        >>> server_sent_event("missed", {"missed_count": 3})
        b'event: missed\ndata: {"missed_count":3}\n\n'
    """
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(content))


async def chunks(listener: Listener, heartbeat_s: float = HEARTBEAT_S) -> AsyncIterator[bytes]:
    """Yield what a client is sent, with a comment when nothing happens for `heartbeat_s`."""
    yield _HEARTBEAT  # the headers leave with it: the client knows at once that it listens
    while not listener.is_closed or listener.frames:
        try:
            async with asyncio.timeout(heartbeat_s):
                await listener.has_news.wait()
        except TimeoutError:
            yield _HEARTBEAT
            continue
        if chunk := listener.take():
            yield chunk
