"""The COSEM data types: what an attribute can hold, and its A-XDR octets.

A value is a `Data`: a tag and a plain Python value. Decoding is bounded, so that no input hangs or
grows memory: every announced count is compared with the octets that are left, and nesting stops at
`MAX_DEPTH`. Tags as in the Data CHOICE of the DLMS UA Green Book.
"""

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple, TypeAlias

from metertwin.cosem.errors import DecodeError, EncodeError, UnexpectedTypeError
from metertwin.cosem.lengths import encode_length, read_length

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


DataValue: TypeAlias = "None | bool | int | float | str | bytes | tuple[Data, ...]"


class Data(NamedTuple):
    """One COSEM value.

    The value is None for NULL; a tuple of Data for ARRAY, STRUCTURE and COMPACT_ARRAY; bool for
    BOOLEAN; int for the integers, ENUM and BCD (its octet as it stands); float for the floats; a
    str of "0" and "1" for BIT_STRING; str for VISIBLE_STRING (octets read as Latin-1, so that no
    meter's text is lost) and UTF8_STRING; bytes for OCTET_STRING, DATE_TIME (12), DATE (5) and
    TIME (4). A COMPACT_ARRAY is only read: it is encoded as the ARRAY that means the same.
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

_LAYOUTS: dict[Tag, str] = {
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
_RAW_SIZES = {Tag.DATE_TIME: 12, Tag.DATE: 5, Tag.TIME: 4}
_PACKERS = {tag: struct.Struct(f">B{layout}").pack for tag, layout in _LAYOUTS.items()}
# By tag octet: the tag, its reader, and the octets of tag and value together.
_FIXED: dict[int, tuple[Tag, Callable[[bytes, int], tuple[DataValue, ...]], int]] = {
    tag: (tag, reader.unpack_from, 1 + reader.size)
    for tag, reader in (
        *((tag, struct.Struct(f">{layout}")) for tag, layout in _LAYOUTS.items()),
        *((tag, struct.Struct(f"{size}s")) for tag, size in _RAW_SIZES.items()),
    )
}
_TEXT_CODECS = {Tag.VISIBLE_STRING: "latin-1", Tag.UTF8_STRING: "utf-8"}


def encode(data: Data) -> bytes:
    """Return the A-XDR octets of a value.

    Raises:
        EncodeError: A value does not fit its tag, or nests deeper than `MAX_DEPTH`.

    Example:
        >>> encode(structure(octets(bytes(2)), uint32(1234))).hex()
        '020209020000' '06000004d2'
    """
    out = bytearray()
    _write(data, out, 0)
    return bytes(out)


def _write(data: Data, out: bytearray, depth: int) -> None:
    tag, value = data
    try:
        packer = _PACKERS.get(tag)
        if packer is not None:
            out += packer(tag, value)
        elif tag is Tag.OCTET_STRING and isinstance(value, bytes):
            out.append(tag)
            out += encode_length(len(value))
            out += value
        else:
            _write_variable(data, out, depth)
    except (struct.error, OverflowError, UnicodeEncodeError) as error:
        raise EncodeError(
            f"Value {value!r:.40} does not fit type {tag!r}: {error}.", value=repr(value)[:40]
        ) from error


def _write_variable(data: Data, out: bytearray, depth: int) -> None:
    match data:
        case (Tag.ARRAY | Tag.STRUCTURE | Tag.COMPACT_ARRAY, tuple(elements)) if depth < MAX_DEPTH:
            out.append(Tag.STRUCTURE if data.tag is Tag.STRUCTURE else Tag.ARRAY)
            out += encode_length(len(elements))
            for element in elements:
                _write(element, out, depth + 1)
        case (Tag.NULL, None):
            out.append(Tag.NULL)
        case (Tag.VISIBLE_STRING | Tag.UTF8_STRING as tag, str(text)):
            raw = text.encode(_TEXT_CODECS[tag])
            out.append(tag)
            out += encode_length(len(raw)) + raw
        case (Tag.BIT_STRING, str(bits)) if not bits.strip("01"):
            out.append(Tag.BIT_STRING)
            out += encode_length(len(bits)) + _bits_to_octets(bits)
        case (Tag.DATE_TIME | Tag.DATE | Tag.TIME as tag, bytes(raw)) if (
            len(raw) == _RAW_SIZES[tag]
        ):
            out.append(tag)
            out += raw
        case _:
            raise EncodeError(
                f"Value {data.value!r:.40} is not a {data.tag!r} nested at most {MAX_DEPTH} deep.",
                value=repr(data.value)[:40],
            )


def _bits_to_octets(bits: str) -> bytes:
    octet_count = (len(bits) + 7) // 8
    return int(bits.ljust(8 * octet_count, "0") or "0", 2).to_bytes(octet_count, "big")


def decode_all(octets: bytes) -> Data:
    """Return the one value the octets hold.

    Raises:
        DecodeError: They are not exactly one well-formed value.
    """
    data, end = decode(octets)
    if end != len(octets):
        raise DecodeError(f"{len(octets) - end} octets follow the value.", offset=end)
    return data


def decode(octets: bytes, offset: int = 0) -> tuple[Data, int]:
    """Return the value that starts at `offset` and the offset behind it.

    Raises:
        DecodeError: The octets are not a well-formed value.
    """
    try:
        return read_value(octets, offset, 0)
    except (IndexError, struct.error):
        raise DecodeError(
            f"The value that starts at offset {offset} needs more than the {len(octets)} octets.",
            offset=len(octets),
        ) from None


def read_value(octets: bytes, offset: int, depth: int) -> tuple[Data, int]:
    """Return the value at `offset` and the offset behind it; `depth` values enclose it.

    Raises:
        DecodeError: The octets are not a well-formed value.
        IndexError: They end within it; `decode` turns this into a DecodeError.
        struct.error: As IndexError.
    """
    code = octets[offset]
    fixed = _FIXED.get(code)
    if fixed is not None:
        tag, unpack_from, size = fixed
        return Data(tag, unpack_from(octets, offset + 1)[0]), offset + size
    if code in {Tag.OCTET_STRING, Tag.VISIBLE_STRING, Tag.UTF8_STRING}:
        return _read_string(octets, offset)
    if code in {Tag.STRUCTURE, Tag.ARRAY}:
        return _read_elements(octets, offset, depth)
    if code == Tag.NULL:
        return NULL, offset + 1
    if code == Tag.BIT_STRING:
        return _read_bits(octets, offset)
    if code == Tag.COMPACT_ARRAY:
        # Imported here because a compact array's description and this module need each other.
        from metertwin.cosem.compact import read_compact_array  # noqa: PLC0415

        return read_compact_array(octets, offset + 1, depth)
    raise DecodeError(f"Tag {code} at offset {offset} is no COSEM data type.", offset=offset)
