"""The client's side of an HDLC connection: it asks, the meter answers.

Sans-I/O: every method returns the octets to send. Timing belongs to the caller, who calls
`repeat()` when an answer does not come in time.
"""

from enum import Enum, auto

from metertwin.cosem.errors import FrameError
from metertwin.cosem.hdlc.address import HdlcAddress
from metertwin.cosem.hdlc.decoder import HdlcDecoder
from metertwin.cosem.hdlc.frame import FrameKind, HdlcFrame, control_octet
from metertwin.cosem.hdlc.link import LLC_COMMAND, LLC_RESPONSE, HdlcLink, Received
from metertwin.cosem.hdlc.parameters import HdlcParameters


class ClientState(Enum):
    """Where the connection stands."""

    DISCONNECTED = auto()
    CONNECTING = auto()
    CONNECTED = auto()
    DISCONNECTING = auto()


class HdlcClient:
    """One client's connection to one server.

    Args:
        client_sap: 0 to 127.
        server: The meter's address.
        proposed: Sizes and windows to ask for; None sends a bare SNRM, which means defaults.

    Example:
        >>> HdlcClient(16, HdlcAddress.server(1)).connect().hex(" ")
        '7e a0 07 03 21 93 0f 01 7e'
    """

    __slots__ = ("_decoder", "_link", "_own", "_proposed", "_server", "state")

    def __init__(
        self, client_sap: int, server: HdlcAddress, proposed: HdlcParameters | None = None
    ) -> None:
        self._own = HdlcAddress.client(client_sap)
        self._server = server
        self._proposed = proposed
        self._decoder = HdlcDecoder()
        self._link = HdlcLink(self._own, server, HdlcParameters())
        self.state = ClientState.DISCONNECTED

    def connect(self) -> bytes:
        """Return SNRM; the connection is open when `receive` has seen the UA."""
        self.state = ClientState.CONNECTING
        information = self._proposed.encode() if self._proposed else b""
        return self._command(FrameKind.SET_NORMAL_RESPONSE_MODE, information)

    def send(self, apdu: bytes) -> bytes:
        """Return the first window of frames that carry `apdu`.

        Raises:
            FrameError: Not connected, or the APDU before has not been acknowledged.
        """
        if self.state is not ClientState.CONNECTED or self._link.has_to_send:
            raise FrameError(
                f"HDLC cannot send an APDU while {self.state.name.lower()} or while another "
                "waits for its acknowledgement.",
                state=self.state.name,
            )
        self._link.queue(LLC_COMMAND + apdu)
        return self._link.transmit()

    def repeat(self) -> bytes:
        """Return what to send again when the answer did not come in time."""
        if self.state is ClientState.CONNECTING:
            return self.connect()
        if self.state is ClientState.DISCONNECTING:
            return self.disconnect()
        return self._link.transmit()

    def disconnect(self) -> bytes:
        """Return DISC; `receive` sees UA or DM."""
        self.state = ClientState.DISCONNECTING
        return self._command(FrameKind.DISCONNECT)

    def receive(self, octets: bytes) -> Received:
        """Take octets from the line.

        Raises:
            FrameError: The meter is disconnected, rejects a frame, or breaks the LLC header.
        """
        to_send, apdus = b"", []
        for frame in self._decoder.feed(octets):
            if (frame.destination, frame.source) != (self._own, self._server):
                continue  # another station on a shared line
            reply, apdu = self._take(frame)
            to_send += reply
            if apdu is not None:
                apdus.append(apdu)
        return Received(to_send, tuple(apdus))

    def _take(self, frame: HdlcFrame) -> tuple[bytes, bytes | None]:
        match frame.kind:
            case FrameKind.INFORMATION if self.state is ClientState.CONNECTED:
                return self._take_information(frame)
            case FrameKind.RECEIVE_READY | FrameKind.RECEIVE_NOT_READY | FrameKind.REJECT:
                return self._take_supervisory(frame), None
            case FrameKind.UNNUMBERED_INFORMATION:
                return b"", _without_llc(frame.information)
            case FrameKind.UNNUMBERED_ACKNOWLEDGE:
                self._take_acknowledge(frame)
            case FrameKind.DISCONNECTED_MODE | FrameKind.FRAME_REJECT:
                self._take_refusal(frame)
            case _:
                pass  # a late answer of an earlier connection
        return b"", None

    def _take_information(self, frame: HdlcFrame) -> tuple[bytes, bytes | None]:
        message = self._link.take_information(frame)
        # Take the line back when the meter handed it over in the middle of a message, or when a
        # part got lost; a complete message leaves it to the caller's next question.
        reply = b"" if message is not None or not frame.is_final else self._link.transmit()
        return reply, None if message is None else _without_llc(message)

    def _take_supervisory(self, frame: HdlcFrame) -> bytes:
        if self.state is not ClientState.CONNECTED:
            return b""
        self._link.take_acknowledgement(frame)
        # RNR means "later": the caller polls with `repeat` at its own pace. Nor is an RR answered
        # when all was acknowledged: two stations would tell each other so for ever.
        is_worth_sending = frame.kind is not FrameKind.RECEIVE_NOT_READY and self._link.has_to_send
        return self._link.transmit() if frame.is_final and is_worth_sending else b""

    def _take_acknowledge(self, frame: HdlcFrame) -> None:
        if self.state is ClientState.CONNECTING:
            wanted = self._proposed or HdlcParameters()
            agreed = wanted.agreed_with(HdlcParameters.decode(frame.information))
            self._link = HdlcLink(self._own, self._server, agreed)
            self.state = ClientState.CONNECTED
        elif self.state is ClientState.DISCONNECTING:
            self.state = ClientState.DISCONNECTED

    def _take_refusal(self, frame: HdlcFrame) -> None:
        is_expected = self.state is ClientState.DISCONNECTING
        self.state = ClientState.DISCONNECTED
        if not is_expected:
            word = "DM" if frame.kind is FrameKind.DISCONNECTED_MODE else "FRMR"
            raise FrameError(
                f"The meter at HDLC address {self._server.upper}/{self._server.lower} answered "
                f"{word}: the HDLC connection is closed; connect again.",
                answer=word,
            )

    def _command(self, kind: FrameKind, information: bytes = b"") -> bytes:
        control = control_octet(kind, final=True)
        return HdlcFrame(self._server, self._own, control, information).encode()


def _without_llc(message: bytes) -> bytes:
    if message[:3] != LLC_RESPONSE:
        raise FrameError(
            f"An HDLC message starts with {message[:3].hex()}, not with the LLC header e6e700.",
            header=message[:3].hex(),
        )
    return message[3:]
