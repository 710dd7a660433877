"""What meters deliver by themselves: data notifications over TCP, one after the other.

A listener cuts the stream into APDUs and says where each came from. Whose it is, is told by the
serial number or device name it carries, else by address; what it means, by the push setup of the
meter's model.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from metertwin.core.errors import InvalidInputError, UnavailableError
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.cosem.apdu.decode import decode_apdu
from metertwin.cosem.apdu.descriptors import AttributeDescriptor, CaptureObject
from metertwin.cosem.apdu.notification import DataNotification
from metertwin.cosem.data import Data
from metertwin.cosem.errors import CosemError, FrameError
from metertwin.cosem.wrapper import WrapperDecoder
from metertwin.meters.errors import AnswerError, LayoutError
from metertwin.meters.model import CLOCK, DATA, DEMAND_REGISTER, MeterModel, PushLayout
from metertwin.meters.port import Pushed
from metertwin.meters.session import DlmsSession

_PUSH_SETUP = AttributeDescriptor(40, Obis(0, 0, 25, 9, 0), 2)
_VALUE = 2


class PushListener:
    """Accepts connections of meters that deliver.

    Args:
        on_push: Called with each APDU, in order per connection; must not fail.
    """

    def __init__(self, on_push: Callable[[Pushed], None]) -> None:
        self._on_push = on_push
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Transport] = set()
        self.broken_count = 0

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port, useful where 0 asked for any.

        Raises:
            UnavailableError: The port is taken, or the address is not of this machine.
        """
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: _PushConnection(self), host, port)
        except OSError as error:
            raise UnavailableError(
                f"Pushes cannot be taken at {host}:{port}: {error.strerror}; choose another "
                "push_port.",
                host=host,
                port=port,
            ) from error
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._server is not None:
            self._server.close()
            for transport in self._open:
                transport.abort()
            await self._server.wait_closed()
            self._server = None

    def take(self, pushed: Pushed) -> None:
        """Pass an APDU on; called by connections."""
        self._on_push(pushed)

    def note_open(self, transport: asyncio.Transport) -> None:
        """Remember a connection; called by connections."""
        self._open.add(transport)

    def note_closed(self, transport: asyncio.Transport) -> None:
        """Forget a connection; called by connections."""
        self._open.discard(transport)


class _PushConnection(asyncio.Protocol):
    def __init__(self, listener: PushListener) -> None:
        self._listener = listener
        self._decoder = WrapperDecoder()
        self._transport: asyncio.Transport | None = None
        self._host = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self._transport = transport
        self._host = transport.get_extra_info("peername", ("",))[0]
        self._listener.note_open(transport)

    def connection_lost(self, _exc: Exception | None) -> None:
        if self._transport is not None:
            self._listener.note_closed(self._transport)

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._decoder.feed(data):
                self._listener.take(Pushed(self._host, frame.source, frame.apdu))
        except FrameError:
            self._listener.broken_count += 1
            if self._transport is not None:
                self._transport.abort()


def notification_of(pushed: Pushed) -> DataNotification:
    """Return the notification of a push.

    Raises:
        AnswerError: It is something else, or ciphered.
    """
    try:
        apdu = decode_apdu(pushed.apdu)
    except CosemError as error:
        raise AnswerError(f"A push from {pushed.host} cannot be understood: {error}") from error
    if not isinstance(apdu, DataNotification):
        raise AnswerError(
            f"A push from {pushed.host} is a {type(apdu).__name__}; only data notifications in "
            "the clear are taken.",
            host=pushed.host,
        )
    return apdu


def names_in(notification: DataNotification) -> set[str]:
    """Return every text in a notification's outermost structure: one may be a serial number."""
    elements = notification.body.value
    if not isinstance(elements, tuple):
        return set()
    return {text for element in elements if (text := _text(element))}


async def learn_push(session: DlmsSession, model: MeterModel) -> PushLayout:
    """Read what a model pushes.

    Raises:
        LayoutError: Its push setup holds nothing that is a register.
        MeterLinkError: The meter fails, or has no push setup.
    """
    listed = await session.get(_PUSH_SETUP)
    try:
        # Version 1 of the class adds a restriction to each element; the first four mean the same.
        objects = [_object(item) for item in listed.elements()]
    except (CosemError, InvalidInputError, IndexError) as error:
        raise AnswerError(f"The push setup cannot be understood: {error}") from error
    registers = []
    clock_place = None
    await model.learn_scalers(session, [item.obis for item in objects])
    for place, item in enumerate(objects):
        if (item.class_id, item.attribute) == (CLOCK, _VALUE):
            clock_place = place
        elif DATA <= item.class_id <= DEMAND_REGISTER and item.attribute == _VALUE:
            scaler = await model.scaler_of(session, item.obis)
            registers.append((place, Register(item.obis, scaler.unit, scaler.scaler)))
    if not registers:
        raise LayoutError("The push setup lists no register.")
    return PushLayout(len(objects), tuple(registers), clock_place)


def _object(item: Data) -> CaptureObject:
    class_id, name, attribute, data_index = item.elements()[:4]
    obis = Obis.from_bytes(name.octets())
    return CaptureObject(class_id.integer(), obis, attribute.integer(), data_index.integer())


def _text(element: Data) -> str:
    if isinstance(element.value, bytes):
        return element.value.decode("latin-1").strip("\0 ")
    return element.value if isinstance(element.value, str) else ""
