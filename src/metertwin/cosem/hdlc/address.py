"""HDLC addresses: one octet for a client; one, two or four for a server.

Every octet carries seven bits, high ones first; the lowest bit says "last octet". A server's
address has an upper part (the logical device) and may have a lower part (the physical device on a
shared line), each half of the octets.
"""

from typing import NamedTuple, Self

from metertwin.cosem.errors import FrameError

_LENGTHS = (1, 2, 4)
_SEVEN_BITS = 0x7F
_FOURTEEN_BITS = 0x3FFF


class HdlcAddress(NamedTuple):
    """One station.

    Args:
        upper: Client SAP, or the server's logical device: 0 to 127, or to 16,383 in four octets.
        lower: The server's physical device in the same range, or None when left out.
        octets_count: 1, 2 or 4; the answer must use the length of the question.
    """

    upper: int
    lower: int | None = None
    octets_count: int = 1

    @classmethod
    def client(cls, sap: int) -> Self:
        """Return a client's address, one octet.

        Raises:
            FrameError: The SAP is not 0 to 127.
        """
        if not 0 <= sap <= _SEVEN_BITS:
            raise FrameError(f"Client SAP {sap} does not fit HDLC's 0 to 127.", sap=sap)
        return cls(sap)

    @classmethod
    def server(cls, upper: int, lower: int | None = None) -> Self:
        """Return a server's address in the fewest octets that hold it.

        Raises:
            FrameError: A part is not 0 to 16,383.
        """
        parts = (upper, lower or 0)
        if min(parts) < 0 or max(parts) > _FOURTEEN_BITS:
            raise FrameError(
                f"Server address {upper}/{lower} does not fit HDLC's 0 to {_FOURTEEN_BITS}.",
                upper=upper,
                lower=lower,
            )
        if max(parts) > _SEVEN_BITS:
            return cls(upper, lower or 0, 4)
        return cls(upper) if lower is None else cls(upper, lower, 2)

    @classmethod
    def decode(cls, octets: bytes, offset: int) -> tuple[Self, int]:
        """Read the address at `offset`; return it and the offset behind it.

        Raises:
            FrameError: No last octet where an address may end.
        """
        end = offset
        while end < len(octets) and end - offset < 4 and not octets[end] & 1:
            end += 1
        end += 1  # behind the octet with the mark
        length = end - offset
        if end > len(octets) or length not in _LENGTHS:
            raise FrameError(
                f"No HDLC address of 1, 2 or 4 octets at offset {offset}.", offset=offset
            )
        sevens = [octet >> 1 for octet in octets[offset:end]]
        if length == 1:
            return cls(sevens[0]), end
        if length == 2:
            return cls(sevens[0], sevens[1], 2), end
        return cls(sevens[0] << 7 | sevens[1], sevens[2] << 7 | sevens[3], 4), end

    def encode(self) -> bytes:
        """Return the address's octets."""
        lower = self.lower or 0
        if self.octets_count == 1:
            return bytes((self.upper << 1 | 1,))
        if self.octets_count == 2:
            return bytes((self.upper << 1, lower << 1 | 1))
        return bytes(
            (
                self.upper >> 7 << 1,
                (self.upper & _SEVEN_BITS) << 1,
                lower >> 7 << 1,
                (lower & _SEVEN_BITS) << 1 | 1,
            )
        )
