"""Captures of one register over about a day: one line per point of the grid, one column per twin.

A twin's day of quarter hours takes 960 bytes. Integers and numbers are kept in 32 bits until one
does not fit, which a meter of eight digits never sees.
"""

import hashlib
import zlib
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from metertwin.core.batch import Int64s, UInt8s

Integers = NDArray[np.signedinteger]
_GROWTH = 16


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Captures as columns (n,); where nothing was captured `sequences` is 0.

    Attributes:
        sequences: Number of the reading, from 1; the higher one wins.
        integers: Register integers.
        quality: `Quality` bits.
        origin: `Origin` values.
    """

    sequences: Int64s
    integers: Int64s
    quality: UInt8s
    origin: UInt8s

    @classmethod
    def none(cls, size: int | tuple[int, ...]) -> "Cells":
        """Return cells without a capture."""
        return cls(
            np.zeros(size, np.int64),
            np.zeros(size, np.int64),
            np.zeros(size, np.uint8),
            np.zeros(size, np.uint8),
        )

    def take(self, at: NDArray[np.int64] | NDArray[np.bool_]) -> "Cells":
        """Return the chosen cells."""
        return Cells(self.sequences[at], self.integers[at], self.quality[at], self.origin[at])


class _Packed(msgspec.Struct, array_like=True, frozen=True):
    rows: int
    sequence_bytes: int
    integer_bytes: int
    planes: bytes


class CaptureBlock:
    """Captures of `slots_count` points of the grid, written by cell and read by rows."""

    def __init__(self, slots_count: int) -> None:
        self.slots_count = slots_count
        self._sequences: Integers = np.zeros((slots_count, 0), np.int32)
        self._integers: Integers = np.zeros((slots_count, 0), np.int32)
        self._quality: UInt8s = np.zeros((slots_count, 0), np.uint8)
        self._origin: UInt8s = np.zeros((slots_count, 0), np.uint8)
        self._packed: tuple[str, bytes] | None = None

    @property
    def size_bytes(self) -> int:
        """Memory of the planes, in bytes."""
        planes = (self._sequences, self._integers, self._quality, self._origin)
        return sum(plane.nbytes for plane in planes)

    @property
    def rows_count(self) -> int:
        """How many rows there is room for."""
        return int(self._sequences.shape[1])

    def put(self, slot_index: Int64s, rows: Int64s, cells: Cells) -> None:
        """Write captures where they are newer; give them ordered by number, the highest last."""
        self._make_room(int(rows.max(initial=-1)) + 1)
        at = slot_index * self.rows_count + rows
        is_newer = cells.sequences > self._sequences.ravel()[at]
        if not is_newer.any():
            return
        at, cells = at[is_newer], cells.take(is_newer)
        self._sequences = _wide_enough(self._sequences, cells.sequences)
        self._integers = _wide_enough(self._integers, cells.integers)
        self._sequences.ravel()[at] = cells.sequences
        self._integers.ravel()[at] = cells.integers
        self._quality.ravel()[at] = cells.quality
        self._origin.ravel()[at] = cells.origin
        self._packed = None

    def look(self, slot_index: Int64s, rows: Int64s) -> Cells:
        """Return cells one by one."""
        found = Cells.none(len(rows))
        is_here = rows < self.rows_count
        at = slot_index[is_here] * self.rows_count + rows[is_here]
        found.sequences[is_here] = self._sequences.ravel()[at]
        found.integers[is_here] = self._integers.ravel()[at]
        found.quality[is_here] = self._quality.ravel()[at]
        found.origin[is_here] = self._origin.ravel()[at]
        return found

    def copy_to(self, whole: Cells, first_index: int, slots: slice, rows: Int64s) -> None:
        """Copy the lines of `slots` into lines of `whole`, shape (n_lines, n_rows)."""
        lines = slice(first_index, first_index + slots.stop - slots.start)
        here = np.flatnonzero(rows < self.rows_count)
        pairs = (
            (whole.sequences, self._sequences),
            (whole.integers, self._integers),
            (whole.quality, self._quality),
            (whole.origin, self._origin),
        )
        for to, plane in pairs:
            to[lines, here] = plane[slots, rows[here]]

    def present(self) -> tuple[Int64s, Int64s]:
        """Return slot and row of every capture."""
        slots, rows = np.nonzero(self._sequences)
        return slots.astype(np.int64), rows.astype(np.int64)

    def scale(self, factor: int) -> None:
        """Multiply all integers: the register turned out to be counted finer."""
        scaled = self._integers.astype(np.int64) * factor
        self._integers = scaled.astype(_narrowest(scaled))
        self._packed = None

    def move_rows(self, places: Int64s) -> None:
        """Put row i where `places[i]` says; rows without a place are none."""
        count = min(self.rows_count, len(places))
        to = places[:count]
        for name in ("_sequences", "_integers", "_quality", "_origin"):
            plane = getattr(self, name)
            moved = np.zeros((self.slots_count, int(to.max(initial=-1)) + 1), plane.dtype)
            moved[:, to] = plane[:, :count]
            setattr(self, name, moved)
        self._packed = None

    def packed(self) -> tuple[str, bytes]:
        """Return a name that follows from the content, and the content compressed.

        Equal content gives equal bytes. Done once for as long as nothing is written.
        """
        if self._packed is None:
            octets = self._pack()
            self._packed = (name_of(octets), octets)
        return self._packed

    @classmethod
    def unpack(cls, octets: bytes, slots_count: int | None = None) -> "CaptureBlock":
        """Return the block of `packed` bytes.

        Args:
            octets: The bytes.
            slots_count: How many slots there must be; None for as many as there are.

        Raises:
            ValueError: They are damaged or of another number of slots.
        """
        try:
            packed = msgspec.msgpack.decode(octets, type=_Packed)
            planes = zlib.decompress(packed.planes)
        except (msgspec.DecodeError, zlib.error) as error:
            raise ValueError(f"a block of captures is damaged: {error}") from None
        widths = (packed.sequence_bytes, packed.integer_bytes, 1, 1)
        if slots_count is None:
            slots_count = len(planes) // max(sum(widths) * packed.rows, 1)
        is_whole = len(planes) == sum(widths) * packed.rows * slots_count
        if not {*widths} <= {1, 4, 8} or not slots_count or not is_whole:
            raise ValueError("a block of captures has another size than it announces")
        block, shape, start, whole = cls(slots_count), (slots_count, packed.rows), 0, []
        for width in widths:
            end = start + width * shape[0] * shape[1]
            whole.append(_restored(planes[start:end], width, shape))
            start = end
        block._sequences, block._integers = whole[0], whole[1]
        block._quality, block._origin = whole[2].view(np.uint8), whole[3].view(np.uint8)
        block._packed = (name_of(octets), octets)
        return block

    def _pack(self) -> bytes:
        used = np.flatnonzero(self._sequences.any(axis=0))
        count = int(used[-1]) + 1 if len(used) else 0
        sequences = self._sequences[:, :count]
        integers = self._integers[:, :count]
        sequences = sequences.astype(_narrowest(sequences))
        integers = integers.astype(_narrowest(integers))
        planes = (sequences, integers, self._quality[:, :count], self._origin[:, :count])
        return msgspec.msgpack.encode(
            _Packed(
                count,
                sequences.dtype.itemsize,
                integers.dtype.itemsize,
                zlib.compress(b"".join(_steps(plane) for plane in planes), level=1),
            )
        )

    def _make_room(self, needed_count: int) -> None:
        added = needed_count - self.rows_count
        if added <= 0:
            return
        grown = ((0, 0), (0, max(added, _GROWTH, self.rows_count // 8)))
        self._sequences = np.pad(self._sequences, grown)
        self._integers = np.pad(self._integers, grown)
        self._quality = np.pad(self._quality, grown)
        self._origin = np.pad(self._origin, grown)


def _wide_enough(plane: Integers, values: Int64s) -> Integers:
    if plane.dtype == np.int64 or _narrowest(values) == np.int32:
        return plane
    return plane.astype(np.int64)


def _narrowest(values: Integers) -> type[np.int32 | np.int64]:
    limits = np.iinfo(np.int32)
    fits = limits.min <= int(values.min(initial=0)) and int(values.max(initial=0)) <= limits.max
    return np.int32 if fits else np.int64


def _steps(plane: Integers | UInt8s) -> bytes:
    """Return the differences from line to line, byte by byte of their significance."""
    steps = np.diff(plane, axis=0, prepend=np.zeros((1, plane.shape[1]), plane.dtype))
    width = plane.dtype.itemsize
    return np.ascontiguousarray(steps).view(np.uint8).reshape(-1, width).T.tobytes()


def _restored(octets: bytes, width: int, shape: tuple[int, int]) -> Integers:
    dtype = np.dtype(f"i{width}")
    by_value = np.frombuffer(octets, np.uint8).reshape(width, -1).T
    steps = np.ascontiguousarray(by_value).reshape(-1).view(dtype).reshape(shape)
    return np.cumsum(steps, axis=0, dtype=dtype)


def name_of(octets: bytes) -> str:
    """Return the name that follows from a packed block's content."""
    return hashlib.blake2b(octets, digest_size=16).hexdigest()
