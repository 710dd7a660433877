"""The street as time runs: started again, pushed, fast, and when its grid gives up."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from metertwin.core.clock import ManualClock, ScaledClock
from metertwin.core.obis import Obis
from metertwin.cosem.apdu.decode import decode_apdu
from metertwin.cosem.apdu.notification import DataNotification
from metertwin.cosem.data import octets, uint32
from metertwin.cosem.datetime import decode_datetime
from metertwin.cosem.wrapper import WrapperDecoder, WrapperFrame
from metertwin.simulation.config import Security, SimulationConfig
from metertwin.simulation.device_objects import PUSHED
from metertwin.simulation.devices import MeterDevices
from metertwin.simulation.errors import PowerFlowError, SimulationConfigError
from metertwin.simulation.serving import serve
from metertwin.simulation.world import World

SMALL = SimulationConfig(meter_count=3, group_size=3, security=Security.NONE, step_s=60)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the product has no event for it
            await asyncio.sleep(0.005)


async def test_a_street_started_again_goes_on_where_it_was(start: datetime) -> None:
    later = start + timedelta(hours=3, seconds=30)
    lived = World(SMALL, start)
    for minutes in (7, 100, 180):  # however its time was cut
        lived.advance(start + timedelta(minutes=minutes))
    again = await serve(replace(SMALL, begins_at=start), ManualClock(later))
    try:
        assert again.world.now == start + timedelta(hours=3)
        difference_uwh = np.abs(again.world.columns.energy_uwh - lived.columns.energy_uwh)
        assert difference_uwh.max() <= 2  # 1e-6 Wh: roundings, where steps were cut otherwise
        assert again.world.profiles.entry_count(0) == 12
    finally:
        await again.close()


async def test_a_fast_clock_carries_the_street_along(start: datetime) -> None:
    clock = ScaledClock(start, time.monotonic(), 10_000.0)
    simulation = await serve(replace(SMALL, step_s=None), clock)
    try:
        assert simulation.world.step_s == 900
        await until(lambda: simulation.world.now >= start + timedelta(hours=6))
        assert simulation.lag_s < 6 * 3600
        assert (simulation.world.columns.energy_uwh[0, :3] > 0).all()
    finally:
        await simulation.close()


async def test_meters_push_each_quarter_what_their_setup_lists(start: datetime) -> None:
    frames: list[WrapperFrame] = []
    is_taken = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = WrapperDecoder()
        while data := await reader.read(4096):
            frames.extend(decoder.feed(data))
        writer.close()
        await writer.wait_closed()
        is_taken.set()

    listener = await asyncio.start_server(take, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    clock = ManualClock(start + timedelta(minutes=5))
    simulation = await serve(replace(SMALL, push_to=("127.0.0.1", port)), clock)
    try:
        pusher = simulation._pusher
        assert pusher is not None
        await until(lambda: pusher._transport is not None)
        clock.advance(11 * 60)
        await until(lambda: len(frames) == 4)
        assert [frame.source for frame in frames] == [256, 257, 258, 259]
        notification = decode_apdu(frames[1].apdu)
        assert isinstance(notification, DataNotification)
        name, sent_at, imported, exported, _ = notification.body.elements()
        assert name == octets(b"MTW0000000000002")
        assert decode_datetime(sent_at.octets()).moment == clock.now()
        counted = simulation.world.columns.energy_uwh[:2, 1] // 1_000_000
        assert [imported, exported] == [uint32(int(value)) for value in counted]
        assert pusher.sent_count == 4
        assert pusher.lost_count == 0
    finally:
        await simulation.close()
        await is_taken.wait()
        listener.close()
        await listener.wait_closed()


async def test_pushes_without_a_receiver_are_counted_as_lost(start: datetime) -> None:
    clock = ManualClock(start)
    simulation = await serve(replace(SMALL, push_to=("127.0.0.1", 1)), clock)
    try:
        pusher = simulation._pusher
        assert pusher is not None
        clock.advance(960)
        await until(lambda: pusher.lost_count == 4)
        assert pusher.sent_count == 0
    finally:
        await simulation.close()


def test_the_push_setup_lists_what_is_pushed(start: datetime) -> None:
    devices = MeterDevices(World(SMALL, start))
    model = devices.by_sap[256].model
    setup = next(item for item in model.objects if item.obis == Obis.parse("0-0:25.9.0"))
    assert len(PUSHED) == 5
    listed = setup.attributes[2].value
    assert isinstance(listed, bytes)
    assert all(item.obis.to_bytes() in listed for item in PUSHED)


async def test_a_push_in_the_clear_is_refused_where_security_is_high(start: datetime) -> None:
    config = replace(SMALL, security=Security.HIGH, push_to=("127.0.0.1", 1))
    with pytest.raises(SimulationConfigError, match="would go in the clear"):
        await serve(config, ManualClock(start))


async def test_a_grid_without_solution_ends_the_simulation(start: datetime, tmp_path: Path) -> None:
    path = tmp_path / "profiles.csv"
    path.write_text(
        "meter,interval_start,import_wh\n"
        f"a,{start.isoformat()},100\n"
        f"a,{(start + timedelta(minutes=15)).isoformat()},5e6\n"
    )
    clock = ManualClock(start)
    simulation = await serve(replace(SMALL, profile_file=path), clock)
    try:
        clock.advance(960)
        async with asyncio.timeout(20):
            with pytest.raises(PowerFlowError, match="highest draw of one is 60000000 W"):
                await simulation.wait()
    finally:
        await simulation.close()


async def test_closing_ends_the_wait(start: datetime) -> None:
    simulation = await serve(replace(SMALL, zone=ZoneInfo("UTC")), ManualClock(start))
    waiting = asyncio.create_task(simulation.wait())
    await simulation.close()
    await waiting


async def test_kept_secrets_start_their_invocation_counter_from_the_time(start: datetime) -> None:
    config = replace(SMALL, security=Security.HIGH, secret=b"kept")
    first = MeterDevices(World(config, start)).by_sap[256]
    fresh = MeterDevices(World(replace(config, secret=b""), start)).by_sap[256]
    assert fresh.next_invocation_counter() == 1
    assert 1_000_000 < first.next_invocation_counter() < 2**32
