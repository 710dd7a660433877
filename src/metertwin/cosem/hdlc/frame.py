"""One HDLC frame, and the meaning of its control octet."""

from enum import IntEnum
from typing import NamedTuple

from metertwin.cosem.errors import FrameError
from metertwin.cosem.hdlc.address import HdlcAddress
from metertwin.cosem.hdlc.checksum import frame_check

FLAG = 0x7E
FRAME_OCTETS_MAX = 0x7FF  # the format field's eleven length bits

_FORMAT_TYPE_3 = 0xA000
_SEGMENTED = 0x0800
_POLL_FINAL = 0x10
_FLAG_OCTET = b"\x7e"


class FrameKind(IntEnum):
    """What a frame does; the number is its control octet without sequence numbers and P/F."""

    INFORMATION = 0x00
    RECEIVE_READY = 0x01
    RECEIVE_NOT_READY = 0x05
    REJECT = 0x09
    UNNUMBERED_INFORMATION = 0x03
    DISCONNECTED_MODE = 0x0F
    DISCONNECT = 0x43
    UNNUMBERED_ACKNOWLEDGE = 0x63
    SET_NORMAL_RESPONSE_MODE = 0x83
    FRAME_REJECT = 0x87


_KINDS = {kind.value: kind for kind in FrameKind}


def control_octet(kind: FrameKind, *, final: bool, send_seq: int = 0, receive_seq: int = 0) -> int:
    """Return the control octet; sequence numbers are 0 to 7 and only where the kind has them."""
    return kind | send_seq << 1 | receive_seq << 5 | (_POLL_FINAL if final else 0)


class HdlcFrame(NamedTuple):
    """A frame without its flags and checks.

    Args:
        destination: Who shall read it.
        source: Who sent it.
        control: The control octet.
        information: What it carries, maybe nothing.
        segmented: More segments of the same message follow.
    """

    destination: HdlcAddress
    source: HdlcAddress
    control: int
    information: bytes = b""
    segmented: bool = False

    @property
    def kind(self) -> FrameKind | None:
        """What the frame does; None for a control octet DLMS does not use."""
        if not self.control & 1:
            return FrameKind.INFORMATION
        mask = 0xEF if self.control & 2 else 0x0F
        return _KINDS.get(self.control & mask)

    @property
    def is_final(self) -> bool:
        """Whether the sender hands the line over (P/F bit)."""
        return bool(self.control & _POLL_FINAL)

    @property
    def send_seq(self) -> int:
        """N(S) of an information frame."""
        return self.control >> 1 & 7

    @property
    def receive_seq(self) -> int:
        """N(R): the next number the sender expects, so all before it have arrived."""
        return self.control >> 5

    def encode(self) -> bytes:
        """Return the frame with flags and check sequences.

        Raises:
            FrameError: The frame is longer than 2,047 octets.
        """
        addresses = self.destination.encode() + self.source.encode()
        # format 2, control 1, FCS 2, and with information a header check of 2
        length = 5 + len(addresses) + (len(self.information) + 2 if self.information else 0)
        if length > FRAME_OCTETS_MAX:
            raise FrameError(
                f"An HDLC frame of {length} octets exceeds {FRAME_OCTETS_MAX}; "
                "segment the information.",
                frame_octets_count=length,
            )
        head = _FORMAT_TYPE_3 | length | (_SEGMENTED if self.segmented else 0)
        body = head.to_bytes(2, "big") + addresses + bytes((self.control,))
        if self.information:
            body += frame_check(body) + self.information
        return _FLAG_OCTET + body + frame_check(body) + _FLAG_OCTET


def decode_frame(octets: bytes) -> HdlcFrame:
    """Read a frame between its flags: format field to frame check, flags left out.

    Raises:
        FrameError: Format, length, an address or a check sequence is wrong.
    """
    head = int.from_bytes(octets[:2], "big")
    if head & 0xF000 != _FORMAT_TYPE_3 or head & FRAME_OCTETS_MAX != len(octets):
        raise FrameError(
            f"Format field {head:#06x} is not type 3 with the frame's length of {len(octets)}.",
            format_field=head,
            frame_octets_count=len(octets),
        )
    if frame_check(octets[:-2]) != octets[-2:]:
        raise FrameError("The frame check sequence does not match; octets were changed.")
    destination, offset = HdlcAddress.decode(octets[:-2], 2)
    source, offset = HdlcAddress.decode(octets[:-2], offset)
    information = b""
    if len(octets) - offset > 3:
        information = _checked_information(octets, offset + 1)
    elif len(octets) - offset < 3:
        raise FrameError("The frame ends before its control octet.", offset=offset)
    return HdlcFrame(destination, source, octets[offset], information, bool(head & _SEGMENTED))


def _checked_information(octets: bytes, check_start: int) -> bytes:
    start = check_start + 2
    if frame_check(octets[:check_start]) != octets[check_start:start] or start > len(octets) - 2:
        raise FrameError("The header check sequence does not match; octets were changed.")
    return octets[start:-2]
