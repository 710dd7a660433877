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
_SIZES: dict[int, int] = {
    **{int(tag): Struct(f">{letter}").size for tag, letter in LAYOUTS.items()},
    **{int(tag): size for tag, size in RAW_SIZES.items()},
}


class Layout(NamedTuple):
    """How an encoded structure of fixed-size values is laid out.

    Attributes:
        tags: The elements' types.
        offsets: Where their values start, in octets from the structure's tag.
        sizes: How many octets their values take.
        fixed: One octet per octet of the row: FF where all rows must agree, tags and lengths.
    """

    tags: tuple[Tag, ...]
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    fixed: bytes

    def reader(self) -> Struct:
        """Return what unpacks a row's values."""
        layout, position = ">", 0
        for tag, offset, size in zip(self.tags, self.offsets, self.sizes, strict=True):
            layout += f"{offset - position}x{LAYOUTS.get(tag) or f'{size}s'}"
            position = offset + size
        return Struct(layout)


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
    layout = layout_of(octets[start:end])
    if layout is None:
        return rows, end
    unpack, tags = layout.reader().unpack, layout.tags
    mask = int.from_bytes(layout.fixed, "big")
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


def layout_of(row: bytes) -> Layout | None:
    """Return the layout of an encoded structure, or None if it has not only fixed-size values.

    Octet strings count as fixed: a profile's times have 12 octets in every row.
    """
    if not 0 < row[1] <= _SHORT_LENGTH_MAX:  # without elements there is nothing to unpack
        return None
    tags, offsets, sizes = [], [], []
    fixed = bytearray(b"\xff\xff")
    position = 2
    while position < len(row):
        code = row[position]
        if code == Tag.OCTET_STRING and row[position + 1] <= _SHORT_LENGTH_MAX:
            head, size = b"\xff\xff", row[position + 1]
        elif code in _SIZES:
            head, size = b"\xff", _SIZES[code]
        else:
            return None
        fixed += head + bytes(size)
        tags.append(Tag(code))
        offsets.append(position + len(head))
        sizes.append(size)
        position += len(head) + size
    return Layout(tuple(tags), tuple(offsets), tuple(sizes), bytes(fixed))
