"""A-XDR: COSEM values to octets and back.

Decoding is bounded, so that no input hangs or grows memory: every announced count is compared with
the octets that are left, and nesting stops at `MAX_DEPTH`.
"""

import struct

from metertwin.cosem.compact import read_compact_array
from metertwin.cosem.errors import DecodeError, EncodeError
from metertwin.cosem.lengths import encode_length, read_length
from metertwin.cosem.strings import STRING_TAGS, encode_bits, read_string
from metertwin.cosem.uniform import read_uniform_rows
from metertwin.cosem.values import (
    FIXED,
    LAYOUTS,
    MAX_DEPTH,
    NULL,
    RAW_SIZES,
    Data,
    DataValue,
    Tag,
    array,
    bit_string,
    boolean,
    enum,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    octets,
    structure,
    uint8,
    uint16,
    uint32,
    uint64,
    utf8,
    visible,
)

__all__ = [
    "MAX_DEPTH",
    "NULL",
    "Data",
    "DataValue",
    "Tag",
    "array",
    "bit_string",
    "boolean",
    "decode",
    "decode_all",
    "encode",
    "enum",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "octets",
    "structure",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "utf8",
    "visible",
]

_PACKERS = {tag: struct.Struct(f">B{layout}").pack for tag, layout in LAYOUTS.items()}
# What Data(...) does, without the call in between: half the time of reading a load profile.
_new = tuple.__new__
_OCTET_STRING = Tag.OCTET_STRING
_LONG_LENGTH = 0x80
_TEXT_CODECS = {Tag.VISIBLE_STRING: "latin-1", Tag.UTF8_STRING: "utf-8"}


def encode(data: Data) -> bytes:
    """Return the A-XDR octets of a value.

    Raises:
        EncodeError: A value does not fit its tag, or nests deeper than `MAX_DEPTH`.

    Example:
        >>> encode(structure(octets(bytes(2)), uint32(1234))).hex()
        '02020902000006000004d2'
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
        elif tag is _OCTET_STRING and isinstance(value, bytes):
            length_count = len(value)
            if length_count < _LONG_LENGTH:
                out += bytes((_OCTET_STRING, length_count)) + value
            else:
                out.append(_OCTET_STRING)
                out += encode_length(length_count)
                out += value
        else:
            _write_variable(data, out, depth)
    except (struct.error, OverflowError, UnicodeEncodeError) as error:
        raise EncodeError(
            f"Value {value!r:.40} does not fit type {tag!r}: {error}.", value=repr(value)[:40]
        ) from error


def _write_variable(data: Data, out: bytearray, depth: int) -> None:
    match data:
        case (Tag.ARRAY | Tag.STRUCTURE, tuple(elements)) if depth < MAX_DEPTH:
            out.append(data.tag)
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
            out += encode_bits(bits)
        case (Tag.DATE_TIME | Tag.DATE | Tag.TIME as tag, bytes(raw)) if len(raw) == RAW_SIZES[tag]:
            out.append(tag)
            out += raw
        case _:
            raise EncodeError(
                f"Value {data.value!r:.40} is not a {data.tag!r} nested at most {MAX_DEPTH} deep.",
                value=repr(data.value)[:40],
            )


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
        return _read(octets, offset, 0)
    except (IndexError, struct.error):
        raise DecodeError(
            f"The value that starts at offset {offset} needs more than the {len(octets)} octets.",
            offset=len(octets),
        ) from None


def _read(octets: bytes, offset: int, depth: int) -> tuple[Data, int]:
    code = octets[offset]
    fixed = FIXED.get(code)
    if fixed is not None:
        tag, unpack_from, size = fixed
        return _new(Data, (tag, unpack_from(octets, offset + 1)[0])), offset + size
    if code in STRING_TAGS:
        return read_string(code, octets, offset + 1)
    if code in {Tag.STRUCTURE, Tag.ARRAY}:
        return _read_elements(octets, offset, depth)
    if code == Tag.NULL:
        return NULL, offset + 1
    if code == Tag.COMPACT_ARRAY:
        return read_compact_array(octets, offset + 1, depth)
    raise DecodeError(f"Tag {code} at offset {offset} is no COSEM data type.", offset=offset)


def _read_elements(octets: bytes, offset: int, depth: int) -> tuple[Data, int]:
    tag = Tag.STRUCTURE if octets[offset] == Tag.STRUCTURE else Tag.ARRAY
    count, position = read_length(octets, offset + 1)
    if count > len(octets) - position or depth >= MAX_DEPTH:
        raise DecodeError(
            f"{tag.name} at offset {offset} announces {count} elements at depth {depth}; "
            f"{len(octets) - position} octets are left and nesting ends at {MAX_DEPTH}.",
            offset=offset,
            count=count,
        )
    elements: list[Data] = []
    while len(elements) < count:
        fixed = FIXED.get(octets[position])
        # Most elements are integers: reading them here saves a call for each.
        if fixed is not None:
            element_tag, unpack_from, size = fixed
            elements.append(_new(Data, (element_tag, unpack_from(octets, position + 1)[0])))
            position += size
        else:
            start = position
            element, position = _read(octets, start, depth + 1)
            elements.append(element)
            if len(elements) == 1 and tag is Tag.ARRAY:
                rows, position = read_uniform_rows(octets, start, position, count - 1)
                elements += rows
    return _new(Data, (tag, tuple(elements))), position
