"""Estimates by hand, by an oracle, and what stays unknown."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import chain
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metertwin.core.clock import from_us
from metertwin.core.interval_table import IntervalTable, IntervalTableError
from metertwin.core.reading import Origin, Quality
from metertwin.core.vee import (
    AuditAction,
    EstimationMethod,
    LastResort,
    RangeGains,
    VeeResult,
    VeeRules,
    validate_estimate_edit,
)
from metertwin.core.vee.totals import shared

MakeTable = Callable[..., IntervalTable]
ZONE = ZoneInfo("Europe/Zurich")
DAY: list[int | None] = [100 + hour for hour in range(24)]
QUIET = VeeRules(high_day_factor=None, low_day_factor=None, spike_factor=None, flat_hours=None)


def estimated(
    table: IntervalTable, rules: VeeRules = QUIET, readings: RangeGains | None = None
) -> VeeResult:
    return validate_estimate_edit(table, rules, zone=ZONE, register_readings=readings)


def without(day: list[int | None], *hours: int) -> list[int | None]:
    return [None if hour in hours else value for hour, value in enumerate(day)]


def test_a_short_gap_is_bridged_by_a_line_rounded_to_counts(hourly: MakeTable) -> None:
    result = estimated(hourly([[100, None, None, 105, 7, None, 8]]))
    # 100 + 5/3 = 101.67 and 100 + 10/3 = 103.33; (7 + 8) / 2 = 7.5 is rounded up.
    assert result.table.gain.tolist() == [[100, 102, 103, 105, 7, 8, 8]]
    assert [entry.method for entry in result.audit] == [EstimationMethod.INTERPOLATED] * 2
    assert not result.table.quality.any()


def test_a_longer_gap_takes_the_mean_of_like_days_not_of_other_days(hourly: MakeTable) -> None:
    weekend: list[int | None] = [900] * 24
    double: list[int | None] = [2 * (value or 0) for value in DAY]
    # Monday known, Tuesday double, Wednesday lacks 08:00 to 11:00, then Saturday and Sunday.
    week = [DAY, double, without(DAY, 8, 9, 10), DAY, DAY, weekend, weekend]
    result = estimated(hourly([list(chain(*week))]))
    # 08:00: (108 + 216 + 108 + 108) / 4 = 135; likewise 136.25 and 137.5, halves to even.
    assert result.table.gain[0, 56:59].tolist() == [135, 136, 138]
    (entry,) = result.audit
    assert entry.method is EstimationMethod.LIKE_DAYS
    assert (result.table.origin[0, 56:59] == Origin.ESTIMATED).all()
    assert result.explained(0) == [
        (
            "2026-03-04T08:00+01:00 to 2026-03-04T11:00+01:00: no values came from the meter; "
            "estimated as 409 Wh from this meter's like days at the same time of day."
        )
    ]


def test_days_of_another_kind_serve_with_a_mark_and_nothing_leaves_it_unknown(
    hourly: MakeTable,
) -> None:
    gone: list[int | None] = [None] * 24
    result = estimated(hourly([DAY + gone, gone + gone]))
    assert result.table.gain[0, 24:].tolist() == DAY  # one like day is too few to be the mean of
    assert (result.table.quality[0, 24:] == Quality.SUSPECT).all()
    assert not result.table.is_known[1].any()
    assert [entry.method for entry in result.audit] == [
        EstimationMethod.OTHER_DAYS,
        EstimationMethod.NONE,
    ]
    assert result.audit[1].action is AuditAction.LEFT_UNKNOWN
    assert result.explained(1) == [
        (
            "2026-03-02T00:00+01:00 to 2026-03-04T00:00+01:00: no values came from the meter, and "
            "nothing is known to estimate them from; they stay unknown."
        )
    ]


@pytest.mark.parametrize(
    ("last_resort", "gains", "method"),
    [
        (LastResort.CLASS_AVERAGE, [150, 160, 170], EstimationMethod.CLASS_AVERAGE),
        (LastResort.ZERO, [0, 0, 0], EstimationMethod.ZERO),
    ],
)
def test_the_last_resort_is_taken_only_when_named_and_marked(
    hourly: MakeTable, last_resort: LastResort, gains: list[int], method: EstimationMethod
) -> None:
    table = hourly([[100, 110, 120], [None, None, None], [200, 210, 220]])
    rules = VeeRules(last_resort=last_resort)
    result = estimated(table, rules)
    assert result.table.gain[1].tolist() == gains
    assert (result.table.quality[1] == Quality.SUSPECT).all()
    assert [entry.method for entry in result.audit] == [method]


def test_a_span_is_shared_in_the_shape_of_like_days_to_the_last_count(hourly: MakeTable) -> None:
    gap = without(DAY, 1, 2, 3)
    result = estimated(hourly([[*DAY, *DAY, *gap]], spans=[(0, 49, 3, 100)]))
    # 101 : 102 : 103 of 100: 33.007, 33.333, 33.660; the count left over goes to the last.
    assert result.table.gain[0, 49:52].tolist() == [33, 33, 34]
    (entry,) = result.audit
    assert (entry.method, entry.total_gain) == (EstimationMethod.LIKE_DAYS, 100)
    assert result.explained(0) == [
        (
            "2026-03-04T01:00+01:00 to 2026-03-04T04:00+01:00: only a total of 100 Wh over 3 h is "
            "known; shared in the shape of this meter's like days."
        )
    ]


def test_neighbouring_totals_are_told_in_one_sentence(hourly: MakeTable) -> None:
    spans = [(0, 1, 2, 10), (0, 3, 2, 0), (0, 5, 3, 9), (0, 9, 2, 4)]
    result = estimated(hourly([[5, *[None] * 7, 6, None, None, 7]], spans=spans))
    # 10 + 0 + 9 Wh from 01:00 to 08:00, then a known hour.
    assert result.explained(0) == [
        (
            "2026-03-02T01:00+01:00 to 2026-03-02T08:00+01:00: only totals over 2 to 3 h are "
            "known, 3 of them with 19 Wh in all; each shared in equal parts."
        ),
        (
            "2026-03-02T09:00+01:00 to 2026-03-02T11:00+01:00: only a total of 4 Wh over 2 h is "
            "known; shared in equal parts."
        ),
    ]


def test_a_span_without_like_days_is_even_and_one_of_nothing_is_zero(hourly: MakeTable) -> None:
    table = hourly([[5, None, None, None, 6, None, None, 7]], spans=[(0, 1, 3, 10), (0, 5, 2, 0)])
    result = estimated(table)
    assert result.table.gain.tolist() == [[5, 4, 3, 3, 6, 0, 0, 7]]
    assert [entry.method for entry in result.audit] == [
        EstimationMethod.EVEN,
        EstimationMethod.STOOD_STILL,
    ]
    assert result.table.quality[0].tolist() == [0, 16, 16, 16, 0, 0, 0, 0]
    with pytest.raises(IntervalTableError, match="overlaps another or reaches over the table"):
        estimated(hourly([[None, None, None]], spans=[(0, 0, 2, 10), (0, 1, 2, 10)]))


def test_readings_at_both_ends_fill_gaps_to_what_the_register_gained(hourly: MakeTable) -> None:
    table = hourly([[10, None, 30, None, None, 5], [10, 20, None, 0, 0, 0]], spans=[(0, 3, 2, 8)])
    readings = RangeGains(np.array([60, 37]), np.array([True, True]))
    result = estimated(table, readings=readings)
    # 60 - 10 - 30 - 5 - 8 = 7 for the one open interval; 37 - 30 = 7 in the second row.
    assert result.table.gain.tolist() == [[10, 7, 30, 4, 4, 5], [10, 20, 7, 0, 0, 0]]
    assert result.table.gain.sum(axis=1).tolist() == [60, 37]
    methods = [(entry.row, entry.method) for entry in result.audit]
    assert (0, EstimationMethod.REMAINDER) in methods
    assert (1, EstimationMethod.REMAINDER) in methods


def test_suspect_and_powerless_intervals_are_no_example(hourly: MakeTable) -> None:
    bad: list[int | None] = [1000] * 24
    out: list[int | None] = [0] * 24
    quality = {(0, at): int(Quality.DATA_INVALID) for at in range(24)}
    quality |= {(0, at): int(Quality.POWER_DOWN) for at in range(24, 48)}
    rows = [[*bad, *out, *DAY, *DAY, *without(DAY, 6, 7, 8)]]
    result = estimated(hourly(rows, quality=quality))
    assert result.table.gain[0, 102:105].tolist() == [106, 107, 108]


def test_an_estimate_is_no_example_so_that_running_again_estimates_nothing_more(
    hourly: MakeTable,
) -> None:
    # 05:00 of Monday is bridged; 03:00 to 08:00 of Tuesday has no 05:00 to go by but that estimate.
    table = hourly([[*without(DAY, 5), *without(DAY, 3, 4, 5, 6, 7)]])
    once = estimated(table)
    again = estimated(once.table)
    assert once.table.gain[0, 5] == 105
    for result in (once, again):
        assert not result.table.is_known[0, 27:32].any()


def slow_mean(table: IntervalTable, row: int, column: int, window_days: int) -> float | None:
    """Return the mean at the same local time of days of one kind, one value at a time."""

    moments = [from_us(start_us).astimezone(ZONE) for start_us in table.starts_us().tolist()]
    own = moments[column]

    def kind(moment: datetime) -> int:
        return max(moment.weekday() - 4, 0)

    values = [
        int(table.gain[row, at])
        for at, moment in enumerate(moments)
        if table.is_known[row, at]
        and moment.time() == own.time()
        and kind(moment) == kind(own)
        and 0 < abs((moment.date() - own.date()).days) <= window_days
    ]
    return sum(values) / len(values) if len(values) >= 2 else None


@settings(max_examples=12)
@given(seed=st.integers(0, 2**32 - 1), window_days=st.sampled_from([7, 28]))
@pytest.mark.parametrize("month", [3, 10])
def test_like_days_are_those_of_a_slow_search_across_the_clocks_changes(
    hourly: MakeTable, month: int, seed: int, window_days: int
) -> None:
    random = np.random.default_rng(seed)
    gain = random.integers(0, 500, 24 * 25)
    gap_at = int(random.integers(0, len(gain) - 30))
    row = [
        None if gap_at <= at < gap_at + 30 or random.random() < 0.1 else int(value)
        for at, value in enumerate(gain)
    ]
    table = hourly([row], start=datetime(2026, month, 10, 22, tzinfo=UTC))
    rules = VeeRules(
        high_day_factor=None,
        low_day_factor=None,
        spike_factor=None,
        like_day_window_days=window_days,
        interpolation_hours=0.0,
    )
    result = estimated(table, rules)
    for entry in result.audit:
        columns = range(entry.first_index, entry.first_index + entry.interval_count)
        means = [slow_mean(table, 0, at, window_days) for at in columns]
        if entry.method is EstimationMethod.LIKE_DAYS:
            assert [None if mean is None else round(mean) for mean in means] == list(
                entry.after_counts
            )
        else:
            assert None in means


@given(gain=st.integers(0, 10**18), shares=st.lists(st.integers(0, 10**6), min_size=1))
def test_sharing_loses_and_makes_no_count_and_is_off_by_less_than_one(
    gain: int, shares: list[int]
) -> None:
    parts = shared(gain, shares)
    total = sum(shares)
    assert sum(parts) == gain
    assert min(parts) >= 0
    if total:
        for part, share in zip(parts, shares, strict=True):
            assert abs(part * total - gain * share) < total
