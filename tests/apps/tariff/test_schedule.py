"""Periods and billing months in local time, beside a moment-by-moment lookup."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metertwin.apps.tariff.calendar import (
    Calendar,
    CalendarError,
    Holiday,
    MonthDay,
    Season,
    Switch,
)
from metertwin.apps.tariff.energy import EnergyCharge
from metertwin.apps.tariff.schedule import (
    axis_period_indices,
    billing_month_edges_us,
    billing_month_of,
    period_indices,
)
from metertwin.apps.tariff.tariff import Tariff
from metertwin.core.clock import from_us, to_us

ZURICH = ZoneInfo("Europe/Zurich")
HALF_HOUR_US = 1_800_000_000
NIGHT = (Switch(0, 0), Switch(2 * 60, 1), Switch(3 * 60, 2), Switch(7 * 60, 3))
SUNDAY = (Switch(0, 0),)
CALENDAR = Calendar(
    ("night", "two", "three", "day"),
    (NIGHT, SUNDAY),
    (
        Season("spring", MonthDay(3, 15), (0, 0, 0, 0, 0, 0, 1), 1),
        Season("winter", MonthDay(11, 1), (1, 0, 0, 0, 0, 0, 0), 1),
    ),
    (Holiday(12, 25), Holiday(4, 6, 2026)),
)


def tariff_in(zone: str, month_start_day: int = 1) -> Tariff:
    energy = EnergyCharge(Calendar.always(), ())
    return Tariff("t", 1, "T", "CHF", zone, energy, month_start_day=month_start_day)


def looked_up(calendar: Calendar, zone: ZoneInfo, moment_us: int) -> int:
    """Return the period of one moment the plain way: by the wall clock of that moment."""
    local = from_us(moment_us).astimezone(zone)
    day = local.date()
    begun = [s for s in calendar.seasons if (s.start.month, s.start.day) <= (day.month, day.day)]
    season = begun[-1] if begun else calendar.seasons[-1]
    is_holiday = any(
        (h.month, h.day) == (day.month, day.day) and h.year in {None, day.year}
        for h in calendar.holidays
    )
    profile = season.holiday_index if is_holiday else season.week[day.weekday()]
    minute = local.hour * 60 + local.minute
    switches = [s for s in calendar.day_profiles[profile] if s.minute_of_day <= minute]
    return switches[-1].period_index


def periods_of_local_day(day: date, zone: ZoneInfo, step_us: int) -> list[int]:
    start_us = to_us(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC))
    after = day + timedelta(days=1)
    end_us = to_us(datetime(after.year, after.month, after.day, tzinfo=zone).astimezone(UTC))
    starts_us = np.arange(start_us, end_us, step_us, dtype=np.int64)
    return [int(index) for index in period_indices(CALENDAR, zone, starts_us)]


def test_the_day_summer_time_begins_has_no_hour_from_two_to_three() -> None:
    # Monday 30 March 2026 is ordinary; on Sunday 29 March clocks jump from 02:00 to 03:00, so a
    # calendar that treats Sundays as weekdays shows it: 2 h night, 0 h two, 4 h three, 17 h day.
    workday = Calendar(CALENDAR.periods, (NIGHT,), (Season("s", MonthDay(1, 1), (0,) * 7, 0),))
    starts_us = to_us(datetime(2026, 3, 28, 23, tzinfo=UTC)) + np.arange(23) * 3_600_000_000
    assert period_indices(workday, ZURICH, starts_us).tolist() == [0] * 2 + [2] * 4 + [3] * 17


def test_the_day_summer_time_ends_has_two_hours_from_two_to_three() -> None:
    workday = Calendar(CALENDAR.periods, (NIGHT,), (Season("s", MonthDay(1, 1), (0,) * 7, 0),))
    starts_us = to_us(datetime(2026, 10, 24, 22, tzinfo=UTC)) + np.arange(25) * 3_600_000_000
    expected = [0] * 2 + [1] * 2 + [2] * 4 + [3] * 17
    assert period_indices(workday, ZURICH, starts_us).tolist() == expected


def test_lord_howe_moves_its_clocks_by_half_an_hour() -> None:
    # 4 October 2026: from +10:30 to +11:00 at 02:00. The period "two" lasts 30 minutes that day.
    zone = ZoneInfo("Australia/Lord_Howe")
    workday = Calendar(CALENDAR.periods, (NIGHT,), (Season("s", MonthDay(1, 1), (0,) * 7, 0),))
    start_us = to_us(datetime(2026, 10, 3, 13, 30, tzinfo=UTC))
    starts_us = start_us + np.arange(47) * HALF_HOUR_US
    expected = [0] * 4 + [1] * 1 + [2] * 8 + [3] * 34
    assert period_indices(workday, zone, starts_us).tolist() == expected


def test_holidays_and_seasons_count_by_local_day() -> None:
    assert set(periods_of_local_day(date(2026, 12, 25), ZURICH, HALF_HOUR_US)) == {0}
    assert set(periods_of_local_day(date(2026, 4, 6), ZURICH, HALF_HOUR_US)) == {0}
    # The same Monday a year later is no holiday: that one was named for 2026 alone.
    assert set(periods_of_local_day(date(2027, 4, 5), ZURICH, HALF_HOUR_US)) == {0, 1, 2, 3}
    # Mondays are all night in winter, which holds until 14 March.
    assert set(periods_of_local_day(date(2026, 3, 9), ZURICH, HALF_HOUR_US)) == {0}
    assert set(periods_of_local_day(date(2026, 3, 16), ZURICH, HALF_HOUR_US)) == {0, 1, 2, 3}


@settings(max_examples=60, deadline=None)
@given(
    zone=st.sampled_from(
        ["Europe/Zurich", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns", "UTC"]
    ),
    day=st.dates(date(2024, 1, 1), date(2028, 12, 31)),
    period_s=st.sampled_from([300, 900, 1800, 3600]),
)
def test_any_week_equals_a_lookup_moment_by_moment(zone: str, day: date, period_s: int) -> None:
    start_us = to_us(datetime(day.year, day.month, day.day, tzinfo=UTC))
    count = 7 * 86_400 // period_s
    found = axis_period_indices(CALENDAR, ZoneInfo(zone), start_us, period_s * 10**6, count)
    moments_us = [start_us + n * period_s * 10**6 for n in range(0, count, 7)]
    expected = [looked_up(CALENDAR, ZoneInfo(zone), moment_us) for moment_us in moments_us]
    assert found[::7].tolist() == expected


def test_billing_months_begin_at_local_midnights() -> None:
    edges_us = billing_month_edges_us(tariff_in("Europe/Zurich", 15), date(2026, 3, 20), 2)
    told = [from_us(edge_us).isoformat() for edge_us in edges_us.tolist()]
    assert told == [
        "2026-03-14T23:00:00+00:00",  # winter time
        "2026-04-14T22:00:00+00:00",  # summer time
        "2026-05-14T22:00:00+00:00",
    ]


def test_a_day_before_the_start_belongs_to_the_billing_month_before() -> None:
    assert billing_month_of(tariff_in("UTC", 28), date(2026, 1, 27)) == date(2025, 12, 28)


def test_more_periods_than_a_byte_holds_are_refused() -> None:
    names = tuple(f"p{n}" for n in range(256))
    season = Season("s", MonthDay(1, 1), (0,) * 7, 0)
    calendar = Calendar(names, ((Switch(0, 0),),), (season,))
    with pytest.raises(CalendarError, match="256 periods, 255 is the most"):
        period_indices(calendar, ZURICH, np.array([0]))


def test_no_moments_have_no_periods() -> None:
    assert len(period_indices(CALENDAR, ZURICH, np.zeros(0, np.int64))) == 0
