"""What stands around an APDU on a connection: the TCP wrapper, or HDLC frames.

Both take octets as they come and give back whole APDUs; neither knows a socket.
"""

from typing import Protocol

from metertwin.cosem.hdlc.address import HdlcAddress
from metertwin.cosem.hdlc.client import ClientState, HdlcClient
from metertwin.cosem.hdlc.link import Received
from metertwin.cosem.wrapper import WrapperDecoder, encode_wrapper
from metertwin.meters.entry import Framing, MeterEntry


class ClientFraming(Protocol):
    """One connection's framing, the client's side."""

    def greeting(self) -> bytes:
        """Return what must be sent before the first APDU; nothing for most."""
        ...

    @property
    def is_ready(self) -> bool:
        """Whether an APDU may be sent."""
        ...

    def wrap(self, apdu: bytes) -> bytes:
        """Return the octets that carry an APDU."""
        ...

    def receive(self, octets: bytes) -> Received:
        """Return whole APDUs and what to send at once; raises FrameError."""
        ...

    def repeat(self) -> bytes:
        """Return what to send when no answer comes; nothing where the connection is reliable."""
        ...

    def farewell(self) -> bytes:
        """Return what ends the connection politely."""
        ...


class WrapperFraming:
    """The TCP wrapper: eight octets with both ports before each APDU.

    Args:
        client_sap: Our port.
        server_sap: The meter's.
    """

    __slots__ = ("_client_sap", "_decoder", "_server_sap")

    is_ready = True

    def __init__(self, client_sap: int, server_sap: int) -> None:
        self._client_sap = client_sap
        self._server_sap = server_sap
        self._decoder = WrapperDecoder()

    def greeting(self) -> bytes:
        """Return nothing: a wrapped connection begins with the first APDU."""
        return b""

    def wrap(self, apdu: bytes) -> bytes:
        """Return the wrapped APDU."""
        return encode_wrapper(self._client_sap, self._server_sap, apdu)

    def receive(self, octets: bytes) -> Received:
        """Return the APDUs that are complete now and meant for us."""
        frames = self._decoder.feed(octets)
        return Received(
            b"",
            tuple(
                frame.apdu
                for frame in frames
                if frame.source == self._server_sap and frame.destination == self._client_sap
            ),
        )

    def repeat(self) -> bytes:
        """Return nothing: TCP repeats."""
        return b""

    def farewell(self) -> bytes:
        """Return nothing: closing the connection says it."""
        return b""


class HdlcFraming:
    """HDLC in normal response mode over a byte stream.

    Args:
        client: The connection's sequence numbers and windows.
    """

    __slots__ = ("_client",)

    def __init__(self, client: HdlcClient) -> None:
        self._client = client

    def greeting(self) -> bytes:
        """Return SNRM."""
        return self._client.connect()

    @property
    def is_ready(self) -> bool:
        """Whether the UA has come."""
        return self._client.state is ClientState.CONNECTED

    def wrap(self, apdu: bytes) -> bytes:
        """Return the first window of frames."""
        return self._client.send(apdu)

    def receive(self, octets: bytes) -> Received:
        """Return the APDUs that are complete now, and acknowledgements to send."""
        return self._client.receive(octets)

    def repeat(self) -> bytes:
        """Return the last window again, or a poll for the answer."""
        return self._client.repeat()

    def farewell(self) -> bytes:
        """Return DISC."""
        return self._client.disconnect()


def framing_of(entry: MeterEntry) -> ClientFraming:
    """Return a fresh framing for a connection to a meter.

    Raises:
        FrameError: An address does not fit HDLC.
    """
    if entry.framing is Framing.WRAPPER:
        return WrapperFraming(entry.client_sap, entry.server_sap)
    address = HdlcAddress.server(entry.server_sap, entry.hdlc_station)
    return HdlcFraming(HdlcClient(entry.client_sap, address))
