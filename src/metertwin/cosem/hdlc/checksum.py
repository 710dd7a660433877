"""The 16-bit frame check sequence of HDLC (CRC-16/X-25).

The standard library has this polynomial only with the highest bit first, HDLC sends the lowest bit
first. Mirroring the bits of every octet before, and of the sum after, makes one the other, all in
C: a loop over a table in Python is thirty times slower.
"""

from binascii import crc_hqx

_MIRRORED = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))


def frame_check(octets: bytes) -> bytes:
    """Return the two check octets in the order they are sent, low octet first.

    Example:
        >>> frame_check(b"123456789").hex()  # the catalogue's check value is 0x906E
        '6e90'
    """
    mirrored_sum = crc_hqx(octets.translate(_MIRRORED), 0xFFFF) ^ 0xFFFF
    return mirrored_sum.to_bytes(2, "big").translate(_MIRRORED)
