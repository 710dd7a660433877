"""The COSEM data types: what an attribute can hold.

Tags as in the Data CHOICE of the DLMS UA Green Book. `metertwin.cosem.data` turns values into
octets and back.
"""

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple, TypeAlias

from metertwin.cosem.errors import UnexpectedTypeError

MAX_DEPTH = 32


class Tag(IntEnum):
    """Tag of a data type, as on the wire."""

    NULL = 0
    ARRAY = 1
    STRUCTURE = 2
    BOOLEAN = 3
    BIT_STRING = 4
    INT32 = 5
    UINT32 = 6
    OCTET_STRING = 9
    VISIBLE_STRING = 10
    UTF8_STRING = 12
    BCD = 13
    INT8 = 15
    INT16 = 16
    UINT8 = 17
    UINT16 = 18
    COMPACT_ARRAY = 19
    INT64 = 20
    UINT64 = 21
    ENUM = 22
    FLOAT32 = 23
    FLOAT64 = 24
    DATE_TIME = 25
    DATE = 26
    TIME = 27


DataValue: TypeAlias = "bool | int | float | str | bytes | tuple[Data, ...] | None"


class Data(NamedTuple):
    """One COSEM value.

    The value is None for NULL; a tuple of Data for ARRAY and STRUCTURE; bool for BOOLEAN; int for
    the integers, ENUM and BCD (its octet as it stands); float for the floats; a str of "0" and "1"
    for BIT_STRING; str for VISIBLE_STRING (octets read as Latin-1, so that no meter's text is
    lost) and UTF8_STRING; bytes for OCTET_STRING, DATE_TIME (12), DATE (5) and TIME (4).
    COMPACT_ARRAY is a tag of the wire alone: it is read as the ARRAY that means the same.
    """

    tag: Tag
    value: DataValue

    def integer(self) -> int:
        """Return the value of an integer or enum.

        Raises:
            UnexpectedTypeError: The value is of another type.
        """
        if type(self.value) is int:
            return self.value
        raise self._unlike("an integer")

    def octets(self) -> bytes:
        """Return the octets of an octet string, date-time, date or time.

        Raises:
            UnexpectedTypeError: The value is of another type.
        """
        if type(self.value) is bytes:
            return self.value
        raise self._unlike("octets")

    def text(self) -> str:
        """Return the text of a visible or UTF-8 string.

        Raises:
            UnexpectedTypeError: The value is of another type.
        """
        if type(self.value) is str and self.tag is not Tag.BIT_STRING:
            return self.value
        raise self._unlike("text")

    def elements(self) -> "tuple[Data, ...]":
        """Return the elements of an array or structure.

        Raises:
            UnexpectedTypeError: The value is of another type.
        """
        if type(self.value) is tuple:
            return self.value
        raise self._unlike("an array or structure")

    def _unlike(self, wanted: str) -> UnexpectedTypeError:
        return UnexpectedTypeError(
            f"A value of type {self.tag.name} stands where {wanted} is needed.", tag=self.tag.name
        )


NULL = Data(Tag.NULL, None)

LAYOUTS: dict[Tag, str] = {
    Tag.BOOLEAN: "?",
    Tag.INT32: "i",
    Tag.UINT32: "I",
    Tag.BCD: "B",
    Tag.INT8: "b",
    Tag.INT16: "h",
    Tag.UINT8: "B",
    Tag.UINT16: "H",
    Tag.INT64: "q",
    Tag.UINT64: "Q",
    Tag.ENUM: "B",
    Tag.FLOAT32: "f",
    Tag.FLOAT64: "d",
}
RAW_SIZES = {Tag.DATE_TIME: 12, Tag.DATE: 5, Tag.TIME: 4}
# By tag octet: the tag, its reader, and the octets of tag and value together.
FIXED: dict[int, tuple[Tag, Callable[[bytes, int], tuple[DataValue, ...]], int]] = {
    tag: (tag, reader.unpack_from, 1 + reader.size)
    for tag, reader in (
        *((tag, struct.Struct(f">{layout}")) for tag, layout in LAYOUTS.items()),
        *((tag, struct.Struct(f"{size}s")) for tag, size in RAW_SIZES.items()),
    )
}


def array(*elements: Data) -> Data:
    """Return an ARRAY; its elements should be of one type."""
    return Data(Tag.ARRAY, elements)


def structure(*elements: Data) -> Data:
    """Return a STRUCTURE."""
    return Data(Tag.STRUCTURE, elements)


def boolean(value: bool) -> Data:  # noqa: FBT001 - the value is the whole point of the call
    """Return a BOOLEAN."""
    return Data(Tag.BOOLEAN, value)


def bit_string(bits: str) -> Data:
    """Return a BIT_STRING of "0" and "1"."""
    return Data(Tag.BIT_STRING, bits)


def octets(value: bytes) -> Data:
    """Return an OCTET_STRING."""
    return Data(Tag.OCTET_STRING, value)


def visible(text: str) -> Data:
    """Return a VISIBLE_STRING."""
    return Data(Tag.VISIBLE_STRING, text)


def utf8(text: str) -> Data:
    """Return a UTF8_STRING."""
    return Data(Tag.UTF8_STRING, text)


def int8(value: int) -> Data:
    """Return an INT8 (integer)."""
    return Data(Tag.INT8, value)


def int16(value: int) -> Data:
    """Return an INT16 (long)."""
    return Data(Tag.INT16, value)


def int32(value: int) -> Data:
    """Return an INT32 (double-long)."""
    return Data(Tag.INT32, value)


def int64(value: int) -> Data:
    """Return an INT64 (long64)."""
    return Data(Tag.INT64, value)


def uint8(value: int) -> Data:
    """Return a UINT8 (unsigned)."""
    return Data(Tag.UINT8, value)


def uint16(value: int) -> Data:
    """Return a UINT16 (long-unsigned)."""
    return Data(Tag.UINT16, value)


def uint32(value: int) -> Data:
    """Return a UINT32 (double-long-unsigned)."""
    return Data(Tag.UINT32, value)


def uint64(value: int) -> Data:
    """Return a UINT64 (long64-unsigned)."""
    return Data(Tag.UINT64, value)


def enum(value: int) -> Data:
    """Return an ENUM."""
    return Data(Tag.ENUM, value)


def float32(value: float) -> Data:
    """Return a FLOAT32."""
    return Data(Tag.FLOAT32, value)


def float64(value: float) -> Data:
    """Return a FLOAT64."""
    return Data(Tag.FLOAT64, value)
