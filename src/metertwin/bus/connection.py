"""A role's connection to the bus: found again for ever once it was there.

Nothing is buffered while the server is away: a request then fails at once, and the `Publisher`
keeps its own messages. What the client library had not yet handed to the socket when the server
went is dropped as well, because sent later it would overtake what is sent again.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats.errors
import structlog
from nats.aio.client import Server as KnownServer
from nats.js import JetStreamContext

from metertwin.bus.client import RawClient
from metertwin.bus.credentials import inbox_prefix, public_key
from metertwin.bus.domain import DomainContext, stream_api_of
from metertwin.bus.place import ALONE_DOMAIN
from metertwin.bus.replies import Replies
from metertwin.core.errors import InvalidInputError, RefusedError, UnavailableError

_CONNECT_TIMEOUT_S = 2
_PING_INTERVAL_S = 5  # a server that hangs is given up after two unanswered pings
_JETSTREAM_TIMEOUT_S = 5.0
_SHORTEST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_FIRST_PAUSE_S = 0.05
_MOST_WAITING_BYTES = 1024 * 1024

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Bus:
    """One connection.

    Attributes:
        nc: The NATS client, for live messages and requests.
        js: Its JetStream context, for streams and buckets.
        name: Who connects, as the server's log shows it.
        url: Where the server is.
        domain: Whose streams and buckets `js` reaches; empty for those of the server itself.
        replies: Answers to what is asked over it; `requests.ask` asks.
        disconnect_count: How often the connection was lost.
        refused: What the server refused: its reason by subject, in small letters as the library
            hands them on.
        on_lost: Called when the connection is lost.
    """

    nc: RawClient
    js: JetStreamContext
    name: str
    url: str
    replies: Replies
    domain: str = ALONE_DOMAIN
    disconnect_count: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    on_lost: set[Callable[[], None]] = field(default_factory=set)
    _is_closing: bool = False
    _is_beginning: bool = True  # until the first connection stands or has failed
    _is_up: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def stream_api(self) -> str:
        """What subjects of the stream interface begin with."""
        return stream_api_of(self.domain)

    @property
    def is_connected(self) -> bool:
        """Whether the server is there at this moment."""
        return self._is_up.is_set()

    async def wait_connected(self) -> None:
        """Return when the server is there."""
        await self._is_up.wait()

    async def close(self) -> None:
        """Say what is still to be said, and leave."""
        self._is_closing = True
        self._is_up.clear()
        if self.nc.is_connected:
            await self.nc.send_waiting()
        await self.nc.close()

    async def say(self, subject: str, data: bytes) -> bool:
        """Publish a live message, kept nowhere; return False if the bus is away.

        Waits for the socket when much is waiting to be sent.

        Raises:
            InvalidInputError: The message exceeds what one message carries.
        """
        if not self.is_connected:
            return False
        try:
            await self.nc.publish(subject, data)
            if self.nc.pending_data_size > _MOST_WAITING_BYTES:
                await self.nc.send_waiting()
        except nats.errors.MaxPayloadError:
            raise InvalidInputError(
                f"A message at {subject} has {len(data)} bytes; one carries {self.nc.max_payload}.",
                subject=subject,
            ) from None
        except nats.errors.Error:
            return False
        return True

    def refusal(self, subject: str) -> RefusedError | None:
        """Return the error to raise for a subject the server refused, if it did."""
        reason = self.refused.get(subject.lower())
        if reason is None:
            return None
        return RefusedError(
            f"{self.name} may not use {subject} on the bus: {reason}.", subject=subject
        )


async def connect(
    url: str, seed_file: Path, name: str, wait_s: float = 10.0, domain: str = ALONE_DOMAIN
) -> Bus:
    """Connect as the role whose seed this is.

    Args:
        url: nats://host:port.
        seed_file: The role's seed, `<role>.seed`.
        name: Shown in the server's log.
        wait_s: How long to wait for a server that is not there yet, in s.
        domain: Whose streams and buckets are meant: another site's, or the server's own.

    Raises:
        SeedError: The seed is missing, damaged, or readable by others.
        RefusedError: The server does not know the seed.
        UnavailableError: There is no server within `wait_s`.
    """
    public_key(seed_file)
    give_up_s = time.monotonic() + wait_s
    while True:
        client = RawClient()
        stream_context = DomainContext(client, domain, _JETSTREAM_TIMEOUT_S)
        bus = Bus(client, stream_context, name, url, Replies(client), domain)
        try:
            await client.connect(**_options(bus, seed_file))
        except (OSError, nats.errors.Error, TimeoutError) as error:
            bus._is_closing, bus._is_beginning = True, False  # noqa: SLF001 - this module is its life
            await client.close()
            if "authorization" in str(error).lower():
                raise RefusedError(
                    f"The bus at {url} does not know the seed {seed_file}; it was made for another "
                    "site, or after the server was started.",
                    url=url,
                    path=str(seed_file),
                ) from error
            if time.monotonic() > give_up_s:
                raise UnavailableError(
                    f"There is no bus at {url} after {wait_s:g} s: {error}. Is the site running?",
                    url=url,
                ) from error
            await asyncio.sleep(_FIRST_PAUSE_S)
            continue
        bus._is_beginning = False  # noqa: SLF001 - this module is its life
        bus._is_up.set()  # noqa: SLF001
        await bus.replies.open()
        return bus


def _options(bus: Bus, seed_file: Path) -> dict[str, Any]:
    return {
        "servers": [bus.url],
        "name": bus.name,
        "nkeys_seed": str(seed_file),
        "inbox_prefix": inbox_prefix(seed_file),
        "connect_timeout": _CONNECT_TIMEOUT_S,
        "ping_interval": _PING_INTERVAL_S,
        "max_reconnect_attempts": -1,
        "reconnect_to_server_handler": _next_try,
        "pending_size": 0,  # no buffering while disconnected
        "error_cb": _on_error(bus),
        "disconnected_cb": _on_disconnect(bus),
        "reconnected_cb": _on_reconnect(bus),
    }


def _next_try(servers: list[KnownServer], _info: dict[str, Any]) -> tuple[KnownServer, float]:
    """Return the server to try and the pause before it, in s: doubling, spread, bounded."""
    tries = min(servers[0].reconnects, 10)
    pause_s = min(_SHORTEST_PAUSE_S * 2**tries, _LONGEST_PAUSE_S)
    return servers[0], pause_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, no secret


def _on_error(bus: Bus) -> Callable[[Exception], Awaitable[None]]:
    async def on_error(error: Exception) -> None:
        text = str(error)
        if "permissions violation" in text.lower():
            # As in: Permissions Violation for Publish to "mt.g1.reading.m1"
            subject = text.split('"')[1] if text.count('"') >= 2 else text
            bus.refused[subject] = text
            log.error("bus_refused", name=bus.name, subject=subject, reason=text)
        elif bus.is_connected:
            log.warning("bus_error", name=bus.name, reason=text or type(error).__name__)
        elif bus._is_beginning:  # noqa: SLF001
            raise error  # `connect` decides what to do

    return on_error


def _on_disconnect(bus: Bus) -> Callable[[], Awaitable[None]]:
    async def on_disconnect() -> None:
        # A try that found no server was never a connection.
        if bus._is_closing or bus._is_beginning:  # noqa: SLF001 - this module is its life
            return
        bus.disconnect_count += 1
        bus._is_up.clear()  # noqa: SLF001
        # See the module's docstring; the library has no public way to drop them.
        bus.nc._pending.clear()  # noqa: SLF001
        bus.nc._pending_data_size = 0  # noqa: SLF001
        bus.replies.fail_all(nats.errors.StaleConnectionError())
        for listener in tuple(bus.on_lost):
            listener()
        log.warning("bus_lost", name=bus.name, url=bus.url)

    return on_disconnect


def _on_reconnect(bus: Bus) -> Callable[[], Awaitable[None]]:
    async def on_reconnect() -> None:
        bus._is_up.set()  # noqa: SLF001 - this module is its life
        log.info("bus_found_again", name=bus.name, url=bus.url)

    return on_reconnect
