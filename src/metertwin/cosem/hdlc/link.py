"""The numbered exchange both HDLC stations share: segments, windows, acknowledgements, repeats.

Normal response mode is half duplex: the P/F bit hands the line over. Whoever has the line sends up
to a window of frames, the last one with P/F, and keeps them until the peer's N(R) covers them. A
lost frame shows as a gap in N(S); the receiver drops what follows and its next N(R) makes the
sender go back. RR does for that, so REJ is understood but never sent: not every meter knows it.
"""

from collections import deque
from typing import NamedTuple

from metertwin.cosem.errors import FrameError
from metertwin.cosem.hdlc.address import HdlcAddress
from metertwin.cosem.hdlc.frame import FrameKind, HdlcFrame, control_octet
from metertwin.cosem.hdlc.parameters import HdlcParameters

LLC_COMMAND = b"\xe6\xe6\x00"
LLC_RESPONSE = b"\xe6\xe7\x00"
MESSAGE_OCTETS_MAX = 1 << 20


class Received(NamedTuple):
    """What came of received octets.

    Args:
        to_send: Octets to send at once, maybe none.
        apdus: Complete APDUs, in order.
    """

    to_send: bytes = b""
    apdus: tuple[bytes, ...] = ()


class Segment(NamedTuple):
    """One information frame's content while it waits to be sent or acknowledged."""

    information: bytes
    is_last: bool


class HdlcLink:
    """Sequence numbers and queues of one connected station.

    Args:
        own: This station's address.
        peer: The other station's address.
        agreed: Sizes and windows for this direction and the other.
        message_octets_max: Longest message accepted, segments together.
    """

    __slots__ = (
        "_agreed",
        "_assembled",
        "_message_octets_max",
        "_own",
        "_peer",
        "_peer_is_ready",
        "_receive_seq",
        "_send_seq",
        "_unacknowledged",
        "_waiting",
    )

    def __init__(
        self,
        own: HdlcAddress,
        peer: HdlcAddress,
        agreed: HdlcParameters,
        message_octets_max: int = MESSAGE_OCTETS_MAX,
    ) -> None:
        self._own = own
        self._peer = peer
        self._agreed = agreed
        self._message_octets_max = message_octets_max
        self._send_seq = 0  # of the oldest frame not acknowledged
        self._receive_seq = 0
        self._unacknowledged: deque[Segment] = deque()
        self._waiting: deque[Segment] = deque()
        self._assembled = bytearray()
        self._peer_is_ready = True

    @property
    def has_to_send(self) -> bool:
        """Whether segments wait or were sent and not acknowledged."""
        return bool(self._waiting or self._unacknowledged)

    def queue(self, message: bytes) -> None:
        """Cut a message (LLC header and APDU) into segments for `transmit`."""
        size = self._agreed.transmit_octets_max
        for start in range(0, len(message), size):
            segment = message[start : start + size]
            self._waiting.append(Segment(segment, start + size >= len(message)))

    def transmit(self) -> bytes:
        """Return the frames of the next window, repeats first; RR when there is nothing to say."""
        while self._waiting and len(self._unacknowledged) < self._agreed.transmit_window_count:
            self._unacknowledged.append(self._waiting.popleft())
        if not self._unacknowledged or not self._peer_is_ready:
            return self.receive_ready()
        last = len(self._unacknowledged) - 1
        return b"".join(
            self._frame(
                control_octet(
                    FrameKind.INFORMATION,
                    final=index == last,
                    send_seq=(self._send_seq + index) & 7,
                    receive_seq=self._receive_seq,
                ),
                segment.information,
                segmented=not segment.is_last,
            )
            for index, segment in enumerate(self._unacknowledged)
        )

    def receive_ready(self) -> bytes:
        """Return RR with P/F: all before N(R) has arrived, the line is yours."""
        control = control_octet(FrameKind.RECEIVE_READY, final=True, receive_seq=self._receive_seq)
        return self._frame(control)

    def take_information(self, frame: HdlcFrame) -> bytes | None:
        """Accept an information frame; return the message it completes.

        A frame out of sequence is dropped: a repeat was taken before, a gap will be repeated.

        Raises:
            FrameError: The message grows beyond the limit.
        """
        self.take_acknowledgement(frame)
        if frame.send_seq != self._receive_seq:
            return None
        self._receive_seq = (self._receive_seq + 1) & 7
        self._assembled += frame.information
        if len(self._assembled) > self._message_octets_max:
            raise FrameError(
                f"An HDLC message exceeds {self._message_octets_max} octets; "
                "the peer must use block transfer.",
                message_octets_max=self._message_octets_max,
            )
        if frame.segmented:
            return None
        message = bytes(self._assembled)
        self._assembled.clear()
        return message

    def take_acknowledgement(self, frame: HdlcFrame) -> None:
        """Drop what N(R) acknowledges; note whether the peer accepts more.

        An N(R) that covers frames never sent is ignored: only a broken peer sends it.
        """
        self._peer_is_ready = frame.kind is not FrameKind.RECEIVE_NOT_READY
        acknowledged_count = (frame.receive_seq - self._send_seq) & 7
        if acknowledged_count <= len(self._unacknowledged):
            for _ in range(acknowledged_count):
                self._unacknowledged.popleft()
            self._send_seq = frame.receive_seq

    def _frame(self, control: int, information: bytes = b"", *, segmented: bool = False) -> bytes:
        return HdlcFrame(self._peer, self._own, control, information, segmented).encode()
