"""Load-profile captures on the grid of their intervals, and which intervals are missing.

A profile entry captured at 10:15 with a period of 900 s closes the interval [10:00, 10:15). The
grid counts from 1970 UTC, which puts quarter hours and hours on round local times in every zone
whose offset is a multiple of the period.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metertwin.core.batch import Int64s
from metertwin.core.errors import InvalidInputError

Flags = NDArray[np.bool_]
_US_PER_S = 1_000_000


class ProfileGridError(InvalidInputError):
    """A capture period or a range does not make a grid."""

    code = "input.profile_grid"


@dataclass(frozen=True, slots=True, eq=False)
class AlignedCaptures:
    """Captures and the intervals they close, all columns of shape (n,).

    Attributes:
        interval_start_us: Start of the interval each capture closes, microseconds since 1970 UTC.
        deviation_us: Capture less the grid's nearest point: how far the meter's capture is off.
        is_on_grid: Whether the deviation is within the tolerance.
    """

    interval_start_us: Int64s
    deviation_us: Int64s
    is_on_grid: Flags


@dataclass(frozen=True, slots=True, eq=False)
class Completeness:
    """Which intervals of a range have a capture.

    Attributes:
        start_us: Start of the range's first interval, microseconds since 1970 UTC.
        period_us: Length of each interval.
        is_present: One flag per series and interval, shape (n_series, n_intervals).
    """

    start_us: int
    period_us: int
    is_present: Flags

    def present_ratio(self) -> NDArray[np.float64]:
        """Return the share of intervals present per series, 0 to 1, shape (n_series,).

        An empty range is complete.
        """
        expected_count = self.is_present.shape[1]
        if expected_count == 0:
            return np.ones(len(self.is_present))
        share: NDArray[np.float64] = self.is_present.sum(axis=1) / expected_count
        return share

    def missing_start_us(self, series: int) -> Int64s:
        """Return the start of each missing interval of a series, ascending."""
        at = np.flatnonzero(~self.is_present[series])
        return self.start_us + at.astype(np.int64) * self.period_us

    def missing_ranges_us(self, series: int) -> list[tuple[int, int]]:
        """Return what is missing of a series as ranges [start, end), ascending and apart.

        These are the ranges to ask the meter for again.
        """
        flags = np.concatenate(([True], self.is_present[series], [True])).astype(np.int8)
        steps = np.diff(flags)
        starts, ends = np.flatnonzero(steps < 0), np.flatnonzero(steps > 0)
        return [
            (self.start_us + start * self.period_us, self.start_us + end * self.period_us)
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
        ]


def align_captures(
    captured_at_us: Int64s, period_s: int, *, tolerance_s: float = 5.0
) -> AlignedCaptures:
    """Return the interval each capture closes.

    Args:
        captured_at_us: Captures, microseconds since 1970 UTC, any order, shape (n,).
        period_s: Capture period, above 0.
        tolerance_s: How far off the grid a capture may be and still count as on it.

    Raises:
        ProfileGridError: The period is not above 0.

    Example:
        >>> aligned = align_captures(np.array([900_000_000, 1_801_000_000]), 900)
        >>> aligned.interval_start_us.tolist(), aligned.deviation_us.tolist()
        ([0, 900000000], [0, 1000000])
    """
    period_us = _checked_period_us(period_s)
    points = (captured_at_us + period_us // 2) // period_us
    deviation_us = captured_at_us - points * period_us
    return AlignedCaptures(
        interval_start_us=(points - 1) * period_us,
        deviation_us=deviation_us,
        is_on_grid=np.abs(deviation_us) <= tolerance_s * _US_PER_S,
    )


def completeness(
    series: Int64s,
    captured_at_us: Int64s,
    *,
    series_count: int,
    period_s: int,
    start_us: int,
    end_us: int,
    tolerance_s: float = 5.0,
) -> Completeness:
    """Return which intervals of [start, end) each series has.

    Args:
        series: Series of each capture, 0 to series_count - 1, shape (n,).
        captured_at_us: Captures, microseconds since 1970 UTC, any order, repeated or outside of
            the range at will, shape (n,). Captures off the grid make no interval present.
        series_count: How many series there are, those without a capture included.
        period_s: Capture period of all series, above 0.
        start_us: Start of the first interval, on the grid.
        end_us: End of the last interval, on the grid, not before the start.
        tolerance_s: As for `align_captures`.

    Raises:
        ProfileGridError: The period is not above 0, or the range is reversed or off the grid.
    """
    period_us = _checked_period_us(period_s)
    if start_us > end_us or start_us % period_us or end_us % period_us:
        raise ProfileGridError(
            f"Range {start_us} us to {end_us} us is reversed or off the grid of {period_s} s; "
            "begin and end it on multiples of the capture period since 1970 UTC.",
            start_us=start_us,
            end_us=end_us,
            period_s=period_s,
        )
    aligned = align_captures(captured_at_us, period_s, tolerance_s=tolerance_s)
    at = (aligned.interval_start_us - start_us) // period_us
    is_present = np.zeros((series_count, (end_us - start_us) // period_us), dtype=bool)
    counts = aligned.is_on_grid & (at >= 0) & (at < is_present.shape[1])
    is_present[series[counts], at[counts]] = True
    return Completeness(start_us, period_us, is_present)


def _checked_period_us(period_s: int) -> int:
    if period_s <= 0:
        raise ProfileGridError(
            f"Capture period {period_s} s is not above 0; a register read at a moment has no grid.",
            period_s=period_s,
        )
    return period_s * _US_PER_S
