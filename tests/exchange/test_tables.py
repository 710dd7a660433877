"""Series on a grid, and time zones as ESPI says them."""

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from metertwin.core.clock import to_us
from metertwin.exchange.green_button.daylight import NO_RULE, LocalTime, local_time_of, zone_of
from metertwin.exchange.tables import interval_table
from metertwin.exchange.usage_file import UsageFile, UsageFileError, UsageSeries

HOUR_US = 3_600_000_000


def test_a_gap_is_not_known(october: UsageFile) -> None:
    table = interval_table(october.series[0])
    assert table.gain.shape == (1, 100)
    assert np.flatnonzero(~table.is_known[0]).tolist() == [50]
    assert table.gain[0, 49:52].tolist() == [149, 0, 151]
    assert table.origin[0, 5:8].tolist() == [1, 0, 2]


def test_a_wider_or_narrower_range_can_be_asked_for(october: UsageFile) -> None:
    start_us = to_us(datetime(2026, 10, 24, 21, tzinfo=UTC))
    table = interval_table(october.series[0], start_us, start_us + 2 * HOUR_US)
    assert table.is_known[0].tolist() == [False] * 4 + [True] * 4
    assert table.gain[0, 4:].tolist() == [100, 101, 102, 103]


def test_there_and_back_is_the_same(october: UsageFile) -> None:
    series = october.series[0]
    back = UsageSeries.of_table(interval_table(series), 0, series.title)
    assert back.register == series.register
    assert back.intervals.gain.tolist() == series.intervals.gain.tolist()
    assert back.intervals.start_us.tolist() == series.intervals.start_us.tolist()


def test_intervals_of_several_lengths_are_refused(october: UsageFile) -> None:
    october.series[0].intervals.length_s[3] = 60
    with pytest.raises(UsageFileError) as caught:
        interval_table(october.series[0])
    assert str(caught.value) == (
        "Series 1-0:1.8.0*255 of M1 has 1 intervals that are not on a grid of 900 s since 1970 "
        "UTC, the first of 60 s from 2026-10-24T22:45:00+00:00; only intervals on one grid can be "
        "put in a table."
    )


def test_longer_intervals_are_spans_there_and_back(october: UsageFile) -> None:
    # Interval 49 reaches over the one that is missing: two quarter hours, 149 Wh in all.
    series = october.series[0]
    series.intervals.length_s[49] = 1800
    table = interval_table(series)
    assert (~table.is_known[0]).nonzero()[0].tolist() == [49, 50]
    spans = table.spans
    told = (spans.row, spans.first_index, spans.interval_count, spans.gain)
    assert [column.tolist() for column in told] == [[0], [49], [2], [149]]
    back = UsageSeries.of_table(table, 0).intervals
    assert back.length_s.tolist() == series.intervals.length_s.tolist()
    assert back.gain.tolist() == series.intervals.gain.tolist()
    assert back.origin.tolist() == series.intervals.origin.tolist()


def test_local_days_are_spans_on_the_grid_they_have_in_common(october: UsageFile) -> None:
    # 24 October 2026 has 24 h in Zurich, the 25th 25 h: midnights at 22:00 and 23:00 UTC.
    first_us = to_us(datetime(2026, 10, 23, 22, tzinfo=UTC))
    series = october.series[0]
    intervals = series.intervals.take(np.arange(2))
    intervals.start_us[:] = [first_us, first_us + 24 * HOUR_US]
    intervals.length_s[:] = [86_400, 90_000]
    table = interval_table(replace(series, intervals=intervals))
    assert (table.register.period_s, table.interval_count) == (3600, 49)
    assert not table.is_known.any()
    assert table.spans.first_index.tolist() == [0, 24]
    assert table.spans.interval_count.tolist() == [24, 25]
    assert table.spans.gain.tolist() == [100, 101]


def test_hours_with_a_few_quarters_are_on_a_grid_of_quarters(october: UsageFile) -> None:
    series = october.series[0]
    hours = series.intervals.take(np.arange(5))
    start_us = int(hours.start_us[0])
    hours.start_us[:] = start_us + np.array([0, 4, 8, 12, 13]) * HOUR_US // 4
    hours.length_s[:] = [3600, 3600, 3600, 900, 900]
    table = interval_table(replace(series, intervals=hours))
    assert table.register.period_s == 900
    assert np.flatnonzero(table.is_known[0]).tolist() == [12, 13]
    assert table.spans.first_index.tolist() == [0, 4, 8]


def test_a_date_far_away_is_no_grid_of_a_billion_cells(october: UsageFile) -> None:
    october.series[0].intervals.start_us[0] = 0
    october.series[0].intervals.length_s[:] = 1
    with pytest.raises(UsageFileError, match="check the dates in the file"):
        interval_table(october.series[0])


# month << 28 | operator << 25 | day << 20 | weekday << 17 | hour << 12, Sunday is weekday 7:
# the second Sunday (operator 3) of March at 2:00 is 0x30000000 + 0x6000000 + 0xE0000 + 0x2000.
@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        # As in the sample files of the Green Button Alliance.
        ("America/New_York", LocalTime(-18_000, 3600, 0x360E2000, 0xB40E2000)),
        # The last Sunday (7) of March at 2:00 and of October at 3:00 summer time.
        ("Europe/Zurich", LocalTime(3600, 3600, 0x3E0E2000, 0xAE0E3000)),
        # Winter from the first Sunday (2) of April at 3:00 to that of October at 2:00.
        ("Australia/Sydney", LocalTime(39_600, -3600, 0x440E3000, 0xA40E2000)),
        ("Asia/Kolkata", LocalTime(19_800)),
        ("UTC", LocalTime(0)),
        # Ramadan interrupts what counts as standard time there: no rule of weekdays says that.
        ("Africa/Casablanca", LocalTime(3600, is_exact=False)),
    ],
)
def test_zones_are_told_as_offset_and_two_rules(zone: str, expected: LocalTime) -> None:
    assert local_time_of(ZoneInfo(zone), 2024, 2026) == expected


def test_rules_that_changed_within_the_file_are_not_told() -> None:
    # The United States moved both changes in 2007.
    told = local_time_of(ZoneInfo("America/New_York"), 2006, 2007)
    assert told == LocalTime(-18_000, 0, NO_RULE, NO_RULE, is_exact=False)


def test_a_zone_is_found_by_its_title_or_its_rules() -> None:
    american = LocalTime(-18_000, 3600, 0x360E2000, 0xB40E2000)
    for title, name in [
        ("America/Toronto", "America/Toronto"),
        ("DST For North America", "America/New_York"),
        ("Europe/Zurich", "America/New_York"),
        ("../../etc/passwd", "America/New_York"),
    ]:
        assert zone_of(american, title, 2026, 2026) == ZoneInfo(name)
    assert zone_of(replace(american, tz_offset_s=1234), "", 2026, 2026) is None
