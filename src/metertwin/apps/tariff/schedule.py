"""Which period of a tariff calendar holds at each moment, and where billing months begin.

Both are asked in UTC and decided in local time. The offset of a zone is piecewise constant, so it
is looked up once a day, refined where it changes, and applied to whole columns.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from metertwin.apps.tariff.calendar import MINUTES_PER_DAY, Calendar, CalendarError, Season
from metertwin.apps.tariff.tariff import Tariff
from metertwin.core.batch import Int64s, UInt8s
from metertwin.core.clock import from_us, to_us

_US_PER_MINUTE = 60_000_000
_US_PER_DAY = 86_400_000_000
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_PERIODS_MAX = 255


def period_indices(calendar: Calendar, zone: ZoneInfo, starts_us: Int64s) -> UInt8s:
    """Return the period that holds at each moment.

    Minutes are those of the wall clock: on the day summer time ends, 02:30 comes twice and has the
    same period both times; on the day it begins, what would hold from 02:00 to 03:00 never does.

    Args:
        calendar: At most 255 periods.
        zone: The tariff's time zone; at most one change of its offset per UTC day.
        starts_us: Moments, microseconds since 1970 UTC, any order, shape (n,).

    Returns:
        Position in `calendar.periods`, shape (n,).

    Raises:
        CalendarError: The calendar has more than 255 periods.

    Example:
        >>> from metertwin.apps.tariff.calendar import MonthDay, Switch
        >>> day = (Switch(0, 1), Switch(7 * 60, 0), Switch(20 * 60, 1))
        >>> season = Season("all year", MonthDay(1, 1), (0,) * 7, 0)
        >>> calendar = Calendar(("high", "low"), (day,), (season,))
        >>> moments = [datetime(2026, 7, 1, hour, tzinfo=UTC) for hour in (4, 5, 17, 18)]
        >>> starts_us = np.array([to_us(moment) for moment in moments])
        >>> period_indices(calendar, ZoneInfo("Europe/Zurich"), starts_us).tolist()
        [1, 0, 0, 1]
    """
    if len(starts_us) == 0:
        return np.zeros(0, np.uint8)
    local_us = starts_us + _offsets_us(zone, starts_us)
    days = local_us // _US_PER_DAY
    first, last = int(days.min()), int(days.max())
    minute_of_day = (local_us - days * _US_PER_DAY) // _US_PER_MINUTE
    profiles = _day_profiles(calendar, first, last)
    periods: UInt8s = _minute_table(calendar)[profiles[days - first], minute_of_day]
    return periods


@lru_cache(maxsize=64)
def axis_period_indices(
    calendar: Calendar, zone: ZoneInfo, start_us: int, step_us: int, interval_count: int
) -> UInt8s:
    """Return `period_indices` of evenly spaced moments; kept, because all meters share them."""
    starts_us = start_us + np.arange(interval_count, dtype=np.int64) * step_us
    periods = period_indices(calendar, zone, starts_us)
    periods.flags.writeable = False
    return periods


@lru_cache(maxsize=64)
def switches_us(calendar: Calendar, zone: ZoneInfo, start_us: int, end_us: int) -> Int64s:
    """Return the moments after `start_us` and before `end_us` at which another period begins.

    Args:
        calendar: At most 255 periods.
        zone: As for `period_indices`.
        start_us: Microseconds since 1970 UTC.
        end_us: Likewise.

    Returns:
        Ascending, microseconds since 1970 UTC, shape (n_switches,).
    """
    if len(calendar.periods) == 1:
        return np.zeros(0, np.int64)
    # Calendars and offsets change on whole minutes, so looking at each minute misses none, not
    # even where the wall clock itself jumps from one period into another.
    first_us = start_us // _US_PER_MINUTE * _US_PER_MINUTE
    minutes_us = np.arange(first_us, end_us, _US_PER_MINUTE, dtype=np.int64)
    periods = period_indices(calendar, zone, minutes_us)
    found: Int64s = minutes_us[1:][periods[1:] != periods[:-1]]
    found.flags.writeable = False
    return found


def periods_of_days(calendar: Calendar, first_day: date, day_count: int) -> frozenset[int]:
    """Return the periods that hold at some time of these days."""
    first = first_day.toordinal() - _EPOCH_DAY
    profiles = _day_profiles(calendar, first, first + day_count - 1)
    return frozenset(np.unique(_minute_table(calendar)[np.unique(profiles)]).tolist())


def billing_month_edges_us(tariff: Tariff, first_month: date, month_count: int) -> Int64s:
    """Return the local midnights at which billing months begin, microseconds since 1970 UTC.

    Args:
        tariff: Gives zone and day of the month.
        first_month: Any day within the first billing month.
        month_count: How many months, 0 or more.

    Returns:
        Shape (month_count + 1,): the last one ends the last month.
    """
    zone = ZoneInfo(tariff.zone)
    month = billing_month_of(tariff, first_month)
    edges_us = []
    for _ in range(month_count + 1):
        midnight = datetime(month.year, month.month, month.day, tzinfo=zone)
        edges_us.append(to_us(midnight.astimezone(UTC)))
        month = next_month(month)
    return np.array(edges_us, np.int64)


def billing_month_of(tariff: Tariff, day: date) -> date:
    """Return the first day of the billing month a local day lies in.

    Example:
        >>> from metertwin.apps.tariff.energy import EnergyCharge
        >>> charge = EnergyCharge(Calendar.always(), ())
        >>> tariff = Tariff("t", 1, "", "CHF", "UTC", charge, month_start_day=15)
        >>> billing_month_of(tariff, date(2026, 1, 14)), billing_month_of(tariff, date(2026, 1, 15))
        (datetime.date(2025, 12, 15), datetime.date(2026, 1, 15))
    """
    start = day.replace(day=tariff.month_start_day)
    if start > day:
        start = (day.replace(day=1) - timedelta(days=1)).replace(day=tariff.month_start_day)
    return start


def next_month(month: date) -> date:
    """Return the same day, 1 to 28, of the next month."""
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)


def weekday_profile_index(calendar: Calendar, day: date) -> int:
    """Return the day profile of the Mondays of the season a day lies in."""
    return _season_of(calendar, day).week[0]


def period_at(calendar: Calendar, profile_index: int, minute_of_day: int) -> int:
    """Return the period that holds at a minute of a kind of day."""
    return int(_minute_table(calendar)[profile_index, minute_of_day])


def _season_of(calendar: Calendar, day: date) -> Season:
    begun = [s for s in calendar.seasons if (s.start.month, s.start.day) <= (day.month, day.day)]
    return begun[-1] if begun else calendar.seasons[-1]


@lru_cache(maxsize=64)
def _minute_table(calendar: Calendar) -> UInt8s:
    if len(calendar.periods) > _PERIODS_MAX:
        raise CalendarError(
            f"The calendar has {len(calendar.periods)} periods, {_PERIODS_MAX} is the most."
        )
    table = np.zeros((len(calendar.day_profiles), MINUTES_PER_DAY), np.uint8)
    for row, switches in zip(table, calendar.day_profiles, strict=True):
        for switch in switches:
            row[switch.minute_of_day :] = switch.period_index
    return table


@lru_cache(maxsize=64)
def _day_profiles(calendar: Calendar, first: int, last: int) -> NDArray[np.int64]:
    """Return the day profile of each local day, days counted from 1970."""
    profiles = []
    every_year = {(h.month, h.day) for h in calendar.holidays if h.year is None}
    once = {(h.year, h.month, h.day) for h in calendar.holidays if h.year is not None}
    for number in range(first, last + 1):
        day = date.fromordinal(_EPOCH_DAY + number)
        season = _season_of(calendar, day)
        key = (day.month, day.day)
        is_holiday = key in every_year or (day.year, *key) in once
        profiles.append(season.holiday_index if is_holiday else season.week[day.weekday()])
    return np.array(profiles, np.int64)


def _offsets_us(zone: ZoneInfo, starts_us: Int64s) -> Int64s:
    first, last = int(starts_us.min()) // _US_PER_DAY, int(starts_us.max()) // _US_PER_DAY
    froms_us, offsets_us = _offset_steps(zone, first, last + 1)
    at = np.searchsorted(np.array(froms_us), starts_us, side="right") - 1
    column: Int64s = np.array(offsets_us)[at]
    return column


@lru_cache(maxsize=64)
def _offset_steps(zone: ZoneInfo, first: int, last: int) -> tuple[Sequence[int], Sequence[int]]:
    """Return from when which offset holds, over UTC days `first` to `last` since 1970."""
    froms_us, offsets_us = [first * _US_PER_DAY], [_offset_us(first * _US_PER_DAY, zone)]
    for low, high in pairwise(range(first, last + 1)):
        low_us, high_us = low * _US_PER_DAY, high * _US_PER_DAY
        if _offset_us(high_us, zone) == offsets_us[-1]:
            continue
        while high_us - low_us > _US_PER_MINUTE:
            middle_us = (low_us + high_us) // (2 * _US_PER_MINUTE) * _US_PER_MINUTE
            if _offset_us(middle_us, zone) == offsets_us[-1]:
                low_us = middle_us
            else:
                high_us = middle_us
        froms_us.append(high_us)
        offsets_us.append(_offset_us(high_us, zone))
    return froms_us, offsets_us


def _offset_us(moment_us: int, zone: ZoneInfo) -> int:
    offset = from_us(moment_us).astimezone(zone).utcoffset() or timedelta(0)
    return offset // timedelta(microseconds=1)
