"""Interval energies from captures on a grid: differences, falls, gaps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metertwin.core.captures import (
    CaptureColumns,
    CaptureGridError,
    ConnectionRules,
    grid_of,
    table_from_captures,
)
from metertwin.core.ids import MeterId
from metertwin.core.interval_table import IntervalTable
from metertwin.core.obis import Obis
from metertwin.core.reading import Origin, Quality, Register
from metertwin.core.register_series import RegisterColumns, SeriesRules
from metertwin.core.registers import energy_gained
from metertwin.core.units import Unit

QUARTER = Register(Obis.parse("1-0:1.8.0"), Unit.WATT_HOUR, 0, 900)
PERIOD_US = 900_000_000
START_US = 2_000 * PERIOD_US
RULES = ConnectionRules(modulus_count=1_000, maximal_power_w=400.0)  # 100 Wh a quarter


def captures(
    *rows: list[int | None], quality: dict[int, int] | None = None, order: list[int] | None = None
) -> CaptureColumns:
    """One list per meter: the register at each grid point, None where there is no capture."""
    flat = [
        (row, point, integer)
        for row, points in enumerate(rows)
        for point, integer in enumerate(points)
        if integer is not None
    ]
    flat = flat if order is None else [flat[place] for place in order]
    columns = np.array(flat, np.int64).reshape(-1, 3)
    bits = [(quality or {}).get(point, 0) for point in columns[:, 1].tolist()]
    return CaptureColumns(
        columns[:, 0],
        np.arange(1, len(flat) + 1),
        START_US + columns[:, 1] * PERIOD_US,
        columns[:, 2],
        np.array(bits, np.uint8),
        np.zeros(len(flat), np.uint8),
    )


def table_of(columns: CaptureColumns, meters: int, intervals: int) -> IntervalTable:
    names = [MeterId(f"m{row}") for row in range(meters)]
    end_us = START_US + intervals * PERIOD_US
    return table_from_captures(grid_of(names, QUARTER, columns, START_US, end_us), RULES)


def spans_of(table: IntervalTable) -> list[tuple[int, ...]]:
    spans = table.spans
    columns = (spans.row, spans.first_index, spans.interval_count, spans.gain)
    return [tuple(each) for each in np.stack(columns, axis=1).tolist()]


def test_an_interval_is_the_difference_of_its_two_ends() -> None:
    table = table_of(captures([5, 12, 12, 60], [0, 1, 3, 7]), 2, 3)
    assert table.gain.tolist() == [[7, 0, 48], [1, 2, 4]]
    assert table.is_known.all()
    assert spans_of(table) == []


def test_a_fall_within_the_connections_power_is_a_rollover_and_beyond_it_a_reset() -> None:
    # 960 -> 20 is 60 with the modulus of 1000, at most 101 are possible; 500 -> 20 would be 520.
    table = table_of(captures([960, 20, 30], [500, 20, 30]), 2, 2)
    assert table.gain.tolist() == [[60, 10], [0, 10]]
    assert table.is_known.tolist() == [[True, True], [False, True]]
    assert spans_of(table) == []


def test_what_was_gained_over_missing_captures_is_known_in_all() -> None:
    table = table_of(captures([10, None, None, 40, 41], [None, 3, None, None, 8]), 2, 4)
    assert table.is_known.tolist() == [[False, False, False, True], [False] * 4]
    assert spans_of(table) == [(0, 0, 3, 30), (1, 1, 3, 5)]


def test_a_reset_within_a_gap_leaves_nothing_known() -> None:
    # Over two quarters at most 201 are possible; 700 -> 0 would be 300, 900 -> 0 is 100.
    table = table_of(captures([700, None, 0], [900, None, 0]), 2, 2)
    assert spans_of(table) == [(1, 0, 2, 100)]


def test_a_rise_beyond_the_connections_power_is_known_and_suspect() -> None:
    table = table_of(captures([0, 101, 203]), 1, 2)
    assert table.gain.tolist() == [[101, 102]]
    assert table.quality.tolist() == [[0, Quality.SUSPECT]]


def test_a_doubt_spoils_both_intervals_it_bounds_and_a_power_cut_the_one_before() -> None:
    bits = {1: int(Quality.CLOCK_INVALID | Quality.POWER_DOWN)}
    table = table_of(captures([0, 1, 2], quality=bits), 1, 2)
    assert table.quality.tolist() == [
        [Quality.CLOCK_INVALID | Quality.POWER_DOWN, Quality.CLOCK_INVALID]
    ]


def test_the_capture_read_last_counts_in_whatever_order_they_stand() -> None:
    twice = CaptureColumns(
        np.zeros(3, np.int64),
        np.array([9, 1, 4]),
        START_US + np.array([1, 0, 1]) * PERIOD_US + np.array([0, 4_000_000, 0]),
        np.array([50, 10, 20]),
        np.zeros(3, np.uint8),
        np.array([0, 0, Origin.ESTIMATED], np.uint8),
    )
    assert table_of(twice, 1, 1).gain.tolist() == [[40]]


def test_captures_off_the_grid_or_outside_are_left_out_and_odd_integers_unknown() -> None:
    columns = captures([1, 2, 3, 4])
    columns.captured_at_us[1] += 6_000_000  # six seconds off
    columns.integers[3] = 1_000  # does not fit into the register
    table = table_of(columns, 1, 2)
    assert table.is_known.tolist() == [[False, False]]
    assert spans_of(table) == [(0, 0, 2, 2)]
    assert table_of(columns, 1, 3).is_known.tolist() == [[False, False, False]]


def test_what_makes_no_grid_is_refused() -> None:
    with pytest.raises(CaptureGridError, match="is reversed or off the grid of 900 s"):
        grid_of([], QUARTER, captures(), START_US + 1, START_US + PERIOD_US)
    with pytest.raises(CaptureGridError, match="on a connection of 0 W is impossible"):
        ConnectionRules(maximal_power_w=0.0)


values = st.lists(st.one_of(st.none(), st.integers(0, 999)), min_size=2, max_size=12)


@given(values, st.randoms())
def test_the_grid_agrees_with_register_arithmetic(points: list[int | None], random: object) -> None:
    present = [point for point in points if point is not None]
    order = list(range(len(present)))
    random.shuffle(order)  # type: ignore[attr-defined] # hypothesis' Random
    columns = captures(points, order=order)
    table = table_of(columns, 1, len(points) - 1)
    gains = energy_gained(
        RegisterColumns(
            columns.row,
            # Read in the order of time here: what another order says of a clock is another test.
            (columns.captured_at_us - START_US) // PERIOD_US + 1,
            columns.integers,
            columns.captured_at_us,
            columns.captured_at_us,
            columns.quality,
            columns.origin,
        ),
        SeriesRules.uniform(
            1,
            modulus_count=RULES.modulus_count,
            scaler=0,
            maximal_power_w=RULES.maximal_power_w,
            period_s=900,
        ),
    ).intervals
    first = (gains.start_us - START_US) // PERIOD_US
    length = gains.length_us // PERIOD_US
    expected = sorted(zip(first.tolist(), length.tolist(), gains.gain.tolist(), strict=True))
    single = [(k, 1, int(table.gain[0, k])) for k in np.flatnonzero(table.is_known[0]).tolist()]
    assert sorted(single + [each[1:] for each in spans_of(table)]) == expected
