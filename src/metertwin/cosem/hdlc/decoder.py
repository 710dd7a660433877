"""Finds HDLC frames in a stream, by length and check sequence.

DLMS's frame format has a length and therefore no escaping: the flag octet may stand anywhere inside
a frame. A flag is a frame's start only if a whole frame with a right check follows; else the search
goes on at the next flag. A damaged frame is dropped in silence, as HDLC wants: the sender's
timeout repeats it.
"""

from metertwin.cosem.errors import FrameError
from metertwin.cosem.hdlc.frame import FLAG, FRAME_OCTETS_MAX, HdlcFrame, decode_frame

_SHORTEST = 7  # format 2, addresses 1 + 1, control 1, check 2


class HdlcDecoder:
    """Cuts a stream into frames, whatever pieces it arrives in; never holds over 2,049 octets."""

    __slots__ = ("_held", "rejected_count")

    def __init__(self) -> None:
        self._held = b""
        self.rejected_count = 0
        """Frame starts that did not turn out to be a frame: line noise."""

    def feed(self, octets: bytes) -> list[HdlcFrame]:
        """Return the frames these octets complete, in order."""
        stream = self._held + octets if self._held else octets
        frames: list[HdlcFrame] = []
        start = stream.find(FLAG)
        while start >= 0:
            length = self._announced_length(stream, start + 1)
            if length is None:
                break  # more octets decide
            end = start + 1 + length
            if length and end >= len(stream):
                break
            frame = self._frame(stream, start + 1, end) if length else None
            if frame is not None:
                frames.append(frame)
                start = end  # a closing flag may open the next frame
            else:
                start = stream.find(FLAG, start + 1)
        self._held = stream[start:] if start >= 0 else b""
        return frames

    def _announced_length(self, stream: bytes, start: int) -> int | None:
        """Return the frame length at `start`, 0 if no frame starts there, None if unknown yet."""
        if start >= len(stream):
            return None
        if stream[start] & 0xF0 != 0xA0:
            # Two flags in a row are idle line, not noise.
            self.rejected_count += stream[start] != FLAG
            return 0
        if start + 1 >= len(stream):
            return None
        length = (stream[start] << 8 | stream[start + 1]) & FRAME_OCTETS_MAX
        return length if length >= _SHORTEST else 0

    def _frame(self, stream: bytes, start: int, end: int) -> HdlcFrame | None:
        try:
            if stream[end] == FLAG:
                return decode_frame(stream[start:end])
        except FrameError:
            self.rejected_count += 1
            return None
        self.rejected_count += 1
        return None
