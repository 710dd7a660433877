"""The DLMS wrapper: COSEM over TCP and UDP.

Eight octets stand before every APDU: version 1, source wPort, destination wPort, length, each
two octets, big end first. The stream has no mark to find a lost frame start again, so the first
octet that does not fit ends the connection.
"""

from struct import Struct
from typing import NamedTuple

from metertwin.cosem.errors import FrameError

HEADER_OCTETS_COUNT = 8
PAYLOAD_OCTETS_MAX = 0xFFFF

_VERSION = 1
_pack = Struct(">HHHH").pack
_unpack_from = Struct(">HHHH").unpack_from
_new = tuple.__new__  # what WrapperFrame(...) does, without the call in between


class WrapperFrame(NamedTuple):
    """One APDU with its sender's and receiver's port (the client's or server's SAP)."""

    source: int
    destination: int
    apdu: bytes

    def encode(self) -> bytes:
        """Return header and APDU.

        Raises:
            FrameError: The APDU is longer than 65,535 octets.
        """
        return encode_wrapper(self.source, self.destination, self.apdu)


def encode_wrapper(source: int, destination: int, apdu: bytes) -> bytes:
    """Return `apdu` behind its header.

    Args:
        source: wPort of the sender, 0 to 65,535.
        destination: wPort of the receiver, 0 to 65,535.
        apdu: 0 to 65,535 octets.

    Raises:
        FrameError: The APDU is longer than the header's length can say.

    Example:
        >>> encode_wrapper(16, 1, bytes.fromhex("c001c1")).hex()
        '0001001000010003c001c1'
    """
    if len(apdu) > PAYLOAD_OCTETS_MAX:
        raise FrameError(
            f"An APDU of {len(apdu)} octets does not fit a wrapper frame of at most "
            f"{PAYLOAD_OCTETS_MAX}; use block transfer.",
            apdu_octets_count=len(apdu),
        )
    return _pack(_VERSION, source, destination, len(apdu)) + apdu


class WrapperDecoder:
    """Cuts a TCP stream into wrapper frames, whatever pieces it arrives in.

    Args:
        payload_octets_max: Longest APDU accepted; what a peer may make us hold back.
    """

    __slots__ = ("_held", "_payload_octets_max")

    def __init__(self, payload_octets_max: int = PAYLOAD_OCTETS_MAX) -> None:
        self._held = b""
        self._payload_octets_max = payload_octets_max

    @property
    def held_octets_count(self) -> int:
        """Octets of an incomplete frame kept for the next `feed`."""
        return len(self._held)

    def feed(self, octets: bytes) -> list[WrapperFrame]:
        """Return the frames these octets complete, in order.

        Raises:
            FrameError: A header has another version or a length above the limit. The stream is
                lost: close the connection.
        """
        stream = self._held + octets if self._held else octets
        if len(stream) >= HEADER_OCTETS_COUNT:
            # One question, one whole frame: nearly always. It saves half the time.
            version, source, destination, length = _unpack_from(stream)
            body_count = len(stream) - HEADER_OCTETS_COUNT
            if version == _VERSION and length == body_count <= self._payload_octets_max:
                self._held = b""
                return [_new(WrapperFrame, (source, destination, stream[HEADER_OCTETS_COUNT:]))]
        return self._cut(stream)

    def _cut(self, stream: bytes) -> list[WrapperFrame]:
        frames: list[WrapperFrame] = []
        start, end = 0, len(stream)
        while end - start >= HEADER_OCTETS_COUNT:
            version, source, destination, length = _unpack_from(stream, start)
            if version != _VERSION or length > self._payload_octets_max:
                raise self._broken(version, length)
            body = start + HEADER_OCTETS_COUNT
            if end - body < length:
                break
            start = body + length
            frames.append(WrapperFrame(source, destination, stream[body:start]))
        self._held = stream[start:] if start < end else b""
        return frames

    def _broken(self, version: int, length: int) -> FrameError:
        if version != _VERSION:
            return FrameError(
                f"A wrapper header has version {version}, known is {_VERSION}; "
                "check that the peer speaks the DLMS wrapper and not HDLC on this port.",
                version=version,
            )
        return FrameError(
            f"A wrapper header announces {length} octets, accepted are {self._payload_octets_max}.",
            length=length,
            payload_octets_max=self._payload_octets_max,
        )
