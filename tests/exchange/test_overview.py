"""What a series comes to at first sight."""

from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from metertwin.core.reading import Origin
from metertwin.exchange.overview import MonthUsage, overview
from metertwin.exchange.usage_file import UsageFile


def test_sums_gaps_and_marks_are_counted(october: UsageFile) -> None:
    october.series[0].intervals.origin[9] = Origin.SIMULATED  # no estimate
    told = overview(october.series[0], ZoneInfo("Europe/Zurich"))
    # 100 + n Wh for n from 0 to 99, less the missing one of 150: 10000 + 4950 - 150 = 14800 Wh.
    assert told.energy_kwh == Decimal("14.800")
    assert (told.interval_count, told.estimated_count, told.doubtful_count) == (99, 2, 2)
    assert (told.gap_count, told.gap_s) == (1, 900)
    assert [month.month for month in told.months] == [date(2026, 10, 1)]
    # 99 quarter hours of October's 31 x 24 + 1 hours.
    assert told.months[0].covered_ratio == pytest.approx(99 * 0.25 / 745)


def test_the_hour_that_occurs_twice_is_one_hour_of_the_day(october: UsageFile) -> None:
    means_kw = overview(october.series[0], ZoneInfo("Europe/Zurich")).hour_means_kw
    # Midnight: 100 to 103 Wh in an hour. From 2:00, twice: 108 to 115 Wh in two hours.
    assert means_kw[0] == pytest.approx(0.406)
    assert means_kw[2] == pytest.approx((108 + 115) * 8 / 2 / 2 / 1000)


def test_months_are_local(october: UsageFile) -> None:
    # In Apia, 13 h ahead of UTC, the third quarter hour of 2026-10-31T10:30Z begins November.
    series = october.series[1]
    series.intervals.start_us[:] += 6 * 86_400_000_000 + 12 * 3_600_000_000 + 1_800_000_000
    told = overview(series, ZoneInfo("Pacific/Apia")).months
    assert told == [
        MonthUsage(date(2026, 10, 1), Decimal("0.03"), 2, 0, 0.5 / 744),
        MonthUsage(date(2026, 11, 1), Decimal("0.07"), 1, 0, 0.25 / 720),
    ]


def test_intervals_longer_than_an_hour_have_no_shape(october: UsageFile) -> None:
    october.series[2].intervals.length_s[1] = 7200
    assert overview(october.series[2], ZoneInfo("UTC")).hour_means_kw == [None] * 24
