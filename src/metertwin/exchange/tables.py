"""Series of a usage file on a grid, as bills and analyses need them."""

from math import gcd

import numpy as np

from metertwin.core.clock import from_us
from metertwin.core.interval_table import IntervalTable, KnownSpans
from metertwin.exchange.usage_file import (
    US_PER_S,
    IntervalEnergies,
    UsageFileError,
    UsageSeries,
    usual_length_s,
)

_GRID_MIN_S = 300  # an interval that is off by a minute is an error and no grid of minutes
CELLS_MAX = 12_000_000  # quarter hours of 340 years: a file with more has a wrong date in it


def interval_table(
    series: UsageSeries, start_us: int | None = None, end_us: int | None = None
) -> IntervalTable:
    """Return a series on its grid; intervals the file does not have are not known.

    Args:
        series: Intervals of one length, on the grid of that length since 1970 UTC; some may be
            whole multiples of it and become spans. If they are not, such as local days of 23 to
            25 h, the table has the longest grid that all of them are on, of at least 300 s, and
            the longer ones are spans.
        start_us: First moment of the table, on the grid; None: the first interval's.
        end_us: First moment after it, on the grid; None: the last interval's end.

    Raises:
        UsageFileError: The intervals are on no common grid, there are none, or the range is none.
    """
    intervals = series.intervals
    where = f"Series {series.register.obis} of {series.meter}"
    if not len(intervals):
        raise UsageFileError(f"{where} has no intervals.")
    period_s = usual_length_s(intervals.length_s)
    is_other = (intervals.length_s % period_s != 0) | (
        intervals.start_us % (period_s * US_PER_S) != 0
    )
    common_s = _common_length_s(intervals) if is_other.any() else period_s
    if common_s < min(period_s, _GRID_MIN_S):
        row = int(is_other.argmax())
        raise UsageFileError(
            f"{where} has {int(is_other.sum()):,} intervals that are not on a grid of {period_s} s "
            f"since 1970 UTC, the first of {intervals.length_s[row]} s from "
            f"{from_us(int(intervals.start_us[row])).isoformat()}; only intervals on one grid can "
            "be put in a table."
        )
    period_s = common_s
    period_us = period_s * US_PER_S
    first_us = int(intervals.start_us[0]) if start_us is None else start_us
    last_us = int(intervals.end_us[-1]) if end_us is None else end_us
    count = (last_us - first_us) // period_us
    if first_us % period_us or last_us % period_us or not 0 < count <= CELLS_MAX:
        raise UsageFileError(
            f"{where} cannot be put on a grid of {period_s} s from {from_us(first_us).isoformat()} "
            f"to {from_us(last_us).isoformat()}; check the dates in the file."
        )
    return _placed(series, period_s, first_us, count)


def _common_length_s(intervals: IntervalEnergies) -> int:
    of_lengths_s = int(np.gcd.reduce(intervals.length_s))
    return gcd(of_lengths_s, int(np.gcd.reduce(intervals.start_us)) // US_PER_S)


def _placed(series: UsageSeries, period_s: int, first_us: int, count: int) -> IntervalTable:
    intervals = series.intervals
    first = (intervals.start_us - first_us) // (period_s * US_PER_S)
    lengths = intervals.length_s // period_s
    is_within = (first >= 0) & (first + lengths <= count)
    rows = np.flatnonzero(is_within & (lengths == 1))
    runs = np.flatnonzero(is_within & (lengths > 1))
    gain, is_known = np.zeros((1, count), np.int64), np.zeros((1, count), bool)
    quality, origin = np.zeros((1, count), np.uint8), np.zeros((1, count), np.uint8)
    at = first[rows]
    gain[0, at], is_known[0, at] = intervals.gain[rows], True
    quality[0, at], origin[0, at] = intervals.quality[rows], intervals.origin[rows]
    return IntervalTable(
        meters=[series.meter],
        register=series.register._replace(period_s=period_s),
        start_us=first_us,
        gain=gain,
        is_known=is_known,
        quality=quality,
        origin=origin,
        spans=KnownSpans(
            np.zeros(len(runs), np.int64), first[runs], lengths[runs], intervals.gain[runs]
        ),
    )
