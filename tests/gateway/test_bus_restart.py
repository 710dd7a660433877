import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metertwin.bus.connection import connect
from metertwin.bus.credentials import Role
from metertwin.bus.server import BusServer
from metertwin.bus.streams import ensure_streams
from metertwin.bus.subjects import READING_STREAM
from metertwin.bus.tail import StreamTail
from metertwin.bus.wire import decode_readings
from metertwin.core.clock import ManualClock
from metertwin.core.ledger import Ledger
from metertwin.gateway.run import run_gateway

Scene = Any  # of conftest, which cannot be imported


@pytest.fixture
async def own_server(tmp_path: Path) -> AsyncIterator[BusServer]:
    """A bus that the test may stop."""
    server = BusServer(tmp_path / "bus", tmp_path / "seeds")
    await server.start()
    admin = await connect(server.url, server.seed(Role.ADMIN), "test-admin")
    await ensure_streams(admin)
    await admin.close()
    yield server
    await server.stop()


@pytest.mark.fault
async def test_a_bus_that_stops_and_returns_costs_no_reading_and_doubles_none(
    scene: Scene, own_server: BusServer, clock: ManualClock
) -> None:
    street = await scene.street(4)
    config = scene.config(street.entries, {"period_s": 60.0})
    bus = await connect(own_server.url, own_server.seed(Role.GATEWAY), "gateway")
    reader = await connect(own_server.url, own_server.seed(Role.RECORDER), "reader")
    gateway = asyncio.create_task(run_gateway(config, bus, clock))
    tail = StreamTail(reader, READING_STREAM)
    ledger, rows, moments = Ledger.sized(8), dict[str, int](), set[int]()

    async def read_until(moment_us: int) -> None:
        async with asyncio.timeout(40):
            while moment_us not in moments:
                for message in await tail.fetch(1_000, 1.0):
                    batch = decode_readings(message.data)
                    places = [rows.setdefault(meter, len(rows)) for meter in batch.meters]
                    counts = batch.counts.astype(np.int64)
                    ledger.admit(np.array(places, np.int64), batch.first_sequences, counts)
                    moments.update(batch.captured_at_us.tolist())

    def now_us() -> int:
        return int(clock.now().timestamp()) * 1_000_000

    await read_until(now_us())
    for _ in range(3):
        await own_server.stop()
        clock.advance(60)  # polled while there is no bus
        await scene.until(lambda: not bus.is_connected, "the loss of the bus")
        await own_server.start()
        await read_until(now_us())
        clock.advance(60)
        await read_until(now_us())
    assert len(moments) == 7
    assert ledger.missing().sum() == 0
    assert ledger.duplicate.sum() == 0
    assert not gateway.done()
    gateway.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await gateway
    await tail.close()
    await reader.close()
    await bus.close()
