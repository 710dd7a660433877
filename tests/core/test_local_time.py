"""Local days and hours on ordinary days and on both days of a summer-time change."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metertwin.core.clock import from_us, to_us
from metertwin.core.local_time import (
    LocalRangeError,
    gains_by_bucket,
    local_day_edges_us,
    local_hour_edges_us,
    local_label,
)
from metertwin.core.reading import Quality
from metertwin.core.register_series import IntervalColumns, RegisterColumns, SeriesRules
from metertwin.core.registers import energy_gained

ZURICH = ZoneInfo("Europe/Zurich")
HOUR_US = 3600 * 10**6
QUARTER_US = HOUR_US // 4
MakeColumns = Callable[..., RegisterColumns]


@pytest.mark.parametrize(
    ("day", "hour_count"),
    [(date(2026, 3, 28), 24), (date(2026, 3, 29), 23), (date(2026, 10, 25), 25)],
)
def test_days_of_23_24_and_25_hours(day: date, hour_count: int) -> None:
    edges_us = local_day_edges_us(day, 1, ZURICH)
    assert np.diff(edges_us).tolist() == [hour_count * HOUR_US]
    hours_us = local_hour_edges_us(day, 1, ZURICH)
    assert np.diff(hours_us).tolist() == [HOUR_US] * hour_count


def test_the_spring_day_has_no_two_oclock_and_the_autumn_day_two() -> None:
    spring = local_hour_edges_us(date(2026, 3, 29), 1, ZURICH).tolist()
    assert [local_label(edge, ZURICH)[11:] for edge in spring[1:4]] == [
        "01:00+01:00",
        "03:00+02:00",
        "04:00+02:00",
    ]
    autumn = local_hour_edges_us(date(2026, 10, 25), 1, ZURICH).tolist()
    assert [local_label(edge, ZURICH) for edge in autumn[1:5]] == [
        "2026-10-25T01:00+02:00",
        "2026-10-25T02:00+02:00",
        "2026-10-25T02:00+01:00",
        "2026-10-25T03:00+01:00",
    ]


def test_a_half_hour_change_makes_a_half_hour_bucket() -> None:
    # Lord Howe Island goes from +11:00 back to +10:30 at 02:00 on 5 April 2026.
    zone = ZoneInfo("Australia/Lord_Howe")
    hours_us = local_hour_edges_us(date(2026, 4, 5), 1, zone)
    assert np.diff(hours_us).tolist() == [HOUR_US, HOUR_US, HOUR_US // 2, *[HOUR_US] * 22]
    assert hours_us[-1] - hours_us[0] == 24 * HOUR_US + HOUR_US // 2


def test_a_day_whose_midnight_does_not_exist_begins_with_the_change() -> None:
    # Beirut goes from 00:00 to 01:00 on 29 March 2026: 22:00 UTC the day before.
    zone = ZoneInfo("Asia/Beirut")
    edges_us = local_day_edges_us(date(2026, 3, 29), 1, zone)
    assert from_us(int(edges_us[0])) == datetime(2026, 3, 28, 22, tzinfo=UTC)
    assert np.diff(edges_us).tolist() == [23 * HOUR_US]
    assert np.diff(local_hour_edges_us(date(2026, 3, 29), 1, zone)).tolist() == [HOUR_US] * 23


ZONES = [
    "Europe/Zurich",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Asia/Beirut",
]


@settings(max_examples=60, deadline=None)
@given(
    zone_name=st.sampled_from(ZONES),
    first_day=st.dates(date(2024, 1, 1), date(2027, 12, 1)),
    day_count=st.integers(1, 10),
)
def test_buckets_are_apart_labelled_and_begin_where_the_local_hour_changes(
    zone_name: str, first_day: date, day_count: int
) -> None:
    zone = ZoneInfo(zone_name)
    edges_us = local_hour_edges_us(first_day, day_count, zone).tolist()
    labels = [local_label(edge, zone) for edge in edges_us]
    assert len(set(labels)) == len(labels)
    # Oracle: walk quarter by quarter and see when (local hour, offset) changes.
    expected = [edges_us[0]]
    for moment_us in range(edges_us[0] + QUARTER_US, edges_us[-1], QUARTER_US):
        before = from_us(moment_us - QUARTER_US).astimezone(zone)
        now = from_us(moment_us).astimezone(zone)
        if (before.hour, before.utcoffset()) != (now.hour, now.utcoffset()):
            expected.append(moment_us)
    assert [*expected, edges_us[-1]] == edges_us
    day_after = first_day + timedelta(days=day_count)
    assert from_us(edges_us[-1]).astimezone(zone).date() == day_after


def quarter_gains(columns_of: MakeColumns, day: date, quarter_count: int) -> IntervalColumns:
    """Return quarters from local midnight on; quarter n gains n + 1."""
    start_s = to_us(datetime(day.year, day.month, day.day, tzinfo=ZURICH)) // 10**6
    integers = np.cumsum(np.arange(quarter_count + 1)).tolist()
    rows = [
        (0, n + 1, start_s + 900 * n, start_s + 900 * n + 1, integer)
        for n, integer in enumerate(integers)
    ]
    rules = SeriesRules.uniform(
        1, modulus_count=10**8, scaler=0, maximal_power_w=15e3, period_s=900
    )
    return energy_gained(columns_of(rows), rules).intervals


@pytest.mark.parametrize(
    ("day", "quarter_count", "total"),
    [
        (date(2026, 3, 29), 92, 4278),  # 92 x 93 / 2
        (date(2026, 6, 1), 96, 4656),  # 96 x 97 / 2
        (date(2026, 10, 25), 100, 5050),  # 100 x 101 / 2
    ],
)
def test_a_whole_local_day_is_complete(
    columns_of: MakeColumns, day: date, quarter_count: int, total: int
) -> None:
    intervals = quarter_gains(columns_of, day, quarter_count)
    gains = gains_by_bucket(intervals, 1, local_day_edges_us(day, 1, ZURICH))
    assert gains.gain.tolist() == [[total]]
    assert gains.is_complete().tolist() == [[True]]
    assert gains.apart_rows.tolist() == []


def test_the_two_hours_called_two_oclock_keep_their_own_energy(columns_of: MakeColumns) -> None:
    day = date(2026, 10, 25)
    intervals = quarter_gains(columns_of, day, 100)
    gains = gains_by_bucket(intervals, 1, local_hour_edges_us(day, 1, ZURICH))
    # Hour h of the day holds quarters 4h+1 to 4h+4: sum 16h + 10. Hours 2 and 3 are both 02:00.
    assert gains.gain[0, 2:4].tolist() == [42, 58]
    assert gains.gain[0].tolist() == [16 * hour + 10 for hour in range(25)]


def test_a_bucket_has_all_quality_bits_of_its_intervals() -> None:
    intervals = IntervalColumns(
        series=np.array([0, 0]),
        start_us=np.array([0, QUARTER_US]),
        length_us=np.array([QUARTER_US, QUARTER_US]),
        gain=np.array([1, 1]),
        quality=np.array([Quality.SUSPECT, Quality.DATA_INVALID], np.uint8),
        origin=np.zeros(2, np.uint8),
        received_at_us=np.zeros(2, np.int64),
    )
    gains = gains_by_bucket(intervals, 1, np.array([0, HOUR_US]))
    assert gains.quality.tolist() == [[16 + 4]]


def test_an_interval_over_an_edge_is_in_no_bucket_and_listed() -> None:
    hours = np.array([0, 1, 2]) * HOUR_US
    intervals = IntervalColumns(
        series=np.array([0, 0, 0, 1]),
        start_us=np.array([0, HOUR_US // 2, HOUR_US + QUARTER_US, 5 * HOUR_US]),
        length_us=np.array([HOUR_US // 2, HOUR_US, QUARTER_US, QUARTER_US]),
        gain=np.array([5, 70, 9, 1]),
        quality=np.array([1, 4, 16, 0], np.uint8),
        origin=np.zeros(4, np.uint8),
        received_at_us=np.zeros(4, np.int64),
    )
    gains = gains_by_bucket(intervals, 2, hours)
    assert gains.gain.tolist() == [[5, 9], [0, 0]]
    assert gains.covered_us.tolist() == [[HOUR_US // 2, QUARTER_US], [0, 0]]
    assert gains.quality.tolist() == [[1, 16], [0, 0]]
    assert gains.apart_rows.tolist() == [1, 3]
    assert not gains.is_complete().any()
    # Nothing is lost: buckets and what stands apart make up the whole.
    assert gains.gain.sum() + intervals.gain[gains.apart_rows].sum() == intervals.gain.sum()


def test_a_negative_count_of_days_is_refused() -> None:
    with pytest.raises(LocalRangeError, match=r"^-1 days from 2026-03-29 on is no range; give 0"):
        local_day_edges_us(date(2026, 3, 29), -1, ZURICH)
