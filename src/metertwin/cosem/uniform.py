"""Reads rows of one layout: the case of nearly every load profile.

The first row tells where tags and lengths stand. As long as the next rows have the same octets
there, one comparison and one unpacking read a whole row, twice as fast as value by value.
"""

from itertools import repeat
from struct import Struct
from typing import NamedTuple

from metertwin.cosem.values import LAYOUTS, RAW_SIZES, Data, Tag

_SHORT_LENGTH_MAX = 0x7F
_MIN_ROWS = 3
_new = tuple.__new__
# By tag: octets of the value and how `struct` names it.
_FORMATS: dict[int, tuple[int, str]] = {
    **{tag: (Struct(f">{letter}").size, letter) for tag, letter in LAYOUTS.items()},
    **{tag: (size, f"{size}s") for tag, size in RAW_SIZES.items()},
}


class _Layout(NamedTuple):
    """Where the octets that rows share stand, as a mask over the row as one integer."""

    row: Struct
    tags: tuple[Tag, ...]
    mask: int


def read_uniform_rows(octets: bytes, start: int, end: int, count: int) -> tuple[list[Data], int]:
    """Return the structures that follow one and have its layout, and the offset behind them.

    Args:
        octets: What is decoded.
        start: Where the row before starts.
        end: Where it ends, and the next one starts.
        count: How many more rows there are at most.
    """
    rows: list[Data] = []
    if count < _MIN_ROWS or octets[start] != Tag.STRUCTURE:
        return rows, end
    size = end - start
    layout = _layout_of(octets[start:end])
    if layout is None:
        return rows, end
    unpack, tags, mask = layout.row.unpack, layout.tags, layout.mask
    structure_tag = Tag.STRUCTURE
    pattern = int.from_bytes(octets[start:end], "big") & mask
    for _ in range(count):
        row = octets[end : end + size]
        if len(row) != size or int.from_bytes(row, "big") & mask != pattern:
            break
        # map and zip keep the loop over cells out of the interpreter.
        cells = tuple(map(_new, repeat(Data), zip(tags, unpack(row), strict=True)))
        rows.append(_new(Data, (structure_tag, cells)))
        end += size
    return rows, end


def _layout_of(row: bytes) -> _Layout | None:
    """Return the layout of an encoded structure, or None if it has not only fixed-size values.

    Octet strings count as fixed: a profile's times have 12 octets in every row.
    """
    if row[1] > _SHORT_LENGTH_MAX:
        return None
    layout, tags = ">2x", []
    fixed = bytearray(b"\xff\xff")
    position = 2
    while position < len(row):
        code = row[position]
        if code == Tag.OCTET_STRING and row[position + 1] <= _SHORT_LENGTH_MAX:
            size = row[position + 1]
            layout += f"2x{size}s"
            fixed += b"\xff\xff" + bytes(size)
            position += 2 + size
        elif code in _FORMATS:
            size, letter = _FORMATS[code]
            layout += f"x{letter}"
            fixed += b"\xff" + bytes(size)
            position += 1 + size
        else:
            return None
        tags.append(Tag(code))
    return _Layout(Struct(layout), tuple(tags), int.from_bytes(fixed, "big"))
