"""A link between sites that can be cut: a relay of its own on the way from an edge to its hub.

It plays the partition in demonstrations and tests. A cut ends the connections there are and takes
no new ones, as a router without its uplink; a silent cut lets them stand and passes nothing, as a
router that lost its route, which either end notices only by its own patience.
"""

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path

import msgspec
import structlog

from metertwin.core.errors import InvalidInputError, UnavailableError

_CHUNK_BYTES = 64 * 1024
_LOOK_S = 0.05
LOOPBACK = "127.0.0.1"

log = structlog.get_logger(__name__)


class LinkError(UnavailableError):
    """The link cannot be laid."""

    code = "fleet.link"


class LinkStateError(InvalidInputError):
    """The file that says how a link shall be says something else."""

    code = "input.link_state"


class LinkState(StrEnum):
    """How a link is."""

    WHOLE = "whole"
    CUT = "cut"
    SILENT = "silent"


class LinkSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A link that runs as a part of its own; see `Link`."""

    port: int
    to_port: int
    listen_host: str = LOOPBACK
    to_host: str = LOOPBACK


@dataclass(slots=True)
class Link:
    """A relay.

    Args:
        port: Where it listens.
        to_port: Where it connects to.
        listen_host: Address to listen on.
        to_host: Host to connect to.
    """

    port: int
    to_port: int
    listen_host: str = LOOPBACK
    to_host: str = LOOPBACK
    state: LinkState = LinkState.WHOLE
    _server: asyncio.Server | None = None
    _relays: set[asyncio.Task[None]] = field(default_factory=set)
    _may_pass: asyncio.Event = field(default_factory=asyncio.Event)
    _is_closed: bool = False

    async def open(self) -> None:
        """Begin to relay.

        Raises:
            LinkError: The port is taken.
        """
        self._may_pass.set()
        try:
            self._server = await asyncio.start_server(self._take, self.listen_host, self.port)
        except OSError as error:
            raise LinkError(
                f"A link cannot listen on {self.listen_host}:{self.port}: {error.strerror}.",
                port=self.port,
            ) from error

    async def set(self, state: LinkState) -> None:
        """Cut, silence or restore the link."""
        self.state = state
        if state is LinkState.SILENT:
            self._may_pass.clear()
            return
        # Restored after a silence, what was under way is lost all the same: its ends have begun
        # to wait, and a stream that goes on after minutes as if nothing were is no network's way.
        await self._end_relays()
        self._may_pass.set()

    async def close(self) -> None:
        """End it."""
        self._is_closed = True
        if self._server is not None:
            self._server.close()
        await self._end_relays()

    async def _end_relays(self) -> None:
        for relay in self._relays:
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.state is LinkState.CUT or self._is_closed:
            writer.transport.abort()
            return
        relay = asyncio.create_task(self._relay(reader, writer))
        self._relays.add(relay)
        # Not in the task itself: it may be cancelled before it begins.
        relay.add_done_callback(partial(self._forget, writer))

    def _forget(self, writer: asyncio.StreamWriter, relay: asyncio.Task[None]) -> None:
        self._relays.discard(relay)
        writer.transport.abort()
        log.debug("link_ended", port=self.port)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(self.to_host, self.to_port)
        except OSError:  # nobody is there: its other end is told by the end of this one
            return
        ways = [
            asyncio.create_task(self._pass(reader, far_writer)),
            asyncio.create_task(self._pass(far_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            far_writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK_BYTES):
            await self._may_pass.wait()
            writer.write(chunk)
            await writer.drain()


async def obey(link: Link, file: Path) -> None:
    """Keep a link as a file says, until cancelled; no file means whole."""
    while True:
        state = wanted_state(file)
        if state is not link.state:
            log.info("link_changes", port=link.port, state=state)
            await link.set(state)
        await asyncio.sleep(_LOOK_S)


def wanted_state(file: Path) -> LinkState:
    """Return how a link shall be.

    Raises:
        LinkStateError: The file says something else.
    """
    try:
        text = file.read_text().strip()
        return LinkState(text)
    except FileNotFoundError:
        return LinkState.WHOLE
    except ValueError:
        raise LinkStateError(
            f"Link file {file} says {text[:32]!r}; it says {', '.join(LinkState)}.",
            path=str(file),
        ) from None
    except OSError as error:
        raise LinkStateError(
            f"Link file {file} cannot be read: {error.strerror}.", path=str(file)
        ) from error
