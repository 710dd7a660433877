"""The length field of BER and A-XDR: one octet up to 127, else a count and that many octets.

A-XDR uses the same field for lengths of octet strings, bits of bit strings and elements of lists.
"""

from metertwin.cosem.errors import DecodeError

_LONG_FORM = 0x80
# Four octets address 4 GB; nothing a meter sends comes near, and a longer field is an attack.
_MAX_LENGTH_OCTETS = 4


def encode_length(length_count: int) -> bytes:
    """Return the shortest length field.

    Example:
        >>> encode_length(5).hex(), encode_length(128).hex(), encode_length(2320).hex()
        ('05', '8180', '820910')
    """
    if length_count < _LONG_FORM:
        return bytes((length_count,))
    octet_count = (length_count.bit_length() + 7) // 8
    return bytes((_LONG_FORM | octet_count,)) + length_count.to_bytes(octet_count, "big")


def read_length(octets: bytes, offset: int) -> tuple[int, int]:
    """Return a length field's value and the offset behind it.

    Raises:
        DecodeError: The octets end within the field, or it has no or more than 4 octets.
    """
    if offset >= len(octets):
        raise DecodeError("The octets end where a length field is due.", offset=offset)
    first = octets[offset]
    if first < _LONG_FORM:
        return first, offset + 1
    octet_count = first & 0x7F
    end = offset + 1 + octet_count
    if not 1 <= octet_count <= _MAX_LENGTH_OCTETS or end > len(octets):
        raise DecodeError(
            f"Length field {first:02X} at offset {offset} announces {octet_count} octets; "
            f"1 to {_MAX_LENGTH_OCTETS} are allowed and {len(octets) - offset - 1} follow.",
            offset=offset,
            octet_count=octet_count,
        )
    return int.from_bytes(octets[offset + 1 : end], "big"), end
