"""The window: late, corrected, mixed, moved on; the same however the stream was cut."""

import itertools
import random
import zlib
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.twins.conftest import NOON

from metertwin.core.batch import Int64s, ReadingBatch
from metertwin.core.clock import to_us
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.interval_table import IntervalTable, IntervalTableError
from metertwin.core.interval_table_from_registers import table_from_registers
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.register_series import RegisterColumns, SeriesRules
from metertwin.core.units import Unit
from metertwin.twins.apps.blocks import CaptureBlock
from metertwin.twins.apps.fresh import fresh_of
from metertwin.twins.apps.saved import blocks_of
from metertwin.twins.apps.series import Told
from metertwin.twins.apps.window import (
    DAY_US,
    IntervalWindow,
    MixedProfilesError,
    WindowError,
)

IMPORT_ENERGY = Obis.parse("1-0:1.8.0*255")
EXPORT_ENERGY = Obis.parse("1-0:2.8.0*255")
QUARTERS = Register(IMPORT_ENERGY, Unit.WATT_HOUR, 0, 900)
QUARTER_US = 900_000_000
NOON_US = to_us(NOON)
METERS = [MeterId("a"), MeterId("b"), MeterId("c")]
Reading = tuple[int, int, int, int]  # row, number, quarters after noon, integer


def window_of(days: int = 2) -> IntervalWindow:
    return IntervalWindow({IMPORT_ENERGY: days}, METERS, 100_000.0)


def batch_of(*readings: Reading, register: Register = QUARTERS) -> ReadingBatch:
    """Return readings, each a run of its own, received when they were captured."""
    rows, numbers, quarters, integers = (
        np.array([reading[each] for reading in readings], np.int64) for each in range(4)
    )
    captured_at_us = NOON_US + quarters * QUARTER_US
    return ReadingBatch(
        group=GroupId("g1"),
        epoch=1,
        meters=[METERS[row] for row in rows.tolist()],
        first_sequences=numbers,
        counts=np.ones(len(rows), np.uint32),
        registers=[register],
        register_index=np.zeros(len(rows), np.uint16),
        integers=integers,
        captured_at_us=captured_at_us,
        received_at_us=captured_at_us,
        quality=np.zeros(len(rows), np.uint8),
        origin=np.zeros(len(rows), np.uint8),
    )


def take(
    window: IntervalWindow, *readings: Reading, register: Register = QUARTERS
) -> list[tuple[int, int, bool]]:
    """Take readings; return row, quarter after noon and is_changed of what is fresh."""
    batch = batch_of(*readings, register=register)
    window.take(batch, np.array([reading[0] for reading in readings]), None)
    fresh = fresh_of(told for each in window.take_fresh().values() for told in each)
    starts = (fresh.start_us - NOON_US) // QUARTER_US
    return list(zip(fresh.row.tolist(), starts.tolist(), fresh.is_changed.tolist(), strict=True))


def gains(window: IntervalWindow, row: int, first: int, count: int) -> list[int | None]:
    start_us = NOON_US + first * QUARTER_US
    table = window.table(IMPORT_ENERGY, start_us, start_us + count * QUARTER_US, np.array([row]))
    pairs = zip(table.gain[0].tolist(), table.is_known[0].tolist(), strict=True)
    return [gain if is_known else None for gain, is_known in pairs]


def test_two_captures_make_an_interval_known_and_a_later_one_the_next() -> None:
    window = window_of()
    assert take(window, (0, 1, 0, 1000)) == []
    assert take(window, (0, 2, 1, 1100)) == [(0, 0, False)]
    assert take(window, (0, 3, 2, 1250), (1, 1, 2, 7)) == [(0, 1, False)]
    assert gains(window, 0, -1, 4) == [None, 100, 150, None]
    assert gains(window, 1, 0, 2) == [None, None]


def test_a_late_capture_tells_two_intervals_and_a_corrected_one_changes_them() -> None:
    window = window_of()
    take(window, (0, 1, 0, 1000), (0, 2, 2, 1300))
    assert take(window, (0, 3, 1, 1100)) == [(0, 0, False), (0, 1, False)]
    assert take(window, (0, 5, 1, 1200)) == [(0, 0, True), (0, 1, True)]
    assert take(window, (0, 4, 1, 1111)) == []  # an earlier number came last: it changes nothing
    assert gains(window, 0, 0, 2) == [200, 100]


def test_the_same_value_again_tells_nothing() -> None:
    window = window_of()
    take(window, (0, 1, 0, 1000), (0, 2, 1, 1100))
    assert take(window, (0, 3, 1, 1100)) == []


def test_another_quality_is_told_and_is_no_other_energy() -> None:
    window = window_of()
    take(window, (0, 1, 0, 1000), (0, 2, 1, 1100))
    batch = replace(batch_of((0, 3, 1, 1100)), quality=np.array([4], np.uint8))
    window.take(batch, np.array([0]), None)
    (told,) = window.take_fresh()[IMPORT_ENERGY]
    assert (told.starts_us.tolist(), told.is_changed.tolist()) == ([NOON_US], [False])


def test_old_days_go_as_the_meters_time_goes_on() -> None:
    window = window_of(days=1)
    take(window, (0, 1, 0, 1000), (0, 2, 1, 1100))
    take(window, (0, 3, 96, 1200))
    assert gains(window, 0, 0, 1) == [100]
    take(window, (0, 4, 2 * 96, 1300))  # noon two days later: yesterday and today are kept
    assert window.first_us(IMPORT_ENERGY) == NOON_US // DAY_US * DAY_US + DAY_US
    assert gains(window, 0, 0, 1) == [None]
    assert take(window, (0, 5, 2, 1150)) == []  # too old by now
    assert sum(len(each.blocks) for each in window.series.values()) == 2


def test_a_meter_with_a_clock_far_ahead_opens_no_days_of_its_future() -> None:
    window = window_of()
    batch = batch_of((0, 1, 96 * 900, 5))
    window.take(replace(batch, received_at_us=np.array([NOON_US])), np.array([0]), None)
    assert window.size_bytes == 0
    assert window.now_us == NOON_US


def test_meters_that_scale_differently_stand_in_the_finest_scaler() -> None:
    window = window_of()
    take(window, (0, 1, 0, 10), (0, 2, 1, 12), register=QUARTERS._replace(scaler=2))
    take(window, (1, 1, 0, 3000), (1, 2, 1, 3050), register=QUARTERS._replace(scaler=-1))
    table = window.table(IMPORT_ENERGY, NOON_US, NOON_US + QUARTER_US, np.array([0, 1]))
    # 2 counts of 100 Wh are 2000 of 0.1 Wh; 50 counts of 0.1 Wh are 50
    assert table.register.scaler == -1
    assert table.gain[:, 0].tolist() == [2000, 50]


def test_meters_of_two_periods_are_refused_together_and_answered_apart() -> None:
    window = window_of()
    take(window, (0, 1, 0, 10), (0, 2, 1, 12))
    take(window, (1, 1, 0, 10), (1, 2, 4, 90), register=QUARTERS._replace(period_s=3600))
    with pytest.raises(MixedProfilesError, match="Wh every 900 s and Wh every 3600 s"):
        window.table(IMPORT_ENERGY, NOON_US, NOON_US + 4 * QUARTER_US, np.array([0, 1]))
    hourly = window.table(IMPORT_ENERGY, NOON_US, NOON_US + 4 * QUARTER_US, np.array([1, 2]))
    assert (hourly.register.period_s, hourly.gain.tolist()) == (3600, [[80], [0]])


def test_what_the_window_does_not_hold_is_said() -> None:
    window = window_of()
    with pytest.raises(WindowError, match=r"does not keep 1-0:2.8.0"):
        window.table(EXPORT_ENERGY, NOON_US, NOON_US, np.array([0]))
    with pytest.raises(IntervalTableError, match="off the grid of 900 s"):
        window.table(IMPORT_ENERGY, NOON_US + 1, NOON_US + QUARTER_US, np.array([0]))
    nothing = window.table(IMPORT_ENERGY, NOON_US, NOON_US + QUARTER_US, np.array([0]))
    assert nothing.is_known.tolist() == [[False]]


def test_a_register_that_falls_is_a_rollover_if_it_can_be_and_a_reset_else() -> None:
    window = window_of()
    take(window, (0, 1, 0, 2**32 - 10), (0, 2, 1, 5))
    assert gains(window, 0, 0, 1) == [15]  # 10 to the end, 5 behind it
    take(window, (1, 1, 0, 50_000), (1, 2, 1, 5))
    assert gains(window, 1, 0, 1) == [None]


readings = st.lists(
    st.tuples(
        st.integers(0, 2), st.integers(-300, 200), st.one_of(st.integers(0, 9999), st.just(2**40))
    ),
    min_size=1,
    max_size=40,
)


def numbered(drawn: list[tuple[int, int, int]]) -> list[Reading]:
    return [(row, at + 1, quarter, integer) for at, (row, quarter, integer) in enumerate(drawn)]


def packed(window: IntervalWindow) -> dict[int, bytes]:
    return {
        number: block.packed()[1]
        for series in window.series.values()
        for number, block in series.blocks.items()
    }


@settings(max_examples=150)
@given(drawn=readings, cuts=st.sets(st.integers(1, 39)), order=st.randoms())
def test_any_split_and_any_order_of_a_stream_give_the_same_window(
    drawn: list[tuple[int, int, int]],
    cuts: set[int],
    order: random.Random,
) -> None:
    stream = numbered(drawn)
    at_once, in_parts = window_of(), window_of()
    take(at_once, *stream)
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    for start, end in itertools.pairwise(edges):
        part = stream[start:end]
        order.shuffle(part)
        take(in_parts, *part)
    assert packed(at_once) == packed(in_parts)
    assert at_once.first_us(IMPORT_ENERGY) == in_parts.first_us(IMPORT_ENERGY)


@settings(max_examples=150)
@given(drawn=readings)
def test_a_windows_table_is_what_register_arithmetic_makes_of_all_readings(
    drawn: list[tuple[int, int, int]],
) -> None:
    stream = numbered(drawn)
    window = window_of(days=20)
    take(window, *stream)
    start_us, end_us = NOON_US - 300 * QUARTER_US, NOON_US + 200 * QUARTER_US
    rows = np.arange(3, dtype=np.int64)
    table = window.table(IMPORT_ENERGY, start_us, end_us, rows)
    expected = by_register_arithmetic(stream, table.register, rows, (start_us, end_us))
    assert np.array_equal(table.is_known, expected.is_known)
    assert np.array_equal(table.gain, expected.gain)


def by_register_arithmetic(
    stream: list[Reading], register: Register, rows: Int64s, range_us: tuple[int, int]
) -> IntervalTable:
    kept = {(row, quarter): (number, integer) for row, number, quarter, integer in stream}
    at = sorted(kept)
    columns = RegisterColumns(
        series=np.array([row for row, _ in at]),
        # Numbered as on the grid: clocks do not move in this test.
        sequences=np.arange(1, len(at) + 1),
        integers=np.array([kept[each][1] for each in at]),
        captured_at_us=np.array([NOON_US + quarter * QUARTER_US for _, quarter in at]),
        received_at_us=np.array([NOON_US + quarter * QUARTER_US for _, quarter in at]),
        quality=np.zeros(len(at), np.uint8),
        origin=np.zeros(len(at), np.uint8),
    )
    highest = np.zeros(len(rows), np.int64)
    np.maximum.at(highest, columns.series, columns.integers)
    rules = SeriesRules(
        modulus_count=np.where(highest >= 2**32, 2**62, 2**32),
        scaler=np.zeros(len(rows), np.int64),
        maximal_power_w=np.full(len(rows), 100_000.0),
        period_s=np.full(len(rows), 900, np.int64),
    )
    return table_from_registers(
        METERS, register, columns, rules, start_us=range_us[0], end_us=range_us[1]
    )


@given(drawn=readings)
def test_fresh_over_all_parts_is_everything_known(drawn: list[tuple[int, int, int]]) -> None:
    window, told = window_of(days=20), set()
    for reading in numbered(drawn):
        told |= {(row, start) for row, start, _ in take(window, reading)}
    everything = window.everything([IMPORT_ENERGY])
    starts = (everything.start_us - NOON_US) // QUARTER_US
    assert told == set(zip(everything.row.tolist(), starts.tolist(), strict=True))


@given(drawn=readings)
def test_a_block_is_its_bytes(drawn: list[tuple[int, int, int]]) -> None:
    window = window_of(days=20)
    take(window, *numbered(drawn))
    (series,) = window.series.values()
    for block in series.blocks.values():
        for slots_count in (96, None):
            again = CaptureBlock.unpack(block.packed()[1], slots_count)
            again._packed = None
            assert again.packed() == block.packed()
            assert again.slots_count == 96
    assert len(blocks_of(window)) <= len(series.blocks)


@given(octets=st.binary(max_size=200), slots_count=st.sampled_from([96, None]))
def test_any_bytes_as_a_block_end_in_a_value_error(octets: bytes, slots_count: int | None) -> None:
    with pytest.raises(ValueError, match="block of captures"):
        CaptureBlock.unpack(octets, slots_count)


@pytest.mark.parametrize("rows", [-1, 0, 1, 2**62])
def test_a_block_that_says_nothing_of_its_slots_is_refused(rows: int) -> None:
    octets = msgspec.msgpack.encode([rows, 4, 4, zlib.compress(b"")])
    with pytest.raises(ValueError, match="another size"):
        CaptureBlock.unpack(octets)


def test_fresh_of_several_registers_has_each_interval_once() -> None:
    first = Told(np.array([0, 1]), np.array([0, 900]), np.array([False, False]))
    second = Told(np.array([1, 0]), np.array([900, 1800]), np.array([True, False]))
    fresh = fresh_of([first, second])
    assert fresh.row.tolist() == [0, 1, 0]
    assert fresh.start_us.tolist() == [0, 900, 1800]
    assert fresh.is_changed.tolist() == [False, True, False]
