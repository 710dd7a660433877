"""Local time of the meters' zone: deviations and summer time, for many moments at once."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

# Every zone of today changes its offset on a quarter of an hour.
_QUARTER_S = 900


@lru_cache(maxsize=65_536)
def _offset_and_dst(zone: ZoneInfo, quarter: int) -> tuple[int, bool]:
    local = datetime.fromtimestamp(quarter * _QUARTER_S, UTC).astimezone(zone)
    offset = local.utcoffset() or timedelta()
    return round(offset.total_seconds() / 60), bool(local.dst())


def offsets_min(zone: ZoneInfo, at_s: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """Return local time minus UTC in minutes, and whether summer time is in force.

    Args:
        zone: The meters' zone.
        at_s: Moments in s since 1970 UTC, shape (n,).

    Example:
        >>> offsets_min(ZoneInfo("Europe/Berlin"), np.array([1774745999, 1774746000]))
        (array([ 60, 120]), array([False,  True]))
    """
    quarters, places = np.unique(at_s // _QUARTER_S, return_inverse=True)
    found = [_offset_and_dst(zone, int(quarter)) for quarter in quarters]
    minutes = np.array([minute for minute, _ in found], np.int64)
    summer = np.array([is_summer for _, is_summer in found], np.bool_)
    return minutes[places], summer[places]


def summer_time_rule(zone: ZoneInfo, year: int) -> tuple[datetime, datetime, timedelta] | None:
    """Return when summer time begins and ends in a year (UTC) and how far it moves the clock.

    None where the zone has no summer time in that year.
    """
    first = int(datetime(year, 1, 1, tzinfo=UTC).timestamp())
    hours = first + 3600 * np.arange(366 * 24)
    minutes, summer = offsets_min(zone, hours)
    begins = np.flatnonzero(~summer[:-1] & summer[1:])
    ends = np.flatnonzero(summer[:-1] & ~summer[1:])
    if not (len(begins) and len(ends)):
        return None
    shift_min = int(minutes[begins[0] + 1] - minutes[begins[0]])
    return (
        datetime.fromtimestamp(int(hours[begins[0] + 1]), UTC),
        datetime.fromtimestamp(int(hours[ends[0] + 1]), UTC),
        timedelta(minutes=shift_min),
    )
