"""The meter's side of an HDLC connection: it speaks when asked."""

from metertwin.cosem.errors import FrameError
from metertwin.cosem.hdlc.address import HdlcAddress
from metertwin.cosem.hdlc.frame import FrameKind, HdlcFrame, control_octet
from metertwin.cosem.hdlc.link import LLC_COMMAND, LLC_RESPONSE, HdlcLink, Received
from metertwin.cosem.hdlc.parameters import HdlcParameters

_IMPLEMENTED_ONLY = 0x01  # FRMR's flag W: the control octet is not one this station knows


class HdlcServer:
    """The connection of one client to one server address.

    It takes frames, not octets: several of these share one line, and `HdlcServerEndpoint` sorts
    the frames by address.

    Args:
        own: This server's address as the client wrote it.
        client: The client's address.
        offered: The most this meter can do.

    A frame that needs an answer gets one in `Received.to_send`, except a complete APDU: it is
    answered by `send(answer)`, or by `acknowledge()` when there is no answer.
    """

    __slots__ = ("_client", "_link", "_offered", "_own")

    def __init__(self, own: HdlcAddress, client: HdlcAddress, offered: HdlcParameters) -> None:
        self._own = own
        self._client = client
        self._offered = offered
        self._link: HdlcLink | None = None

    @property
    def is_connected(self) -> bool:
        """Whether SNRM came and DISC did not."""
        return self._link is not None

    def receive(self, frame: HdlcFrame) -> Received:
        """Take one frame that is addressed to this server.

        A frame that breaks the rules is answered by DM or FRMR, never by an exception.
        """
        match frame.kind:
            case FrameKind.SET_NORMAL_RESPONSE_MODE:
                return Received(self._connect(frame))
            case FrameKind.DISCONNECT:
                return Received(self._disconnect())
            case _ if self._link is None:
                return Received(self._answer(FrameKind.DISCONNECTED_MODE))
            case FrameKind.INFORMATION:
                return self._take_information(self._link, frame)
            case FrameKind.RECEIVE_READY | FrameKind.RECEIVE_NOT_READY | FrameKind.REJECT:
                self._link.take_acknowledgement(frame)
                return Received(self._link.transmit() if frame.is_final else b"")
            case FrameKind.UNNUMBERED_INFORMATION:
                return Received()  # needs no answer, and no service of a meter comes this way
            case _:
                return Received(self._reject(frame))

    def send(self, apdu: bytes) -> bytes:
        """Return the first window of frames that carry an answer.

        Raises:
            FrameError: The client is not connected.
        """
        if self._link is None:
            raise FrameError("HDLC cannot answer a client that has disconnected.")
        self._link.queue(LLC_RESPONSE + apdu)
        return self._link.transmit()

    def acknowledge(self) -> bytes:
        """Return RR: the APDU arrived and has no answer."""
        return b"" if self._link is None else self._link.receive_ready()

    def _take_information(self, link: HdlcLink, frame: HdlcFrame) -> Received:
        try:
            message = link.take_information(frame)
        except FrameError:
            self._link = None
            return Received(self._answer(FrameKind.DISCONNECTED_MODE))
        if message is None:
            return Received(link.transmit() if frame.is_final else b"")
        if message[:3] != LLC_COMMAND:
            return Received(link.receive_ready())
        return Received(apdus=(message[3:],))

    def _connect(self, frame: HdlcFrame) -> bytes:
        try:
            proposed = HdlcParameters.decode(frame.information)
        except FrameError:
            return self._answer(FrameKind.DISCONNECTED_MODE)
        agreed = self._offered.agreed_with(proposed)
        self._link = HdlcLink(self._own, self._client, agreed)
        return self._answer(FrameKind.UNNUMBERED_ACKNOWLEDGE, agreed.encode())

    def _disconnect(self) -> bytes:
        kind = FrameKind.DISCONNECTED_MODE
        if self._link is not None:
            kind = FrameKind.UNNUMBERED_ACKNOWLEDGE
        self._link = None
        return self._answer(kind)

    def _reject(self, frame: HdlcFrame) -> bytes:
        return self._answer(FrameKind.FRAME_REJECT, bytes((frame.control, 0, _IMPLEMENTED_ONLY)))

    def _answer(self, kind: FrameKind, information: bytes = b"") -> bytes:
        control = control_octet(kind, final=True)
        return HdlcFrame(self._client, self._own, control, information).encode()
