"""A server of its own for tests that stop it."""

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from metertwin.bus.connection import connect
from metertwin.bus.credentials import Role
from metertwin.bus.server import BusServer
from metertwin.bus.streams import ensure_streams
from metertwin.core.batch import ReadingBatch
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.units import Unit


@pytest.fixture
async def own_server(tmp_path: Path) -> AsyncIterator[BusServer]:
    server = BusServer(tmp_path / "bus", tmp_path / "seeds")
    await server.start()
    bus = await connect(server.url, server.seed(Role.ADMIN), "test-admin")
    await ensure_streams(bus)
    await bus.close()
    yield server
    await server.stop()


REGISTERS = (
    Register(Obis(1, 0, 1, 8, 0, 255), Unit.WATT_HOUR, 0),
    Register(Obis(1, 0, 32, 7, 0, 255), Unit.VOLT, -1),
)


def _make_batch(
    counts: Sequence[int], first_sequence: int = 1, group: str = "g1", epoch: int = 3
) -> ReadingBatch:
    n = sum(counts)
    return ReadingBatch(
        group=GroupId(group),
        epoch=epoch,
        meters=[MeterId(f"m{number}") for number in range(len(counts))],
        first_sequences=np.full(len(counts), first_sequence, dtype=np.int64),
        counts=np.array(counts, dtype=np.uint32),
        registers=REGISTERS,
        register_index=(np.arange(n) % 2).astype(np.uint16),
        integers=np.arange(n, dtype=np.int64) * 1_000_000_007 - 5,
        captured_at_us=np.arange(n, dtype=np.int64) + 1_700_000_000_000_000,
        received_at_us=np.arange(n, dtype=np.int64) + 1_700_000_000_900_000,
        quality=(np.arange(n) % 256).astype(np.uint8),
        origin=(np.arange(n) % 4).astype(np.uint8),
    )


@pytest.fixture(scope="session")
def make_batch() -> Callable[..., ReadingBatch]:
    """Make a small batch: readings per run, number of each run's first, group, epoch."""
    return _make_batch
