"""The recent captures of one register of a group's meters, in blocks of about a day."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metertwin.core.batch import Int64s
from metertwin.core.profile import align_captures
from metertwin.core.reading import Register
from metertwin.core.register_series import US_PER_S
from metertwin.twins.apps.blocks import CaptureBlock, Cells

_DAY_S = 86_400
_NO_SCALER = -128


@dataclass(frozen=True, slots=True, eq=False)
class Captured:
    """Captures as they arrive, columns (n,), all of one register.

    Attributes:
        rows: Twin of each.
        captured_at_us: Meter's time, microseconds since 1970 UTC.
        cells: Number, integer, quality and origin.
    """

    rows: Int64s
    captured_at_us: Int64s
    cells: Cells

    def take(self, at: NDArray[np.int64] | NDArray[np.bool_]) -> "Captured":
        """Return the chosen captures."""
        return Captured(self.rows[at], self.captured_at_us[at], self.cells.take(at))


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """Intervals that captures told or changed, columns (n,), sorted by start, then row.

    Attributes:
        rows: Twin.
        starts_us: Start of the interval, microseconds since 1970 UTC.
        is_changed: Whether it was known before with another energy.
    """

    rows: Int64s
    starts_us: Int64s
    is_changed: NDArray[np.bool_]

    def since(self, first_us: int) -> "Told":
        """Return those that do not begin before `first_us`."""
        first = int(np.searchsorted(self.starts_us, first_us))
        return Told(self.rows[first:], self.starts_us[first:], self.is_changed[first:])


class CaptureSeries:
    """Captures of one quantity, unit and period; integers in the finest scaler that was met.

    Attributes:
        register: With the finest scaler.
        row_scalers: Coarsest scaler of each twin, -128 where it has none, shape (n_rows,).
        blocks: By number; block k holds the points k * slots to (k + 1) * slots - 1 of the grid.
    """

    def __init__(self, register: Register) -> None:
        self.register = register
        self.row_scalers: NDArray[np.int8] = np.zeros(0, np.int8)
        self.blocks: dict[int, CaptureBlock] = {}
        self.slots_count = max(_DAY_S // register.period_s, 1)

    @property
    def period_us(self) -> int:
        """Capture period in microseconds."""
        return self.register.period_s * US_PER_S

    def put(self, captured: Captured, scaler: int) -> Told:
        """Take captures of this quantity, counted in 10^scaler, and say what that told."""
        self._note_scaler(captured.rows, scaler)
        aligned = align_captures(captured.captured_at_us, self.register.period_s)
        on_grid = captured.take(aligned.is_on_grid)
        points = aligned.interval_start_us[aligned.is_on_grid] // self.period_us + 1
        order = np.argsort(on_grid.cells.sequences, kind="stable")
        rows, points, cells = on_grid.rows[order], points[order], on_grid.cells.take(order)
        factor = 10 ** (scaler - self.register.scaler)
        cells = Cells(cells.sequences, cells.integers * factor, cells.quality, cells.origin)
        touched_rows, touched = _neighbouring(rows, points)
        before = self._ends(touched_rows, touched)
        for number, at in _by_block(points // self.slots_count):
            block = self.blocks.setdefault(number, CaptureBlock(self.slots_count))
            block.put(points[at] - number * self.slots_count, rows[at], cells.take(at))
        return self._told(touched_rows, touched, before)

    def everything(self, first_us: int) -> Told:
        """Return all intervals known, the first beginning not before `first_us`."""
        rows, points = [], []
        for number, block in sorted(self.blocks.items()):
            slots, of_rows = block.present()
            rows.append(of_rows)
            points.append(slots + number * self.slots_count)
        all_rows = np.concatenate(rows) if rows else np.zeros(0, np.int64)
        all_points = np.concatenate(points) if points else np.zeros(0, np.int64)
        wanted = all_points * self.period_us >= first_us
        all_rows, all_points = all_rows[wanted], all_points[wanted]
        is_known = self._look(all_rows, all_points + 1).sequences > 0
        starts_us = all_points[is_known] * self.period_us
        return Told(all_rows[is_known], starts_us, np.zeros(len(starts_us), bool))

    def captures(self, first_index: int, count: int, rows: Int64s) -> Cells:
        """Return the captures at `count` points from `first_index` on, shape (n_rows, count)."""
        whole = Cells.none((count, len(rows)))
        end_point = first_index + count
        for number, block in self.blocks.items():
            begin = number * self.slots_count
            first, end = max(begin, first_index), min(begin + self.slots_count, end_point)
            if first < end:
                block.copy_to(whole, first - first_index, slice(first - begin, end - begin), rows)
        return Cells(*(np.ascontiguousarray(plane.T) for plane in _planes(whole)))

    def newest_points(self, rows: Int64s) -> Int64s:
        """Return the newest point of the grid each twin has a capture at, -1 without any."""
        newest = np.full(len(rows), -1, np.int64)
        for number, block in self.blocks.items():
            slots, present_rows = block.present()
            of_row = np.full(max(block.rows_count, int(rows.max(initial=0)) + 1), -1, np.int64)
            np.maximum.at(of_row, present_rows, slots + number * self.slots_count)
            newest = np.maximum(newest, of_row[rows])
        return newest

    def factors(self, rows: Int64s) -> Int64s:
        """Return how many of this series' counts a count of each twin's own register is."""
        factors = np.ones(len(rows), np.int64)
        is_here = rows < len(self.row_scalers)
        scalers = self.row_scalers[rows[is_here]].astype(np.int64)
        apart = np.where(scalers == _NO_SCALER, 0, scalers - self.register.scaler)
        factors[is_here] = 10**apart
        return factors

    def move_rows(self, places: Int64s) -> None:
        """Put row i where `places[i]` says."""
        for block in self.blocks.values():
            block.move_rows(places)
        count = min(len(self.row_scalers), len(places))
        moved = np.full(int(places[:count].max(initial=-1)) + 1, _NO_SCALER, np.int8)
        moved[places[:count]] = self.row_scalers[:count]
        self.row_scalers = moved

    def adopt(self, other: "CaptureSeries", places: Int64s) -> None:
        """Take captures of another series of this quantity.

        Args:
            other: The series.
            places: Row here of each row there, -1 for those not wanted, shape (n_rows,).
        """
        count = min(len(other.row_scalers), len(places))
        wanted = np.flatnonzero((places[:count] >= 0) & (other.row_scalers[:count] != _NO_SCALER))
        if not len(wanted):
            return
        self._note_scaler(places[wanted], other.register.scaler)
        self.row_scalers[places[wanted]] = other.row_scalers[wanted]
        factor = 10 ** (other.register.scaler - self.register.scaler)
        for number, block in other.blocks.items():
            slots, rows = block.present()
            is_wanted = places[rows] >= 0
            slots, rows = slots[is_wanted], rows[is_wanted]
            if not len(rows):
                continue
            seen = block.look(slots, rows)
            cells = Cells(seen.sequences, seen.integers * factor, seen.quality, seen.origin)
            to = self.blocks.setdefault(number, CaptureBlock(self.slots_count))
            to.put(slots, places[rows], cells)

    def drop_before(self, first_us: int) -> None:
        """Forget blocks that end before `first_us`."""
        for number in [*self.blocks]:
            if (number + 1) * self.slots_count * self.period_us <= first_us:
                del self.blocks[number]

    def _note_scaler(self, rows: Int64s, scaler: int) -> None:
        if scaler < self.register.scaler:
            factor = 10 ** (self.register.scaler - scaler)
            for block in self.blocks.values():
                block.scale(factor)
            self.register = self.register._replace(scaler=scaler)
        added = int(rows.max(initial=-1)) + 1 - len(self.row_scalers)
        if added > 0:
            grown = (0, added)
            self.row_scalers = np.pad(self.row_scalers, grown, constant_values=_NO_SCALER)
        self.row_scalers[rows] = np.maximum(self.row_scalers[rows], scaler)

    def _look(self, rows: Int64s, points: Int64s) -> Cells:
        found = Cells.none(len(rows))
        for number, at in _by_block(points // self.slots_count):
            block = self.blocks.get(number)
            if block is None:
                continue
            seen = block.look(points[at] - number * self.slots_count, rows[at])
            for to, plane in zip(_planes(found), _planes(seen), strict=True):
                to[at] = plane
        return found

    def _ends(self, rows: Int64s, points: Int64s) -> tuple[Cells, Cells]:
        return self._look(rows, points), self._look(rows, points + 1)

    def _told(self, rows: Int64s, points: Int64s, before: tuple[Cells, Cells]) -> Told:
        after = self._ends(rows, points)
        was_known = (before[0].sequences > 0) & (before[1].sequences > 0)
        is_known = (after[0].sequences > 0) & (after[1].sequences > 0)
        is_other = (after[1].integers - after[0].integers) != (
            before[1].integers - before[0].integers
        )
        differs = is_other.copy()
        for new, old in zip(after, before, strict=True):
            differs |= (new.quality != old.quality) | (new.origin != old.origin)
        told = is_known & (~was_known | differs)
        return Told(rows[told], points[told] * self.period_us, (was_known & is_other)[told])


def _neighbouring(rows: Int64s, points: Int64s) -> tuple[Int64s, Int64s]:
    """Return the intervals before and after each point, each once, sorted by start and row."""
    width = int(rows.max(initial=0)) + 1
    keys = np.unique(np.concatenate([(points - 1) * width + rows, points * width + rows]))
    return keys % width, keys // width


def _by_block(numbers: Int64s) -> list[tuple[int, Int64s]]:
    """Return the places of each block's points, in their order."""
    if len(numbers) and (numbers == numbers[0]).all():
        return [(int(numbers[0]), np.arange(len(numbers)))]
    return [(number, np.flatnonzero(numbers == number)) for number in np.unique(numbers).tolist()]


def _planes(cells: Cells) -> tuple[NDArray[np.integer], ...]:
    return cells.sequences, cells.integers, cells.quality, cells.origin
