"""Batches as gateways send them, and a recorder that runs for as long as a test looks."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from metertwin.bus.connection import Bus
from metertwin.bus.credentials import Role
from metertwin.bus.server import BusServer
from metertwin.core.batch import ReadingBatch
from metertwin.core.clock import ManualClock
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.units import Unit
from metertwin.recorder.run import Recorder
from metertwin.recorder.settings import RecorderSettings
from metertwin.store.duckdb import DuckDbStore

Connect = Callable[[Role], Awaitable[Bus]]

REGISTERS = (
    Register(Obis(1, 0, 1, 8, 0), Unit.WATT_HOUR, 0),
    Register(Obis(1, 0, 32, 7, 0), Unit.VOLT, -1),
)


def _poll_round(group: GroupId, number: int, meter_count: int = 3, epoch: int = 1) -> ReadingBatch:
    """Round `number`, from 0: each meter's readings 2 number + 1 and 2 number + 2, 10 s apart."""
    count = meter_count * 2
    captured_at_us = np.full(count, (1 + number) * 10_000_000, dtype=np.int64)
    return ReadingBatch(
        group=group,
        epoch=epoch,
        meters=[MeterId(f"{group}-m{n}") for n in range(meter_count)],
        first_sequences=np.full(meter_count, number * 2 + 1, dtype=np.int64),
        counts=np.full(meter_count, 2, dtype=np.uint32),
        registers=REGISTERS,
        register_index=np.tile(np.array([0, 1], dtype=np.uint16), meter_count),
        integers=np.arange(count, dtype=np.int64) + number * 100,
        captured_at_us=captured_at_us,
        received_at_us=captured_at_us + 1,
        quality=np.zeros(count, dtype=np.uint8),
        origin=np.zeros(count, dtype=np.uint8),
    )


@pytest.fixture
def poll_round() -> Callable[..., ReadingBatch]:
    return _poll_round


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 3, 29, 1, tzinfo=UTC))


@pytest.fixture
def history_file(tmp_path: Path) -> Path:
    return tmp_path / "history.duckdb"


@pytest.fixture
def running(
    connect_as: Connect, bus_server: BusServer, history_file: Path, clock: ManualClock
) -> Callable[..., contextlib.AbstractAsyncContextManager[Recorder]]:
    """Runs a recorder inside `async with`; stops it in good order behind it."""

    @contextlib.asynccontextmanager
    async def run(settings: RecorderSettings | None = None) -> AsyncIterator[Recorder]:
        store = DuckDbStore(history_file)
        bus = await connect_as(Role.RECORDER)
        recorder = Recorder(settings or RecorderSettings(), bus, store, clock)
        task = asyncio.create_task(recorder.run())
        try:
            yield recorder
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            store.close()

    return run


async def _until(condition: Callable[[], bool], within_s: float = 30.0) -> None:
    """Return when the condition holds; the limit only ends a test that has failed."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - a condition of another process has no event
            await asyncio.sleep(0.005)


@pytest.fixture
def until() -> Callable[..., Awaitable[None]]:
    return _until
