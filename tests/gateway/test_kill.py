import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from metertwin.bus.credentials import Role
from metertwin.bus.server import BusServer
from metertwin.core.clock import ScaledClock
from metertwin.gateway.config import GatewayConfig

Scene = Any  # of conftest, which cannot be imported

SPEED_RATIO = 900.0  # a quarter of an hour in a second


@pytest.fixture
async def killed_at_end() -> AsyncIterator[list[asyncio.subprocess.Process]]:
    """Processes that do not outlive the test."""
    processes: list[asyncio.subprocess.Process] = []
    yield processes
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def start(
    bus_server: BusServer, config: GatewayConfig, clock: ScaledClock
) -> asyncio.subprocess.Process:
    """Start a gateway as a process of its own."""
    settings = {
        "url": bus_server.url,
        "seed_file": str(bus_server.seed(Role.GATEWAY)),
        "config": config,
        "origin": clock.origin,
        "origin_monotonic_s": clock.origin_monotonic_s,
        "speed_ratio": SPEED_RATIO,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("one_gateway.py")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(settings))
    process.stdin.close()
    return process


@pytest.mark.fault
async def test_kill_9_under_polling_leaves_numbers_without_hole_and_nothing_twice(
    scene: Scene, bus_server: BusServer, killed_at_end: list[asyncio.subprocess.Process]
) -> None:
    clock = ScaledClock(datetime(2026, 3, 28, 12, tzinfo=UTC), time.monotonic(), SPEED_RATIO)
    street = await scene.street(12, clock=clock)
    config = scene.config(street.entries, poll={"period_s": 300.0}, checkpoint_s=0.3)

    published = scene.published
    epochs = set()
    for _ in range(6):
        process = await start(bus_server, config, clock)
        killed_at_end.append(process)
        before_count, before_epoch = len(published.readings), published.epoch
        await scene.until(
            lambda: published.epoch > before_epoch and len(published.readings) > before_count + 800,  # noqa: B023 - waited for here
            "readings of the new process",
        )
        epochs.add(published.epoch)
        process.kill()
        await process.wait()
    assert len(epochs) == 6
    ledger = published.ledger
    rows = list(published.rows.values())
    assert len(rows) == 12
    # Numbers 1, 2, 3 ... without a hole, and none under two values: a reading that was dropped as
    # known would be missing below.
    assert ledger.missing()[rows].tolist() == [0] * 12
    assert ledger.duplicate[rows].tolist() == [0] * 12
    for row, entry in enumerate(street.entries):
        of_profile = [r for r in published.of(entry.id) if r.register.period_s]
        imports = [r for r in of_profile if str(r.register.obis) == "1-0:1.8.0*255"]
        assert len(imports) > 4
        held = street.simulation.world.profiles.read(row)
        newest_s = imports[-1].captured_at.timestamp()
        expected = {
            at_s: import_wh
            for at_s, import_wh in zip(
                held.captured_at_s.tolist(), held.registers[0].tolist(), strict=True
            )
            if at_s <= newest_s
        }
        assert [(r.captured_at.timestamp(), r.integer) for r in imports] == list(expected.items())
