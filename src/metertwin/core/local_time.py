"""Local days and hours, both days of a summer-time change included.

A local day is what lies between two local midnights: 23 h, 24 h or 25 h. Buckets are known by the
UTC moment they start at, so the two hours called 02:00 in October are two buckets; their labels
carry the offset and differ as well.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from metertwin.core.batch import Int64s, UInt8s
from metertwin.core.clock import from_us, to_us
from metertwin.core.errors import InvalidInputError
from metertwin.core.register_series import IntervalColumns

_DAY = timedelta(days=1)
_US_PER_HOUR = 3_600_000_000


class LocalRangeError(InvalidInputError):
    """A local range ends before it begins."""

    code = "input.local_range"


@dataclass(frozen=True, slots=True, eq=False)
class BucketGains:
    """Gains per bucket, shape (n_series, n_buckets), and what no bucket may claim.

    Attributes:
        edges_us: Start of each bucket and the end of the last, shape (n_buckets + 1,).
        gain: Counts gained in intervals that lie in the bucket as a whole.
        covered_us: Time those intervals cover; less than the bucket means that some are missing.
        quality: All `Quality` bits of those intervals.
        apart_rows: Rows of intervals that reach over an edge or lie outside; their gain is in no
            bucket, because splitting it would be a guess.
    """

    edges_us: Int64s
    gain: Int64s
    covered_us: Int64s
    quality: UInt8s
    apart_rows: Int64s

    def is_complete(self) -> NDArray[np.bool_]:
        """Say which buckets are covered from start to end, shape (n_series, n_buckets)."""
        complete: NDArray[np.bool_] = self.covered_us == np.diff(self.edges_us)
        return complete


def local_day_edges_us(first_day: date, day_count: int, zone: ZoneInfo) -> Int64s:
    """Return the local midnights from `first_day` on, microseconds since 1970 UTC.

    Shape (day_count + 1,): the last one ends the last day. Where a midnight does not exist
    because summer time begins on it, the day begins with the change.

    Raises:
        LocalRangeError: The count is negative.
    """
    if day_count < 0:
        raise LocalRangeError(
            f"{day_count} days from {first_day} on is no range; give 0 or more.",
            day_count=day_count,
        )
    midnights = [
        datetime(day.year, day.month, day.day, tzinfo=zone)
        for day in (first_day + n * _DAY for n in range(day_count + 1))
    ]
    return np.array([to_us(midnight.astimezone(UTC)) for midnight in midnights], np.int64)


def local_hour_edges_us(first_day: date, day_count: int, zone: ZoneInfo) -> Int64s:
    """Return the edges of all local hours of the days, microseconds since 1970 UTC.

    A change of the offset is an edge, so each bucket has one offset; where clocks change by
    half an hour there is a bucket of half an hour.
    """
    days_us = local_day_edges_us(first_day, day_count, zone)
    hours_us = [
        _hours_within_us(start_us, end_us, zone) for start_us, end_us in pairwise(days_us.tolist())
    ]
    return np.unique(np.concatenate([days_us, *hours_us]))


def _hours_within_us(start_us: int, end_us: int, zone: ZoneInfo) -> Int64s:
    change_us = _offset_change_us(start_us, end_us, zone)
    edges = []
    for section_start_us, section_end_us in ((start_us, change_us), (change_us, end_us)):
        offset_us = _offset_us(section_start_us, zone)
        first_us = -((section_start_us + offset_us) // -_US_PER_HOUR) * _US_PER_HOUR - offset_us
        edges.append(np.arange(first_us, section_end_us, _US_PER_HOUR, dtype=np.int64))
    return np.concatenate([*edges, np.array([change_us], np.int64)])


@lru_cache(maxsize=4096)
def _offset_change_us(start_us: int, end_us: int, zone: ZoneInfo) -> int:
    """Return when the offset changes within [start, end], or `end_us` when it does not."""
    low_us, high_us = start_us, end_us
    if _offset_us(low_us, zone) == _offset_us(high_us, zone):
        return end_us
    while high_us - low_us > 1:
        middle_us = (low_us + high_us) // 2
        if _offset_us(middle_us, zone) == _offset_us(start_us, zone):
            low_us = middle_us
        else:
            high_us = middle_us
    return high_us


def _offset_us(moment_us: int, zone: ZoneInfo) -> int:
    offset = from_us(moment_us).astimezone(zone).utcoffset() or timedelta(0)
    return offset // timedelta(microseconds=1)


def local_label(moment_us: int, zone: ZoneInfo) -> str:
    """Return a moment as local date and time with offset: no two minutes share a label.

    Example:
        >>> zone = ZoneInfo("Europe/Zurich")
        >>> local_label(to_us(datetime(2026, 10, 25, 0, tzinfo=UTC)), zone)
        '2026-10-25T02:00+02:00'
        >>> local_label(to_us(datetime(2026, 10, 25, 1, tzinfo=UTC)), zone)
        '2026-10-25T02:00+01:00'
    """
    return from_us(moment_us).astimezone(zone).isoformat(timespec="minutes")


def gains_by_bucket(intervals: IntervalColumns, series_count: int, edges_us: Int64s) -> BucketGains:
    """Sum the gains of each series over buckets such as local days or hours.

    Args:
        intervals: Gains, from `registers.energy_gained`.
        series_count: How many series there are.
        edges_us: Ascending edges, shape (n_buckets + 1,), at least one.
    """
    bucket = np.searchsorted(edges_us, intervals.start_us, side="right") - 1
    bucket_count = len(edges_us) - 1
    in_range = (bucket >= 0) & (bucket < bucket_count)
    ends_us = intervals.start_us + intervals.length_us
    is_whole = in_range & (ends_us <= edges_us[np.minimum(bucket + 1, bucket_count)])
    at = (intervals.series[is_whole], bucket[is_whole])
    gain = np.zeros((series_count, bucket_count), np.int64)
    covered_us = np.zeros((series_count, bucket_count), np.int64)
    quality = np.zeros((series_count, bucket_count), np.uint8)
    np.add.at(gain, at, intervals.gain[is_whole])
    np.add.at(covered_us, at, intervals.length_us[is_whole])
    np.bitwise_or.at(quality, at, intervals.quality[is_whole])
    return BucketGains(edges_us, gain, covered_us, quality, np.flatnonzero(~is_whole))
