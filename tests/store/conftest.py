"""Every backend of the port, and batches made from plain rows."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from metertwin.core.batch import ReadingBatch
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.units import Unit
from metertwin.store.duckdb import DuckDbStore
from metertwin.store.port import HistoryStore

Row = tuple[str, int, int, int, int]  # meter, captured_at_s, integer, sequence, register
ENERGY = Register(Obis(1, 0, 1, 8, 0), Unit.WATT_HOUR, 0)
VOLTAGE = Register(Obis(1, 0, 32, 7, 0), Unit.VOLT, -1)

OpenStore = Callable[[], HistoryStore]


@pytest.fixture(params=["duckdb"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Opens the same history, again and again: the one before is closed."""
    opened: list[HistoryStore] = []

    def open_again() -> HistoryStore:
        for store in opened:
            store.close()
        opened.append(DuckDbStore(tmp_path / "history.duckdb"))
        return opened[-1]

    yield open_again
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: OpenStore) -> HistoryStore:
    return open_store()


def _batch(rows: Sequence[Row], group: str = "g1", epoch: int = 1) -> ReadingBatch:
    """One run per row, registers ENERGY (0) and VOLTAGE (1), received 2 s after the capture."""
    captured_at_us = np.array([row[1] * 1_000_000 for row in rows], dtype=np.int64)
    return ReadingBatch(
        group=GroupId(group),
        epoch=epoch,
        meters=[MeterId(row[0]) for row in rows],
        first_sequences=np.array([row[3] for row in rows], dtype=np.int64),
        counts=np.ones(len(rows), dtype=np.uint32),
        registers=[ENERGY, VOLTAGE],
        register_index=np.array([row[4] for row in rows], dtype=np.uint16),
        integers=np.array([row[2] for row in rows], dtype=np.int64),
        captured_at_us=captured_at_us,
        received_at_us=captured_at_us + 2_000_000,
        quality=np.zeros(len(rows), dtype=np.uint8),
        origin=np.zeros(len(rows), dtype=np.uint8),
    )


@pytest.fixture
def make_batch() -> Callable[..., ReadingBatch]:
    return _batch
