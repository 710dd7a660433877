"""Which registers make one series, and how a question stands beside the writer."""

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from metertwin.core.batch import ReadingBatch
from metertwin.core.clock import from_us
from metertwin.core.errors import ConflictError
from metertwin.core.ids import MeterId
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.units import Unit
from metertwin.store.formats import exact_values
from metertwin.store.harvest import Harvest
from metertwin.store.port import HistoryStore
from metertwin.store.series import SeriesLabel

MakeBatch = Callable[..., ReadingBatch]
M1 = MeterId("m1")
ENERGY = Obis(1, 0, 1, 8, 0)
BEGIN, END = from_us(0), from_us(10**12)


def record(store: HistoryStore, batch: ReadingBatch, *registers: Register) -> None:
    store.record(Harvest([(replace(batch, registers=registers), None)]))


def test_a_replaced_meter_with_another_scaler_stays_one_series(
    store: HistoryStore, make_batch: MakeBatch
) -> None:
    in_kwh_tenths = Register(ENERGY, Unit.WATT_HOUR, 2)
    in_wh_tenths = Register(ENERGY, Unit.WATT_HOUR, -1)
    batch = make_batch([("m1", 10, 15, 1, 0), ("m1", 20, 15_004, 2, 1)])
    record(store, batch, in_kwh_tenths, in_wh_tenths)
    table = store.read_range(M1, ENERGY, BEGIN, END)
    # 15 x 10^2 Wh = 1500.0 Wh; 15004 x 10^-1 Wh = 1500.4 Wh
    assert exact_values(table).to_pylist() == ["1500.0", "1500.4"]


def test_a_series_without_one_unit_is_refused(store: HistoryStore, make_batch: MakeBatch) -> None:
    batch = make_batch([("m1", 10, 15, 1, 0), ("m1", 20, 15, 2, 1)])
    record(store, batch, Register(ENERGY, Unit.WATT_HOUR, 0), Register(ENERGY, Unit.VAR_HOUR, 0))
    with pytest.raises(ConflictError, match="in Wh and varh; such a series has no one unit"):
        store.read_range(M1, ENERGY, BEGIN, END)


def test_values_of_a_moment_and_of_a_load_profile_are_two_series(
    store: HistoryStore, make_batch: MakeBatch
) -> None:
    batch = make_batch([("m1", 900, 5, 1, 0), ("m1", 901, 6, 2, 1)])
    profile, moment = (Register(ENERGY, Unit.WATT_HOUR, 0, period_s) for period_s in (900, 0))
    record(store, batch, profile, moment)
    first = store.read_range(M1, ENERGY, BEGIN, END)
    assert first["integer"].to_pylist() == [6]
    assert SeriesLabel.read_from(first) == SeriesLabel("m1", "1-0:1.8.0*255", "Wh", 0, 0)
    second = store.read_range(M1, ENERGY, BEGIN, END, period_s=900)
    assert second["integer"].to_pylist() == [5]


def test_questions_beside_the_writer_see_whole_transactions(
    store: HistoryStore, make_batch: MakeBatch
) -> None:
    stop, counts, failures = threading.Event(), [0], list[BaseException]()
    first = make_batch([("m1", s, s, s, 0) for s in range(1, 51)])
    store.record(Harvest([(first, None)]))

    def ask() -> None:
        try:
            while not stop.is_set():
                counts.append(len(store.read_range(M1, ENERGY, BEGIN, END)))
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread below
            failures.append(error)

    readers = [threading.Thread(target=ask) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(1, 40):
        seconds = np.arange(1, 51) + number * 50
        store.record(Harvest([(make_batch([("m1", s, s, s, 0) for s in seconds.tolist()]), None)]))
    stop.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert all(count % 50 == 0 for count in counts)
    assert len(store.read_range(M1, ENERGY, BEGIN, END)) == 2_000
