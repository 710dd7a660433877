"""What two HDLC stations agree on when they connect: sizes of segments and windows."""

from dataclasses import dataclass
from typing import Self

from metertwin.cosem.errors import FrameError

_HEADER = b"\x81\x80"  # format identifier, group identifier
_TRANSMIT, _RECEIVE, _WINDOW_TRANSMIT, _WINDOW_RECEIVE = 5, 6, 7, 8
_INFORMATION_OCTETS_MAX = 2030
_WINDOW_MAX = 7


@dataclass(frozen=True, slots=True)
class HdlcParameters:
    """Limits of one station; the defaults hold for a peer that proposes nothing.

    Args:
        transmit_octets_max: Information it sends per frame, 32 to 2,030 octets.
        receive_octets_max: Information it accepts per frame, 32 to 2,030 octets.
        transmit_window_count: Frames it sends before it waits, 1 to 7.
        receive_window_count: Frames it accepts in a row, 1 to 7.
    """

    transmit_octets_max: int = 128
    receive_octets_max: int = 128
    transmit_window_count: int = 1
    receive_window_count: int = 1

    def __post_init__(self) -> None:
        sizes = (self.transmit_octets_max, self.receive_octets_max)
        windows = (self.transmit_window_count, self.receive_window_count)
        if min(sizes) < 1 or max(sizes) > _INFORMATION_OCTETS_MAX:
            raise FrameError(
                f"HDLC information of {sizes} octets is outside 1 to {_INFORMATION_OCTETS_MAX}.",
                sizes=sizes,
            )
        if min(windows) < 1 or max(windows) > _WINDOW_MAX:
            raise FrameError(f"HDLC windows {windows} are outside 1 to 7.", windows=windows)

    def agreed_with(self, peer: Self) -> Self:
        """Return what this station may do towards `peer`: the smaller of each pair."""
        return type(self)(
            min(self.transmit_octets_max, peer.receive_octets_max),
            min(self.receive_octets_max, peer.transmit_octets_max),
            min(self.transmit_window_count, peer.receive_window_count),
            min(self.receive_window_count, peer.transmit_window_count),
        )

    def encode(self) -> bytes:
        """Return the information field of SNRM or UA."""
        body = _size(_TRANSMIT, self.transmit_octets_max) + _size(_RECEIVE, self.receive_octets_max)
        body += bytes((_WINDOW_TRANSMIT, 4)) + self.transmit_window_count.to_bytes(4, "big")
        body += bytes((_WINDOW_RECEIVE, 4)) + self.receive_window_count.to_bytes(4, "big")
        return _HEADER + bytes((len(body),)) + body

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """Read the information field of SNRM or UA; an empty one and left-out values mean defaults.

        Raises:
            FrameError: The field is malformed or a value is out of range.
        """
        if not octets:
            return cls()
        if octets[:2] != _HEADER or len(octets) < 3 or octets[2] != len(octets) - 3:
            raise FrameError(
                f"HDLC parameters {octets[:8].hex()} do not start with 8180 and their length.",
                octets=octets[:32].hex(),
            )
        found: dict[int, int] = {}
        position = 3
        while position < len(octets):
            value_start = position + 2
            length = octets[position + 1] if value_start <= len(octets) else 0
            value = octets[value_start : value_start + length]
            if not length or len(value) != length:
                raise FrameError(
                    f"HDLC parameter {octets[position]} is cut off.", octets=octets[:32].hex()
                )
            found[octets[position]] = int.from_bytes(value, "big")
            position = value_start + length
        return cls(
            min(found.get(_TRANSMIT, 128), _INFORMATION_OCTETS_MAX),
            min(found.get(_RECEIVE, 128), _INFORMATION_OCTETS_MAX),
            found.get(_WINDOW_TRANSMIT, 1),
            found.get(_WINDOW_RECEIVE, 1),
        )


def _size(tag: int, octets_count: int) -> bytes:
    """Encode a size in one octet if it fits: some meters know no other form below 256."""
    width = 1 if octets_count < 256 else 2
    return bytes((tag, width)) + octets_count.to_bytes(width, "big")
