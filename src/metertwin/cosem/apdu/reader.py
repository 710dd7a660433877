"""A cursor over an APDU's octets, and the small writers that mirror it."""

from collections.abc import Callable
from enum import IntEnum
from typing import TypeVar

from metertwin.cosem.data import Data, decode
from metertwin.cosem.errors import DecodeError
from metertwin.cosem.lengths import encode_length, read_length
from metertwin.cosem.strings import read_octets

E = TypeVar("E", bound=IntEnum)
T = TypeVar("T")

_PRESENT = b"\x01"
_ABSENT = b"\x00"


class Reader:
    """Reads forward; every read past the end is a DecodeError.

    Args:
        octets: The whole APDU.
        offset: Where to start.
    """

    __slots__ = ("octets", "offset")

    def __init__(self, octets: bytes, offset: int = 0) -> None:
        self.octets = octets
        self.offset = offset

    @property
    def left_count(self) -> int:
        """Octets not read yet."""
        return len(self.octets) - self.offset

    def take(self, count: int) -> bytes:
        """Return the next `count` octets."""
        start = self.offset
        end = start + count
        if end > len(self.octets):
            raise DecodeError(
                f"{count} octets are due at offset {start}; {self.left_count} are left.",
                offset=start,
            )
        self.offset = end
        return self.octets[start:end]

    def uint(self, octet_count: int = 1) -> int:
        """Return the next unsigned integer of `octet_count` octets."""
        return int.from_bytes(self.take(octet_count), "big")

    def int8(self) -> int:
        """Return the next signed octet."""
        return int.from_bytes(self.take(1), "big", signed=True)

    def is_true(self) -> bool:
        """Return the next BOOLEAN."""
        return self.uint() != 0

    def is_present(self) -> bool:
        """Return whether an OPTIONAL part follows; its usage flag must be 0 or 1."""
        return self.choice(2) == 1

    def choice(self, choice_count: int) -> int:
        """Return the next CHOICE octet, below `choice_count`."""
        chosen = self.uint()
        if chosen >= choice_count:
            raise DecodeError(
                f"Choice {chosen} at offset {self.offset - 1} is not below {choice_count}.",
                offset=self.offset - 1,
            )
        return chosen

    def member(self, enumeration: type[E]) -> E:
        """Return the next octet as a member of a closed enumeration."""
        number = self.uint()
        try:
            return enumeration(number)
        except ValueError:
            raise DecodeError(
                f"{number} at offset {self.offset - 1} is no {enumeration.__name__}.",
                offset=self.offset - 1,
            ) from None

    def octet_string(self) -> bytes:
        """Return the next octets with a length field before them."""
        raw, self.offset = read_octets(self.octets, self.offset)
        return raw

    def data(self) -> Data:
        """Return the next COSEM value."""
        value, self.offset = decode(self.octets, self.offset)
        return value

    def sequence_of(self, read: Callable[["Reader"], T]) -> tuple[T, ...]:
        """Return a SEQUENCE OF; each element takes at least one octet."""
        count, self.offset = read_length(self.octets, self.offset)
        if count > self.left_count:
            raise DecodeError(
                f"A list at offset {self.offset} announces {count} elements; "
                f"{self.left_count} octets are left.",
                offset=self.offset,
            )
        return tuple([read(self) for _ in range(count)])

    def end(self) -> None:
        """Demand that everything has been read."""
        if self.left_count:
            raise DecodeError(f"{self.left_count} octets follow the APDU.", offset=self.offset)


def octet_string(octets: bytes) -> bytes:
    """Return octets with their length field."""
    return encode_length(len(octets)) + octets


def sequence_of(encoded: list[bytes]) -> bytes:
    """Return a SEQUENCE OF from its encoded elements."""
    return encode_length(len(encoded)) + b"".join(encoded)


def optional(encoded: bytes | None) -> bytes:
    """Return an OPTIONAL part with its usage flag."""
    return _ABSENT if encoded is None else _PRESENT + encoded
