"""What each check finds and what it lets pass, on values one can follow."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import chain
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metertwin.core.clock import from_us
from metertwin.core.interval_table import IntervalTable, IntervalTableError
from metertwin.core.obis import Obis
from metertwin.core.reading import Origin, Quality
from metertwin.core.vee import (
    RangeGains,
    VeeCheck,
    VeeFinding,
    VeeResult,
    VeeRules,
    VeeRulesError,
    validate_estimate_edit,
)
from metertwin.core.vee.finding import runs_of

MakeTable = Callable[..., IntervalTable]
ZONE = ZoneInfo("Europe/Zurich")
DAY = [100 + hour for hour in range(24)]  # 100 to 123 Wh: no check has anything against it


def checked(table: IntervalTable, rules: VeeRules | None = None) -> VeeResult:
    return validate_estimate_edit(table, rules or VeeRules(), zone=ZONE)


def with_values(day: list[int], **by_hour: int) -> list[int]:
    return [by_hour.get(f"h{hour}", value) for hour, value in enumerate(day)]


def test_a_clean_table_has_no_finding_and_stays_as_it_is(hourly: MakeTable) -> None:
    table = hourly([DAY * 10, DAY * 10])
    result = checked(table)
    assert list(result.findings) == []
    assert list(result.audit) == []
    assert (result.table.gain == table.gain).all()
    assert not result.table.quality.any()
    assert not result.is_estimated().any()


def test_a_spike_is_above_three_times_the_third_largest_and_above_the_usual_peak(
    hourly: MakeTable,
) -> None:
    # Third largest of the day 122, 3 x 122 = 366; usual peak 123, 1.5 x 123 = 184.5.
    spiky = with_values(DAY, h5=367, h6=366)
    result = checked(hourly([DAY * 2 + spiky]))
    # With 367 and 366 in the day, the third largest is 123: the limit is 369 and neither is above.
    assert list(result.findings) == []
    result = checked(hourly([DAY * 2 + with_values(DAY, h5=370)]))
    # The largest three are 370, 123, 122.
    assert list(result.findings) == [
        VeeFinding(0, 53, 1, VeeCheck.SPIKE, Decimal(370), Decimal(366), "Wh")
    ]
    assert result.table.quality[0, 53] == Quality.SUSPECT
    assert result.table.gain[0, 53] == 370
    assert result.table.origin[0, 53] == Origin.MEASURED


def test_a_peak_that_is_usual_is_no_spike_however_quiet_its_day(hourly: MakeTable) -> None:
    quiet = with_values([10] * 23 + [11], h5=184)  # 3 x 11 = 33, but peaks of 123 are usual
    rules = VeeRules(low_day_factor=None, flat_hours=None)
    assert list(checked(hourly([DAY * 2 + quiet]), rules).findings) == []
    louder = with_values([10] * 23 + [11], h5=185)
    found = checked(hourly([DAY * 2 + louder]), rules).findings
    assert [(each.check, each.limit) for each in found] == [(VeeCheck.SPIKE, Decimal("184.5"))]


def test_what_is_fed_in_is_not_held_against_other_days(hourly: MakeTable) -> None:
    # Three days of sun, then three under snow: of 1.8.0 that is a first long time of nothing.
    rows = [[*DAY * 4, *[0] * 72, *DAY]]
    drawn = hourly(rows)
    register = drawn.register._replace(obis=Obis.parse("1-0:2.8.0*255"))
    assert {each.check for each in checked(drawn).findings} == {VeeCheck.ZERO_RUN, VeeCheck.LOW_DAY}
    assert list(checked(replace(drawn, register=register)).findings) == []


def longer_intervals(hourly: MakeTable, period_s: int, *gains: int | None) -> IntervalTable:
    """Return intervals of another length from a midnight of UTC on."""
    table = hourly([list(gains)], start=datetime(2026, 3, 2, tzinfo=UTC))
    return replace(table, register=table.register._replace(period_s=period_s))


def test_daily_totals_that_are_alike_are_no_frozen_value(hourly: MakeTable) -> None:
    # Two days of 24 kWh are 48 h of one value, more than 12 h, and say nothing of their hours.
    assert list(checked(longer_intervals(hourly, 86_400, *[24_000] * 59)).findings) == []
    quarters = longer_intervals(hourly, 21_600, 12_000, 12_000, 12_000)
    (found,) = checked(quarters).findings  # 3 x 6 h
    assert (found.check, found.value, found.limit) == (VeeCheck.FLAT, Decimal(18), Decimal(12))


def test_a_limit_is_told_as_the_rule_has_it(hourly: MakeTable) -> None:
    rules = VeeRules(zero_run_hours=40.0, low_day_factor=None)
    days = longer_intervals(hourly, 86_400, 24_000, 23_000, 0, 0, 25_000)
    (found,) = checked(days, rules).findings
    # One whole day fits into 40 h; the limit is 40 h all the same.
    assert (found.check, found.value, found.limit) == (VeeCheck.ZERO_RUN, Decimal(48), Decimal(40))


def slow_spikes(table: IntervalTable) -> set[tuple[int, int]]:
    """Find spikes one value at a time."""
    found = set()
    for row in range(len(table.meters)):
        days: dict[object, list[int]] = {}
        for column, start_us in enumerate(table.starts_us().tolist()):
            if table.is_known[row, column]:
                local = from_us(start_us).astimezone(ZONE).date()
                days.setdefault(local, []).append(column)
        values = {day: [int(table.gain[row, at]) for at in ats] for day, ats in days.items()}
        for day, ats in days.items():
            if len(ats) < 3:
                continue
            peaks = [max(each) for other, each in values.items() if other != day]
            if not peaks:
                continue
            limit = max(3 * sorted(values[day])[-3], 1.5 * sorted(peaks)[-3:][0])
            found |= {(row, at) for at in ats if table.gain[row, at] > limit > 0}
    return found


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1))
def test_spikes_are_those_of_a_slow_search(hourly: MakeTable, seed: int) -> None:
    random = np.random.default_rng(seed)
    gain = random.integers(0, 30, (2, 24 * 30)) ** random.integers(1, 4, (2, 24 * 30))
    known = random.random(gain.shape) < 0.7
    rows = [
        [int(value) if is_known else None for value, is_known in zip(values, flags, strict=True)]
        for values, flags in zip(gain, known, strict=True)
    ]
    start = datetime(2026, 3, 15, 23, tzinfo=UTC)  # the clock changes on the 29th
    table = hourly(rows, start=start)
    rules = VeeRules(high_day_factor=None, low_day_factor=None)
    found = {
        (each.row, each.first_index)
        for each in checked(table, rules).findings
        if each.check is VeeCheck.SPIKE
    }
    assert found == slow_spikes(table)


def test_a_negative_gain_is_replaced_and_stays_in_the_audit(hourly: MakeTable) -> None:
    result = checked(hourly([with_values(DAY, h4=-7)]))
    # Neighbours 103 and 105: a line through them has 104 between.
    assert result.table.gain[0, 4] == 104
    assert result.table.origin[0, 4] == Origin.ESTIMATED
    (finding,) = result.findings
    assert (finding.check, finding.value, finding.limit) == (
        VeeCheck.NEGATIVE,
        Decimal(-7),
        Decimal(0),
    )
    (entry,) = result.audit
    assert (entry.before_counts, entry.after_counts) == ((-7,), (104,))
    assert entry.reasons == (VeeCheck.NEGATIVE,)
    assert result.explained(0)[1] == (
        "2026-03-02T04:00+01:00 to 2026-03-02T05:00+01:00: -7 Wh failed validation (negative); "
        "estimated as 104 Wh on a straight line between the values before and after."
    )


def test_more_than_the_connection_carries_is_found(hourly: MakeTable) -> None:
    # 500 W for an hour and 10 Wh a count: 50 counts and one for rounding.
    table = hourly([[51, 52, 3]], scaler=1)
    result = validate_estimate_edit(table, VeeRules(), zone=ZONE, limits_w=np.array([500.0]))
    assert [(each.first_index, each.value, each.limit) for each in result.findings] == [
        (1, Decimal(520), Decimal(510))
    ]
    with pytest.raises(IntervalTableError, match="give one above 0 W for each"):
        validate_estimate_edit(table, VeeRules(), zone=ZONE, limits_w=np.zeros(1))


def test_the_first_long_time_without_energy_is_found_but_not_a_supply_failure(
    hourly: MakeTable,
) -> None:
    rules = VeeRules(zero_run_hours=5.0, low_day_factor=None)
    zeros = [0] * 6
    load = DAY[:18]
    table = hourly(
        [
            [*load, *zeros, *load, *zeros],  # only the first is new
            [*zeros, *load, *load, *zeros],  # it begins like that: nothing new
            [*load, *zeros, *load, *load[:6]],  # the supply failed
        ],
        quality={(2, at): Quality.POWER_DOWN for at in range(20, 22)},
    )
    found = checked(table, rules).findings
    assert [(each.row, each.first_index, each.value, each.limit) for each in found] == [
        (0, 18, Decimal(6), Decimal(5))
    ]


def test_one_value_for_hours_is_found_when_it_is_not_small(hourly: MakeTable) -> None:
    rules = VeeRules(flat_hours=4.0, low_day_factor=None)
    flat = [*DAY[:10], 55, 55, 55, 55, 55, *DAY[15:]]
    small = [*DAY[:10], 9, 9, 9, 9, 9, *DAY[15:]]
    four = [*DAY[:10], 55, 55, 55, 55, *DAY[14:]]
    found = checked(hourly([flat, small, four]), rules).findings
    assert [(each.row, each.first_index, each.interval_count) for each in found] == [(0, 10, 5)]


def test_a_day_is_held_against_days_of_its_kind_holidays_are_sundays(hourly: MakeTable) -> None:
    # Monday 2 March to Sunday 15: workdays 2,676 Wh. Saturdays and Sundays are ten times that, and
    # so is Wednesday 4, unless it is a holiday: then it is as the Sundays are.
    high = [10 * value for value in DAY]
    days = [DAY, DAY, high, DAY, DAY, high, high] + [DAY] * 5 + [high] * 2
    table = hourly([list(chain(*days))])
    rules = VeeRules(usage_days_min=2, spike_factor=None)
    (finding,) = checked(table, rules).findings
    assert finding == VeeFinding(0, 48, 24, VeeCheck.HIGH_DAY, Decimal(26760), Decimal(13380), "Wh")
    holiday = validate_estimate_edit(table, rules, zone=ZONE, holidays={date(2026, 3, 4)})
    assert list(holiday.findings) == []
    low = hourly([[*DAY * 4, *[5] * 23, 6]])
    (finding,) = checked(low).findings
    # 23 x 5 + 6 = 121, a twentieth of 2,676 is 133.8.
    assert (finding.check, finding.value, finding.limit) == (
        VeeCheck.LOW_DAY,
        Decimal(121),
        Decimal("133.8"),
    )


def test_what_the_meter_doubts_is_suspect(hourly: MakeTable) -> None:
    quality = {
        (0, 3): Quality.CLOCK_INVALID,
        (0, 4): Quality.DATA_INVALID,
        (0, 9): Quality.POWER_DOWN,
    }
    result = checked(hourly([DAY], quality=quality))
    assert [(each.first_index, each.interval_count, each.value) for each in result.findings] == [
        (3, 2, Decimal(6))
    ]
    assert result.explained(0) == [
        (
            "2026-03-02T03:00+01:00 to 2026-03-02T05:00+01:00: the meter itself marked its values "
            "CLOCK_INVALID, DATA_INVALID."
        )
    ]
    assert result.table.quality[0, 4] == Quality.DATA_INVALID | Quality.SUSPECT
    assert result.table.quality[0, 9] == Quality.POWER_DOWN


def test_intervals_that_do_not_sum_to_the_registers_gain_are_found(hourly: MakeTable) -> None:
    table = hourly([DAY, DAY, DAY])
    # 100 + ... + 123 = 24 x 111.5 = 2,676; a register of 10,000 counts went through its end.
    start = np.array([9000, 0, 0])
    readings = RangeGains.of(
        start, np.array([1676, 2677, 2678]), np.array([True, True, True]), modulus_count=10_000
    )
    result = validate_estimate_edit(table, VeeRules(), zone=ZONE, register_readings=readings)
    (finding,) = result.findings
    assert finding == VeeFinding(2, 0, 24, VeeCheck.SUM, Decimal(2676), Decimal(2678), "Wh")
    assert result.explained(2) == [
        (
            "2026-03-02T00:00+01:00 to 2026-03-03T00:00+01:00: the intervals have 2676 Wh, the "
            "register gained 2678 Wh."
        )
    ]
    with pytest.raises(IntervalTableError, match="the table has 3; give one for each"):
        validate_estimate_edit(
            table,
            VeeRules(),
            zone=ZONE,
            register_readings=RangeGains(np.zeros(2, np.int64), np.ones(2, bool)),
        )


def test_rules_out_of_range_are_told_together() -> None:
    with pytest.raises(VeeRulesError) as caught:
        VeeRules(
            spike_factor=0.5,
            zero_run_hours=float("nan"),
            low_day_factor=1.5,
            replaced_after=frozenset({VeeCheck.SUM}),
        )
    assert str(caught.value) == (
        "Rules of validation cannot be used: spike_factor is 0.5, the least is 1; zero_run_hours "
        "is nan, the least is 0; low_day_factor is 1.5, the most is 1; sum has no value to replace."
    )


@given(flags=st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=4))
def test_runs_give_back_their_flags(flags: list[list[bool]]) -> None:
    again = np.zeros((len(flags), 3), bool)
    runs = runs_of(np.array(flags))
    for row, first, count in zip(*runs, strict=True):
        assert not again[row, max(first - 1, 0)]
        again[row, first : first + count] = True
    assert again.tolist() == flags
