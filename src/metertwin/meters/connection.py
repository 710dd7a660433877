"""One TCP connection to a meter: a question goes out, one APDU comes back, or a clear error.

After any error the connection is finished: a late answer to an earlier question must never be taken
for the answer to a later one. Ten thousand of these live in one process, so each is one protocol
object without a stream reader's buffers.
"""

import asyncio
from collections import deque
from typing import cast

from metertwin.cosem.errors import FrameError
from metertwin.meters.entry import MeterEntry
from metertwin.meters.errors import LinkBrokenError, MeterSilentError, MeterUnreachableError
from metertwin.meters.framing import ClientFraming, framing_of

_REPEATS_COUNT = 3  # within one answer's time limit, where the framing repeats at all


class MeterConnection(asyncio.Protocol):
    """A connection to one meter; made by `connect`.

    Args:
        entry: The meter, for the sentences of errors.
        framing: What stands around an APDU.
    """

    __slots__ = ("_apdus", "_entry", "_failure", "_framing", "_transport", "_waiter")

    def __init__(self, entry: MeterEntry, framing: ClientFraming) -> None:
        self._entry = entry
        self._framing = framing
        self._apdus: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._failure: Exception | None = None

    @classmethod
    async def connect(cls, entry: MeterEntry, timeout_s: float) -> "MeterConnection":
        """Return an open connection, ready for the first APDU.

        Raises:
            MeterUnreachableError: Nobody accepts the connection.
            MeterSilentError: The connection or HDLC's greeting is not answered in time.
            LinkBrokenError: The greeting is answered by something else.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                _, connection = await loop.create_connection(
                    lambda: cls(entry, framing_of(entry)), entry.host, entry.port
                )
        except TimeoutError as error:
            raise MeterUnreachableError(
                f"Meter {entry.id} at {entry.host}:{entry.port} did not accept a connection within "
                f"{timeout_s:g} s; check address, power and network.",
                meter=entry.id,
            ) from error
        except OSError as error:
            raise MeterUnreachableError(
                f"Meter {entry.id} at {entry.host}:{entry.port} cannot be reached: "
                f"{error.strerror or error}.",
                meter=entry.id,
            ) from error
        await connection.greet(timeout_s)
        return connection

    @property
    def is_open(self) -> bool:
        """Whether another question may be asked."""
        return self._transport is not None and self._failure is None

    async def ask(self, apdu: bytes, timeout_s: float) -> bytes:
        """Send an APDU and return the one that comes back.

        Raises:
            MeterSilentError: None came in time.
            LinkBrokenError: The connection ended, or what came is no frame.
        """
        self._write(self._framing.wrap(apdu))
        await self._wait(timeout_s, for_apdu=True)
        return self._apdus.popleft()

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            if self._failure is None and (farewell := self._framing.farewell()):
                self._transport.write(farewell)
            self._transport.close()
            self._transport = None

    async def greet(self, timeout_s: float) -> None:
        """Exchange what the framing needs before the first APDU; called by `connect`."""
        greeting = self._framing.greeting()
        if greeting:
            self._write(greeting)
            try:
                await self._wait(timeout_s, for_apdu=False)
            except BaseException:
                self.close()
                raise

    def _write(self, octets: bytes) -> None:
        if self._failure is not None:
            raise self._broken(self._failure)
        if self._transport is None:
            raise LinkBrokenError(
                f"The connection to meter {self._entry.id} is closed.", meter=self._entry.id
            )
        self._transport.write(octets)

    async def _wait(self, timeout_s: float, *, for_apdu: bool) -> None:
        for _ in range(_REPEATS_COUNT):
            repeated = False
            try:
                async with asyncio.timeout(timeout_s / _REPEATS_COUNT):
                    while not (self._apdus if for_apdu else self._framing.is_ready):
                        if self._failure is not None:
                            raise self._broken(self._failure)
                        self._waiter = asyncio.get_running_loop().create_future()
                        await self._waiter
            except TimeoutError:
                repeated = True
                self._write(self._framing.repeat())
            finally:
                self._waiter = None
            if not repeated:
                return
        error = MeterSilentError(
            f"Meter {self._entry.id} at {self._entry.host}:{self._entry.port} did not answer "
            f"within {timeout_s:g} s.",
            meter=self._entry.id,
            timeout_s=timeout_s,
        )
        self._failure = error
        raise error

    def _broken(self, failure: Exception) -> LinkBrokenError:
        return LinkBrokenError(
            f"The connection to meter {self._entry.id} at {self._entry.host}:{self._entry.port} "
            f"broke: {failure}",
            meter=self._entry.id,
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; called by the event loop."""
        transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take octets; called by the event loop."""
        try:
            received = self._framing.receive(data)
        except FrameError as error:
            self._fail(error)
            return
        if received.to_send and self._transport is not None:
            self._transport.write(received.to_send)
        self._apdus.extend(received.apdus)
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end; called by the event loop."""
        self._fail(exc or ConnectionResetError("the meter closed it."))
        self._transport = None

    def _fail(self, failure: Exception) -> None:
        if self._failure is None:
            self._failure = failure
        if self._transport is not None:
            self._transport.abort()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
