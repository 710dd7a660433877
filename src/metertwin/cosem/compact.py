"""Compact arrays: one type description, then the elements' contents without their tags.

A compact array is read as the ARRAY of the same elements. Null, and arrays and structures without
elements, take no octets there, so a few octets could announce any number of them: they are refused.
"""

from typing import NamedTuple

from metertwin.cosem.errors import DecodeError
from metertwin.cosem.strings import STRING_TAGS, read_octets, read_string
from metertwin.cosem.values import FIXED, MAX_DEPTH, Data, Tag


class _Described(NamedTuple):
    """A type description; an array repeats its one part, a structure has its parts in turn."""

    code: int
    repeat_count: int
    parts: "tuple[_Described, ...]"


def read_compact_array(octets: bytes, offset: int, depth: int) -> tuple[Data, int]:
    """Return the ARRAY whose type description starts at `offset`, and the offset behind it.

    Raises:
        DecodeError: The description or the contents are not well formed.
        IndexError: The octets end within the compact array.
        struct.error: As IndexError.
    """
    if depth >= MAX_DEPTH:
        raise DecodeError(f"The compact array nests deeper than {MAX_DEPTH}.", offset=offset)
    described, offset = _read_description(octets, offset, depth + 1)
    contents, end = read_octets(octets, offset)
    elements = []
    position = 0
    while position < len(contents):
        element, position = _read_element(described, contents, position)
        elements.append(element)
    return Data(Tag.ARRAY, tuple(elements)), end


def _read_description(octets: bytes, offset: int, depth: int) -> tuple[_Described, int]:
    code = octets[offset]
    if code in FIXED or code in STRING_TAGS:
        return _Described(code, 0, ()), offset + 1
    part_count = repeat_count = 0
    position = offset + 1
    if code == Tag.ARRAY:
        part_count = 1
        repeat_count = int.from_bytes(octets[position : position + 2], "big")
        position += 2
    elif code == Tag.STRUCTURE:
        repeat_count = 1
        part_count = octets[position]
        position += 1
    if not part_count or not repeat_count or depth >= MAX_DEPTH:
        raise DecodeError(
            f"Type description {code:02X} at offset {offset}, depth {depth}, is not a type that "
            f"takes octets and nests at most {MAX_DEPTH} deep.",
            offset=offset,
        )
    parts = []
    for _ in range(part_count):
        part, position = _read_description(octets, position, depth + 1)
        parts.append(part)
    return _Described(code, repeat_count, tuple(parts)), position


def _read_element(described: _Described, contents: bytes, offset: int) -> tuple[Data, int]:
    code, repeat_count, parts = described
    fixed = FIXED.get(code)
    if fixed is not None:
        tag, unpack_from, size = fixed
        return Data(tag, unpack_from(contents, offset)[0]), offset + size - 1
    if not parts:
        return read_string(code, contents, offset)
    elements = []
    for _ in range(repeat_count):
        for part in parts:
            element, offset = _read_element(part, contents, offset)
            elements.append(element)
    return Data(Tag(code), tuple(elements)), offset
