"""Octet, visible, UTF-8 and bit strings: the types whose octets start with a length."""

from metertwin.cosem.errors import DecodeError
from metertwin.cosem.lengths import encode_length, read_length
from metertwin.cosem.values import Data, Tag

STRING_TAGS = frozenset({Tag.OCTET_STRING, Tag.VISIBLE_STRING, Tag.UTF8_STRING, Tag.BIT_STRING})


def read_octets(octets: bytes, offset: int) -> tuple[bytes, int]:
    """Return the octets behind the length field at `offset`, and the offset behind them.

    Raises:
        DecodeError: Fewer octets are left than announced.
    """
    length_count, start = read_length(octets, offset)
    end = start + length_count
    if end > len(octets):
        raise DecodeError(
            f"String at offset {offset} announces {length_count} octets; "
            f"{len(octets) - start} are left.",
            offset=offset,
            length_count=length_count,
        )
    return octets[start:end], end


def read_string(code: int, octets: bytes, offset: int) -> tuple[Data, int]:
    """Return the string of tag `code` whose length field is at `offset`, and the offset behind it.

    Raises:
        DecodeError: Fewer octets are left than announced, or a UTF-8 string is not UTF-8.
    """
    if code == Tag.BIT_STRING:
        return _read_bits(octets, offset)
    raw, end = read_octets(octets, offset)
    if code == Tag.OCTET_STRING:
        return Data(Tag.OCTET_STRING, raw), end
    if code == Tag.VISIBLE_STRING:
        return Data(Tag.VISIBLE_STRING, raw.decode("latin-1")), end
    try:
        return Data(Tag.UTF8_STRING, raw.decode()), end
    except UnicodeDecodeError as error:
        raise DecodeError(
            f"String at offset {offset} is not UTF-8: {error.reason}.", offset=offset
        ) from error


def _read_bits(octets: bytes, offset: int) -> tuple[Data, int]:
    bit_count, start = read_length(octets, offset)
    end = start + (bit_count + 7) // 8
    if end > len(octets):
        raise DecodeError(
            f"Bit string at offset {offset} announces {bit_count} bits; "
            f"{8 * (len(octets) - start)} are left.",
            offset=offset,
            bit_count=bit_count,
        )
    # Octet by octet: one format of the whole number would take time with the square of its length.
    bits = "".join([f"{octet:08b}" for octet in octets[start:end]])
    return Data(Tag.BIT_STRING, bits[:bit_count]), end


def encode_bits(bits: str) -> bytes:
    """Return the bit count and the bits, the first one most significant, padded with zeros."""
    octets = bytes(int(bits[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(bits), 8))
    return encode_length(len(bits)) + octets
