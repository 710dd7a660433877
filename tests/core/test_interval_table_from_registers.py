"""Interval tables out of register readings."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metertwin.core.ids import MeterId
from metertwin.core.interval_table import IntervalTable, IntervalTableError
from metertwin.core.interval_table_from_registers import table_from_captures, table_from_registers
from metertwin.core.obis import Obis
from metertwin.core.reading import Quality, Register
from metertwin.core.register_series import RegisterColumns, Replacement, SeriesRules
from metertwin.core.units import Unit

MakeColumns = Callable[..., RegisterColumns]
Row = tuple[int, int, int, int, int]  # series, sequence, captured_at_s, received_at_s, integer

PERIOD_S = 900
REGISTER = Register(Obis.parse("1-0:1.8.0*255"), Unit.WATT_HOUR, 0, PERIOD_S)
MODULUS = 100_000


def rules_for(count: int, period_s: int = PERIOD_S) -> SeriesRules:
    """Return rules of 8,000 W connections: at most 2,001 Wh in a quarter of an hour."""
    return SeriesRules.uniform(
        count, modulus_count=MODULUS, scaler=0, maximal_power_w=8000.0, period_s=period_s
    )


def meters_of(count: int) -> list[MeterId]:
    return [MeterId(f"m{number}") for number in range(count)]


def built(
    columns: RegisterColumns,
    *,
    interval_count: int,
    meter_count: int = 1,
    replacements: list[Replacement] | None = None,
) -> IntervalTable:
    return table_from_registers(
        meters_of(meter_count),
        REGISTER,
        columns,
        rules_for(meter_count),
        start_us=0,
        end_us=interval_count * PERIOD_S * 10**6,
        replacements=replacements or [],
    )


def captured(series: int, *integers: int | None) -> list[Row]:
    """Return captures on the grid from 0 on; None is missing."""
    return [
        (series, slot + 1, slot * PERIOD_S, slot * PERIOD_S + 3, integer)
        for slot, integer in enumerate(integers)
        if integer is not None
    ]


def spans_of(table: IntervalTable) -> list[tuple[int, ...]]:
    spans = table.spans
    columns = (spans.row, spans.first_index, spans.interval_count, spans.gain)
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


def as_lists(table: IntervalTable) -> list[object]:
    return [
        table.gain.tolist(),
        table.is_known.tolist(),
        table.quality.tolist(),
        table.origin.tolist(),
        spans_of(table),
    ]


def test_single_intervals_are_known_and_a_hole_becomes_a_span(columns_of: MakeColumns) -> None:
    rows = [*captured(0, 100, 130, None, None, 250, 251), *captured(1, 99_990, 20, 30, 30, 31, 33)]
    table = built(columns_of(rows), interval_count=5, meter_count=2)
    # Meter 0: 130 - 100, then 250 - 130 over three quarters; meter 1 passes 100,000: 30.
    assert table.gain.tolist() == [[30, 0, 0, 0, 1], [30, 10, 0, 1, 2]]
    assert table.is_known.tolist() == [[True, False, False, False, True], [True] * 5]
    assert spans_of(table) == [(0, 1, 3, 120)]


def test_a_reset_and_a_replacement_leave_the_time_unknown(columns_of: MakeColumns) -> None:
    rows = [*captured(0, 50_000, 50_010, 5, 25, 40), *captured(1, 10, 20, None, 500, 510)]
    replacements = [Replacement(1, 2 * PERIOD_S * 10**6)]
    table = built(columns_of(rows), interval_count=4, meter_count=2, replacements=replacements)
    assert table.gain.tolist() == [[10, 0, 20, 15], [10, 0, 0, 10]]
    assert table.is_known.tolist() == [[True, False, True, True], [True, False, False, True]]
    assert not len(table.spans)


def test_captures_off_the_grid_and_twice_at_one_point_keep_their_gain_in_the_sum(
    columns_of: MakeColumns,
) -> None:
    rows: list[Row] = [
        (0, 1, 2, 5, 100),
        (0, 2, 400, 403, 107),  # off the grid: 7 of the first quarter's 12
        (0, 3, 899, 902, 112),
        (0, 4, 902, 905, 113),  # again at the same point: its 1 belongs to the second quarter
        (0, 5, 1800, 1803, 130),
    ]
    table = built(columns_of(rows), interval_count=2)
    assert table.gain.tolist() == [[12, 18]]
    assert table.is_known.all()


def test_hours_a_clock_set_back_passed_twice_are_one_span_with_all_that_was_gained(
    columns_of: MakeColumns,
) -> None:
    # At 2,710 s by its clock the meter is set back by half an hour, to 910 s: the quarters that
    # end at 1,800 s and 2,700 s come twice.
    rows: list[Row] = [
        (0, 1, 0, 0, 100),
        (0, 2, 900, 900, 110),
        (0, 3, 1800, 1800, 125),
        (0, 4, 2700, 2700, 130),
        (0, 5, 1800, 3600, 150),
        (0, 6, 2700, 4500, 155),
        (0, 7, 3600, 5400, 170),
        (0, 8, 4500, 6300, 171),
    ]
    table = built(columns_of(rows), interval_count=5)
    assert table.is_known.tolist() == [[True, False, False, False, True]]
    assert table.gain.tolist() == [[10, 0, 0, 0, 1]]
    assert spans_of(table) == [(0, 1, 3, 60)]  # 170 - 110
    assert (table.quality[0, 1:4] & Quality.CLOCK_ADJUSTED).all()


def test_a_total_that_reaches_over_the_range_is_not_known_in_it(columns_of: MakeColumns) -> None:
    rows = captured(0, 100, None, None, 130, 140)
    table = table_from_registers(
        meters_of(1),
        REGISTER,
        columns_of(rows),
        rules_for(1),
        start_us=PERIOD_S * 10**6,
        end_us=4 * PERIOD_S * 10**6,
    )
    assert table.is_known.tolist() == [[False, False, True]]
    assert not len(table.spans)


def general(captures: np.ndarray, present: np.ndarray, quality: np.ndarray) -> IntervalTable:
    """Go the general way, which late receipt of the first capture forces."""
    rows = np.argwhere(present)
    series, at = rows[:, 0], rows[:, 1]
    captured_at_us = at * PERIOD_S * 10**6
    columns = RegisterColumns(
        series=series,
        sequences=at + 1,
        integers=captures[present],
        captured_at_us=captured_at_us,
        received_at_us=captured_at_us + 10**6,
        quality=quality[present],
        origin=np.zeros(len(rows), np.uint8),
    )
    shuffled = columns.take(np.arange(len(rows))[::-1])
    return built(shuffled, interval_count=captures.shape[1] - 1, meter_count=len(captures))


@settings(max_examples=200)
@given(data=st.data(), meter_count=st.integers(1, 4), interval_count=st.integers(1, 12))
def test_the_matrix_way_and_the_general_way_agree(
    data: st.DataObject, meter_count: int, interval_count: int
) -> None:
    seed = data.draw(st.integers(0, 2**32 - 1))
    faults = data.draw(st.sampled_from([0.0, 0.1, 0.5]))
    random = np.random.default_rng(seed)
    shape = (meter_count, interval_count + 1)
    captures = np.cumsum(random.integers(0, 2300, shape), axis=1) % MODULUS
    falls = random.random(shape) < faults / 2
    captures[falls] = random.integers(-5, MODULUS + 5, shape)[falls]
    present = random.random(shape) >= faults
    quality = random.integers(0, 256, shape).astype(np.uint8)
    table = table_from_captures(
        meters_of(meter_count),
        REGISTER,
        captures,
        rules_for(meter_count),
        start_us=0,
        is_present=present,
        quality=quality,
        origin=np.zeros(shape, np.uint8),
    )
    assert as_lists(table) == as_lists(general(captures, present, quality))


@settings(max_examples=150)
@given(
    steps=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 1800)), min_size=1, max_size=20),
    jitter_s=st.lists(st.integers(-5, 5), min_size=21, max_size=21),
)
def test_known_gains_and_spans_sum_to_last_less_first(
    columns_of: MakeColumns, steps: list[tuple[int, int]], jitter_s: list[int]
) -> None:
    slot, total = 0, 99_000
    rows: list[Row] = [(0, 1, jitter_s[0], 10, total)]
    for number, (slots, gain) in enumerate(steps):
        slot, total = slot + slots, total + gain
        at_s = slot * PERIOD_S + jitter_s[number + 1]
        rows.append((0, number + 2, at_s, at_s + 10, total % MODULUS))
    table = built(columns_of(rows[::-1]), interval_count=slot)
    assert int(table.gain.sum() + table.spans.gain.sum()) == total - 99_000
    assert int(table.is_known.sum() + table.spans.interval_count.sum()) == slot


@settings(max_examples=200)
@given(
    steps=st.lists(
        st.tuples(
            st.integers(1, 1800),  # counts gained in the quarter of an hour
            st.one_of(st.just(0), st.just(0), st.integers(-6, 6)),  # quarters the clock is set by
        ),
        min_size=1,
        max_size=30,
    )
)
def test_a_clock_set_anyhow_loses_no_count_between_sure_ends(
    columns_of: MakeColumns, steps: list[tuple[int, int]]
) -> None:
    # Quiet quarters before and after, longer than the clock is ever off.
    error, total = 0, 0
    rows: list[Row] = [(0, 1, 0, 0, 0)]
    for slot, (gain, jump) in enumerate([*[(1, 0)] * 40, *steps, *[(1, 0)] * 200], start=1):
        total += gain
        error = max(error + jump, -20)
        rows.append((0, slot + 1, (slot + error) * PERIOD_S, slot * PERIOD_S, total))
    last_s = rows[-1][2]
    table = built(columns_of(rows), interval_count=last_s // PERIOD_S)
    assert int(table.gain.sum() + table.spans.gain.sum()) == total
    claimed = table.is_known[0].astype(int)
    for _, first, count, _ in spans_of(table):
        claimed[first : first + count] += 1
    assert (claimed == 1).all()


def test_a_range_off_the_grid_and_rules_of_another_register_are_refused(
    columns_of: MakeColumns,
) -> None:
    with pytest.raises(IntervalTableError, match="begin and end it on multiples of a capture"):
        table_from_registers(
            meters_of(1), REGISTER, columns_of([]), rules_for(1), start_us=1, end_us=900 * 10**6
        )
    with pytest.raises(IntervalTableError, match="of 2 meters has 1 rules"):
        table_from_registers(
            meters_of(2), REGISTER, columns_of([]), rules_for(1), start_us=0, end_us=900 * 10**6
        )
    with pytest.raises(IntervalTableError, match="one column more than intervals"):
        table_from_captures(
            meters_of(1),
            REGISTER,
            np.zeros((1, 0), np.int64),
            rules_for(1),
            start_us=0,
            is_present=np.zeros((1, 0), bool),
            quality=np.zeros((1, 0), np.uint8),
            origin=np.zeros((1, 0), np.uint8),
        )
