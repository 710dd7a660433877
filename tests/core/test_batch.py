"""Batches: what their columns must agree on, and the rows they stand for."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from metertwin.core.batch import BatchShapeError, ReadingBatch
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.obis import Obis
from metertwin.core.reading import Origin, Quality, Register
from metertwin.core.units import Unit

IMPORT = Register(Obis.parse("1-0:1.8.0"), Unit.WATT_HOUR, -1, 900)
VOLTAGE = Register(Obis.parse("1-0:32.7.0"), Unit.VOLT, -1)
MIDNIGHT_US = 20_454 * 86_400 * 10**6  # 2026-01-01T00:00Z


def batch_of(counts: list[int], first_sequences: list[int]) -> ReadingBatch:
    n = sum(counts)
    return ReadingBatch(
        group=GroupId("g1"),
        epoch=7,
        meters=[MeterId(f"m{run}") for run in range(len(counts))],
        first_sequences=np.array(first_sequences, np.int64),
        counts=np.array(counts, np.uint32),
        registers=[IMPORT, VOLTAGE],
        register_index=(np.arange(n) % 2).astype(np.uint16),
        integers=np.arange(n, dtype=np.int64) + 2304,
        captured_at_us=MIDNIGHT_US + np.arange(n, dtype=np.int64) * 10**6,
        received_at_us=MIDNIGHT_US + np.arange(n, dtype=np.int64) * 10**6 + 250_000,
        quality=np.full(n, Quality.SUSPECT, np.uint8),
        origin=np.full(n, Origin.SIMULATED, np.uint8),
    )


def test_each_run_counts_on_from_its_first_number() -> None:
    batch = batch_of([2, 1, 3], [5, 1, 100])
    batch.check()
    assert batch.sequences().tolist() == [5, 6, 1, 100, 101, 102]


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 10**12)), max_size=8))
def test_numbers_equal_those_counted_one_by_one(runs: list[tuple[int, int]]) -> None:
    batch = batch_of([count for count, _ in runs], [first for _, first in runs])
    batch.check()
    one_by_one = [first + offset for count, first in runs for offset in range(count)]
    assert batch.sequences().tolist() == one_by_one


@given(st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=8))
def test_a_batch_of_some_meters_has_their_readings_and_no_others(
    runs: list[tuple[int, bool]],
) -> None:
    batch = batch_of([count for count, _ in runs], [1] * len(runs))
    wanted = {MeterId(f"m{number}") for number, (_, kept) in enumerate(runs) if kept}
    some = batch.only(wanted)
    some.check()
    assert some.readings() == [each for each in batch.readings() if each.meter in wanted]
    assert (some is batch) == all(kept for _, kept in runs)


def test_rows_become_readings_with_value_quality_and_origin() -> None:
    first, second, third = batch_of([2, 1], [5, 1]).readings()
    assert (first.meter, second.meter, third.meter) == ("m0", "m0", "m1")
    assert first.register is IMPORT
    assert second.register is VOLTAGE
    assert first.value == Decimal("230.4")
    assert second.captured_at == datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert second.received_at == datetime(2026, 1, 1, 0, 0, 1, 250_000, tzinfo=UTC)
    assert third.quality is Quality.SUSPECT
    assert third.origin is Origin.SIMULATED


def test_an_empty_batch_is_a_batch() -> None:
    batch = batch_of([], [])
    batch.check()
    assert len(batch) == 0
    assert batch.readings() == []
    assert batch.sequences().tolist() == []


def column(values: ArrayLike, dtype: type[np.generic]) -> np.ndarray:
    return np.array(values, dtype)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"quality": column([0], np.uint8)}, "has 2 runs and 3 readings, but its columns have"),
        ({"counts": column([3], np.uint32)}, "has 2 runs and 3 readings, but its columns have"),
        ({"counts": column([2, 2], np.uint32)}, "has 3 readings, its runs announce 4, each at"),
        ({"counts": column([3, 0], np.uint32)}, "has 3 readings, its runs announce 3, each at"),
        ({"first_sequences": column([0, 1], np.int64)}, "a run numbered from 0; numbers begin"),
        ({"register_index": column([0, 1, 2], np.uint16)}, "names register 2 of 2; it was cut"),
        ({"origin": column([0, 1, 9], np.uint8)}, "has origin 9; known are 0 to 3"),
    ],
)
def test_columns_that_contradict_each_other_are_refused(
    changes: dict[str, object], sentence: str
) -> None:
    broken = replace(batch_of([2, 1], [5, 1]), **changes)  # type: ignore[arg-type] # any field
    with pytest.raises(BatchShapeError) as caught:
        broken.check()
    assert str(caught.value).startswith("Batch of group g1 ")
    assert sentence in str(caught.value)
    assert caught.value.facts == {"group": "g1"}
