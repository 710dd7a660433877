"""Estimates for what is not known, with the method of each run; nothing is ever filled silently.

A gap whose total the register knows is shared in the shape of the meter's like days, so that the
sum is exact. A gap without a total is bridged by a line when it is short, else filled with the mean
of like days, else with the last resort the rules name, else it stays unknown.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from metertwin.core.batch import Int64s
from metertwin.core.vee.days import TableDays
from metertwin.core.vee.like_days import LikeDayMeans, like_day_means
from metertwin.core.vee.rules import LastResort, VeeRules
from metertwin.core.vee.totals import NO_TOTAL, Totals, shared

Flags = NDArray[np.bool_]
_WEIGHT_RESOLUTION_COUNT = 1 << 20


class EstimationMethod(StrEnum):
    """How the intervals of a gap were estimated."""

    INTERPOLATED = "interpolated"  # a line between the neighbours
    LIKE_DAYS = "like_days"  # mean of the meter's days of one kind at the same time of day
    OTHER_DAYS = "other_days"  # mean of its days of any kind
    CLASS_AVERAGE = "class_average"  # mean of the table's other meters
    ZERO = "zero"  # nothing to go by, and the rules say 0
    REMAINDER = "remainder"  # one interval: the register's gain less what is known of it
    EVEN = "even"  # the register's gain in equal shares
    STOOD_STILL = "stood_still"  # the register gained nothing, so no interval did
    NONE = "none"  # left unknown


_DOUBTFUL = (
    EstimationMethod.OTHER_DAYS,
    EstimationMethod.CLASS_AVERAGE,
    EstimationMethod.ZERO,
    EstimationMethod.EVEN,
)


@dataclass(frozen=True, slots=True)
class EstimatedRun:
    """Neighbouring intervals of one meter, estimated in one way.

    Attributes:
        row: Meter's row.
        first_index: First interval.
        gains: Estimate of each interval; empty where left unknown.
        interval_count: Intervals in the run.
        method: How.
        total_gain: Counts that this run and others of the same total sum to, None without.
    """

    row: int
    first_index: int
    interval_count: int
    gains: tuple[int, ...]
    method: EstimationMethod
    total_gain: int | None

    @property
    def is_doubtful(self) -> bool:
        """Whether the estimate rests on less than the meter's own like days."""
        return self.method in _DOUBTFUL


def estimate(
    gain: Int64s,
    is_sound: Flags,
    is_missing: Flags,
    days: TableDays,
    *,
    totals: Totals,
    rules: VeeRules,
    period_s: int,
) -> list[EstimatedRun]:
    """Return an estimate for each run of missing intervals, sorted by meter and interval.

    Args:
        gain: Counts, shape (n_meters, n_intervals).
        is_sound: Which of them may be gone by: known, not estimated, not suspect.
        is_missing: Which are to be estimated.
        days: Days of the intervals.
        totals: What missing intervals must sum to.
        rules: Methods and their limits.
        period_s: Length of an interval.
    """
    row, column = np.nonzero(is_missing)
    if not len(row):
        return []
    means = like_day_means(gain, is_sound, days, (row, column), rules.like_day_window_days)
    cells = _Cells(row, column, totals.total_index[row, column], means, _others(gain, is_sound))
    by_total = dict(_shares(cells, totals, rules))
    most = int(rules.interpolation_hours * 3600 // period_s)
    runs = []
    for first, stop in cells.runs():
        total = int(cells.total[first])
        if total == NO_TOTAL:
            place = cells.place(first, stop)
            bridged = _bridged(gain, is_sound, place) if stop - first <= most else None
            method, gains = bridged or _from_days(cells, slice(first, stop), rules)
            total_gain = None
        else:
            method, by_cell = by_total[total]
            gains = [by_cell[cell] for cell in range(first, stop)]
            total_gain = totals.gain[total]
        at = (int(row[first]), int(column[first]), stop - first)
        runs.append(EstimatedRun(*at, tuple(gains), method, total_gain))
    return runs


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Missing intervals, sorted by row and interval, and what is known of their time."""

    row: Int64s
    column: Int64s
    total: Int64s
    means: LikeDayMeans
    other_meters: tuple[NDArray[np.float64], Int64s]

    def runs(self) -> Iterator[tuple[int, int]]:
        """Yield the positions [first, stop) of neighbours that share a total or have none."""
        ends = (np.diff(self.row) != 0) | (np.diff(self.column) != 1) | (np.diff(self.total) != 0)
        edges = [0, *(np.flatnonzero(ends) + 1).tolist(), len(self.row)]
        return pairwise(edges)

    def place(self, first: int, stop: int) -> tuple[int, int, int]:
        """Return the row and the intervals [first, stop) of a run."""
        return int(self.row[first]), int(self.column[first]), int(self.column[stop - 1]) + 1

    def expected(
        self, cells: slice | list[int], rules: VeeRules
    ) -> tuple[EstimationMethod, NDArray[np.float64]] | None:
        """Return what the best source that knows all of the cells expects of them."""
        means = self.means
        if (means.like_count[cells] >= rules.estimate_days_min).all():
            return EstimationMethod.LIKE_DAYS, means.like_gain[cells]
        if (means.other_count[cells] >= 1).all():
            return EstimationMethod.OTHER_DAYS, means.other_gain[cells]
        average, count = self.other_meters
        column = self.column[cells]
        if rules.last_resort is LastResort.CLASS_AVERAGE and (count[column] > 0).all():
            return EstimationMethod.CLASS_AVERAGE, average[column]
        return None


def _others(gain: Int64s, is_sound: Flags) -> tuple[NDArray[np.float64], Int64s]:
    count = is_sound.sum(axis=0, dtype=np.int64)
    total = np.where(is_sound, gain, 0).sum(axis=0, dtype=np.int64)
    return total / np.maximum(count, 1), count


def _bridged(
    gain: Int64s, is_sound: Flags, place: tuple[int, int, int]
) -> tuple[EstimationMethod, list[int]] | None:
    row, first, stop = place
    if (
        first == 0
        or stop == gain.shape[1]
        or not (is_sound[row, first - 1] and is_sound[row, stop])
    ):
        return None
    before, after, parts = int(gain[row, first - 1]), int(gain[row, stop]), stop - first + 1
    # Whole numbers, halves upwards: the same on every machine.
    gains = [
        (2 * (before * (parts - step) + after * step) + parts) // (2 * parts)
        for step in range(1, parts)
    ]
    return EstimationMethod.INTERPOLATED, gains


def _from_days(cells: _Cells, of_run: slice, rules: VeeRules) -> tuple[EstimationMethod, list[int]]:
    if (expected := cells.expected(of_run, rules)) is not None:
        method, means = expected
        return method, np.rint(means).astype(np.int64).tolist()
    if rules.last_resort is LastResort.ZERO:
        return EstimationMethod.ZERO, [0] * (of_run.stop - of_run.start)
    return EstimationMethod.NONE, []


def _shares(
    cells: _Cells, totals: Totals, rules: VeeRules
) -> Iterator[tuple[int, tuple[EstimationMethod, dict[int, int]]]]:
    """Yield each total's method and the share of each of its cells."""
    order = np.argsort(cells.total, kind="stable")
    numbers, starts = np.unique(cells.total[order], return_index=True)
    for number, members in zip(numbers.tolist(), np.split(order, starts[1:]), strict=True):
        if number == NO_TOTAL:
            continue
        gain, of_total = totals.gain[number], members.tolist()
        expected = cells.expected(of_total, rules)
        weights = [1] * len(of_total)
        method = EstimationMethod.EVEN
        if gain == 0:
            method = EstimationMethod.STOOD_STILL
        elif len(of_total) == 1:
            method = EstimationMethod.REMAINDER
        elif expected is not None and expected[1].max() > 0:
            method = expected[0]
            ratios = expected[1] / expected[1].max()
            weights = np.rint(ratios * _WEIGHT_RESOLUTION_COUNT).astype(np.int64).tolist()
        yield number, (method, dict(zip(of_total, shared(gain, weights), strict=True)))
