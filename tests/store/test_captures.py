"""What every history store promises of the captures of many meters."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from metertwin.core.batch import ReadingBatch
from metertwin.core.clock import from_us
from metertwin.core.errors import ConflictError, NotFoundError
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.units import Unit
from metertwin.store.errors import LimitError
from metertwin.store.harvest import Harvest
from metertwin.store.port import HistoryStore

MakeBatch = Callable[..., ReadingBatch]
Rows = list[tuple[str, int, int, int, int]]
M1, M2, NOBODY, G1 = MeterId("m1"), MeterId("m2"), MeterId("nobody"), GroupId("g1")
IMPORT = Obis(1, 0, 1, 8, 0)
QUARTERS = Register(IMPORT, Unit.WATT_HOUR, 0, 900)
COARSE_QUARTERS = QUARTERS._replace(scaler=2)


def at(quarter: int) -> datetime:
    return from_us(quarter * 900_000_000)


def captured(store: HistoryStore, make_batch: MakeBatch, rows: Rows, *registers: Register) -> None:
    """Record rows of meter, quarter hour, integer, sequence and register."""
    in_seconds = [(meter, quarter * 900, *rest) for meter, quarter, *rest in rows]
    batch = replace(make_batch(in_seconds), registers=list(registers))
    store.record(Harvest([(batch, None)]))


def test_the_captures_at_both_ends_belong_to_the_range(
    store: HistoryStore, make_batch: MakeBatch
) -> None:
    rows = [("m1", q, 100 + q, q, 0) for q in range(1, 7)]
    rows += [("m2", q, 900 - q, q, 0) for q in range(1, 7)]
    captured(store, make_batch, rows, QUARTERS)
    found = store.captures([M2, M1], IMPORT, at(2), at(4))
    assert found.register == QUARTERS
    assert found.columns.series.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.columns.integers.tolist() == [898, 897, 896, 102, 103, 104]
    assert found.columns.sequences.tolist() == [2, 3, 4] * 2
    received_us = [q * 900_000_000 + 2_000_000 for q in (2, 3, 4)]
    assert found.columns.received_at_us.tolist() == received_us * 2
    assert found.columns.quality.dtype == found.columns.origin.dtype == np.uint8


def test_late_captures_are_in_their_place(store: HistoryStore, make_batch: MakeBatch) -> None:
    captured(store, make_batch, [("m1", 1, 10, 1, 0), ("m1", 3, 30, 2, 0)], QUARTERS)
    captured(store, make_batch, [("m1", 2, 20, 3, 0), ("m1", 3, 31, 4, 0)], QUARTERS)
    assert store.captures([M1], IMPORT, at(0), at(9)).columns.integers.tolist() == [10, 20, 31]


def test_scalers_become_one(store: HistoryStore, make_batch: MakeBatch) -> None:
    # m1 counted in 100 Wh and was replaced by a meter that counts in Wh; m2 counts in 100 Wh.
    rows = [("m1", 1, 7, 1, 1), ("m1", 2, 3, 2, 0), ("m2", 1, 5, 1, 1)]
    captured(store, make_batch, rows, QUARTERS, COARSE_QUARTERS)
    found = store.captures([M1, NOBODY, M2], IMPORT, at(0), at(9))
    assert found.register == QUARTERS
    assert found.factors.tolist() == [100, 1, 100]
    assert found.columns.integers.tolist() == [700, 3, 500]
    assert found.columns.series.tolist() == [0, 0, 2]
    assert store.captures([M2], IMPORT, at(0), at(9)).register == COARSE_QUARTERS


def test_the_period_chooses_the_profile_and_values_of_a_moment_are_none(
    store: HistoryStore, make_batch: MakeBatch
) -> None:
    days = QUARTERS._replace(period_s=86_400)
    moments = QUARTERS._replace(period_s=0)
    rows = [("m1", 96, 1, 1, 0), ("m1", 96, 2, 2, 1), ("m1", 96, 3, 3, 2)]
    captured(store, make_batch, rows, moments, days, QUARTERS)
    assert store.captures([M1], IMPORT, at(0), at(99)).columns.integers.tolist() == [3]
    by_day = store.captures([M1], IMPORT, at(0), at(99), period_s=86_400)
    assert (by_day.register, by_day.columns.integers.tolist()) == (days, [2])
    with pytest.raises(
        NotFoundError,
        match=r"No load profile of these 1 meters has 1-0:1.8.0\*255 every 60 s; there is "
        r"1-0:1.8.0\*255 every 86400 s, 1-0:1.8.0\*255 every 900 s\.",
    ):
        store.captures([M1], IMPORT, at(0), at(99), period_s=60)


def test_what_is_no_one_quantity_is_said(store: HistoryStore, make_batch: MakeBatch) -> None:
    far = QUARTERS._replace(scaler=10)
    rows = [("m1", 1, 1, 1, 0), ("m2", 1, 1, 1, 1), ("m3", 1, 1, 1, 2)]
    captured(store, make_batch, rows, QUARTERS, QUARTERS._replace(unit=Unit.VAR_HOUR), far)
    with pytest.raises(ConflictError, match="in Wh and varh with scalers 0 to 0"):
        store.captures([M1, M2], IMPORT, at(0), at(9))
    with pytest.raises(ConflictError, match="in Wh with scalers 0 to 10"):
        store.captures([M1, MeterId("m3")], IMPORT, at(0), at(9))


def test_more_than_an_answer_holds_says_how_many_meters_fit(
    store: HistoryStore, make_batch: MakeBatch
) -> None:
    captured(store, make_batch, [("m1", 1, 1, 1, 0), ("m2", 1, 1, 1, 0)], QUARTERS)
    # 3 meters x 10 quarters are 30; of 25, 2 meters' are.
    with pytest.raises(LimitError, match="ask for 2 meters at once or for a shorter") as error:
        store.captures([M1, M2, NOBODY], IMPORT, at(0), at(10), limit=25)
    assert error.value.facts["meters_per_page"] == 2
    assert len(store.captures([M1, M2], IMPORT, at(0), at(10), limit=20).columns) == 2
    with pytest.raises(LimitError, match="ask for a shorter time") as error:
        store.captures([M1], IMPORT, at(0), at(10), limit=9)
    assert error.value.facts["meters_per_page"] == 0


def test_the_meters_of_a_group_are_known(store: HistoryStore, make_batch: MakeBatch) -> None:
    captured(store, make_batch, [("m2", 1, 1, 1, 0), ("m1", 1, 1, 1, 0)], QUARTERS)
    assert store.meters(G1) == [M1, M2]
    assert store.meters(GroupId("elsewhere")) == []
