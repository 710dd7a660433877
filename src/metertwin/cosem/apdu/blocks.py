"""Invoke ids and the data blocks of long transfers, shared by GET, SET and ACTION."""

from dataclasses import dataclass

from metertwin.cosem.apdu.reader import Reader, octet_string
from metertwin.cosem.errors import EncodeError

INVOKE_ID_MASK = 0x0F
CONFIRMED = 0x40
HIGH_PRIORITY = 0x80
_BLOCK_NUMBER_MAX = 0xFFFF_FFFF


def header(tag: int, choice: int, invoke: int) -> bytes:
    """Return the three octets every GET, SET and ACTION APDU starts with.

    Raises:
        EncodeError: The invoke octet is not 0 to 255.
    """
    if not 0 <= invoke <= 0xFF:
        raise EncodeError(f"Invoke octet {invoke} is not 0 to 255.", invoke=invoke)
    return bytes((tag, choice, invoke))


def block_number(number: int) -> bytes:
    """Return the four octets of a block number.

    Raises:
        EncodeError: It is not 0 to 2^32 - 1.
    """
    if not 0 <= number <= _BLOCK_NUMBER_MAX:
        raise EncodeError(f"Block number {number} is not 0 to 2^32 - 1.", number=number)
    return number.to_bytes(4, "big")


@dataclass(frozen=True, slots=True)
class DataBlock:
    """One block of a value that does not fit one APDU.

    Attributes:
        is_last: Whether no block follows.
        number: Counts from 1.
        octets: This block's part of the encoded value.
    """

    is_last: bool
    number: int
    octets: bytes

    def encode(self) -> bytes:
        """Return the octets."""
        return bytes((self.is_last,)) + block_number(self.number) + octet_string(self.octets)

    @classmethod
    def read(cls, reader: Reader) -> "DataBlock":
        """Read the octets."""
        return cls(reader.is_true(), reader.uint(4), reader.octet_string())
