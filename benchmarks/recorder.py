"""How fast history is written: into the store alone, and from a filled stream end to end.

End to end, a recorder starts on a stream that already holds everything and is timed until its last
row is durable. The bare consumer reads the same messages in the same run and looks at none of
them: what the recorder could do at best with this bus.
"""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import uvloop

from metertwin.bus.connection import Bus, connect
from metertwin.bus.credentials import Role
from metertwin.bus.publish import Publisher
from metertwin.bus.server import BusServer
from metertwin.bus.streams import ensure_streams
from metertwin.bus.subjects import READING_STREAM, Kind, subject
from metertwin.bus.tail import StreamTail
from metertwin.bus.wire import encode_readings
from metertwin.core.batch import ReadingBatch
from metertwin.core.clock import SystemClock
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.ledger import Ledger
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.units import Unit
from metertwin.recorder.run import Recorder
from metertwin.recorder.settings import RecorderSettings
from metertwin.store.duckdb import DuckDbStore
from metertwin.store.harvest import Harvest, LedgerRows

Row = dict[str, object]

_FIRST_US = 1_774_746_000_000_000
_STORE_GOAL = 1_000_000
_BATCH_GOAL = 1_000_000
_SINGLE_GOAL = 30_000


def poll_round(
    group: str, number: int, first_meter: int, meter_count: int, per_meter: int
) -> ReadingBatch:
    """Return round `number` of some meters, each with one value of each of its registers."""
    count = meter_count * per_meter
    rng = np.random.default_rng(number * 65_537 + first_meter)
    captured_at_us = np.full(count, _FIRST_US + number * 60_000_000, dtype=np.int64)
    return ReadingBatch(
        group=GroupId(group),
        epoch=1,
        meters=[MeterId(f"{group}-{first_meter + n:06}") for n in range(meter_count)],
        first_sequences=np.full(meter_count, number * per_meter + 1, dtype=np.int64),
        counts=np.full(meter_count, per_meter, dtype=np.uint32),
        registers=[Register(Obis(1, 0, n, 8, 0), Unit.WATT_HOUR, 0) for n in range(per_meter)],
        register_index=np.tile(np.arange(per_meter, dtype=np.uint16), meter_count),
        integers=number * 1_000 + rng.integers(0, 1_000, count),
        captured_at_us=captured_at_us,
        received_at_us=captured_at_us + 400_000,
        quality=np.zeros(count, dtype=np.uint8),
        origin=np.zeros(count, dtype=np.uint8),
    )


def rows_per_s(directory: Path, batch_rows: int, batch_count: int) -> float:
    """Return the rows a store takes per second, with ledger and position, durable each time."""
    store = DuckDbStore(directory / f"alone-{batch_rows}.duckdb")
    meter_count = batch_rows // 10
    batches = [poll_round("g", number, 0, meter_count, 10) for number in range(batch_count)]
    ledger = Ledger.sized(meter_count)
    started_s = time.perf_counter()
    for number, batch in enumerate(batches, start=1):
        ids = store.meter_ids(batch.group, batch.meters)
        kept = ledger.admit(ids, batch.first_sequences, batch.counts.astype(np.int64))
        rows = LedgerRows.of(ledger, ids)
        store.record(Harvest([(batch, kept)], rows, positions={READING_STREAM: number}))
    took_s = time.perf_counter() - started_s
    store.close()
    return batch_rows * batch_count / took_s


async def fill(bus: Bus, group: str, batches: list[ReadingBatch]) -> None:
    """Publish batches of a group and return when the stream has them."""
    async with Publisher(bus) as publisher:
        for number, batch in enumerate(batches):
            where = subject(GroupId(group), Kind.READING)
            await publisher.publish(where, encode_readings(batch), f"{group}:1:{number}")


async def bare_messages_per_s(bus: Bus, after: int, message_count: int) -> float:
    """Return the messages per second that a consumer gets which looks at none."""
    tail = StreamTail(bus, READING_STREAM, after)
    started_s = time.perf_counter()
    read_count = 0
    while read_count < message_count:
        read_count += len(await tail.fetch(1_000, 5.0))
    took_s = time.perf_counter() - started_s
    await tail.close()
    return message_count / took_s


async def recorded_messages_per_s(
    bus: Bus, path: Path, after: int, message_count: int, value_count: int
) -> float:
    """Return the messages per second a recorder makes durable, from start to the last row."""
    store = DuckDbStore(path)
    store.record(Harvest(positions={READING_STREAM: after}))
    recorder = Recorder(RecorderSettings(), bus, store, SystemClock())
    started_s = time.perf_counter()
    task = asyncio.create_task(recorder.run())
    while recorder.counters.positions.get(READING_STREAM, 0) < after + message_count:
        await asyncio.sleep(0.005)
        if task.done():
            await task
    took_s = time.perf_counter() - started_s
    assert recorder.counters.stored_count == value_count
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert all(line.missing == 0 for line in store.ledger())
    store.close()
    return message_count / took_s


async def end_to_end(
    directory: Path, name: str, batches: list[ReadingBatch]
) -> tuple[float, float]:
    """Return the messages per second of the recorder and of the bare consumer."""
    server = BusServer(directory / f"bus-{name}", directory / "seeds")
    await server.start()
    admin = await connect(server.url, server.seed(Role.ADMIN), "admin")
    await ensure_streams(admin)
    gateway = await connect(server.url, server.seed(Role.GATEWAY), "gateway")
    await fill(gateway, "g", batches)
    bus = await connect(server.url, server.seed(Role.RECORDER), "recorder")
    bare = await bare_messages_per_s(bus, 0, len(batches))
    value_count = sum(len(batch) for batch in batches)
    recorded = await recorded_messages_per_s(
        bus, directory / f"{name}.duckdb", 0, len(batches), value_count
    )
    for connection in (bus, gateway, admin):
        await connection.close()
    await server.stop()
    return recorded, bare


def row(name: str, goal: float, figure: float, unit: str) -> Row:
    """Return one figure with its goal; `ratio` is figure by goal."""
    return {
        "name": name,
        "goal": goal,
        "figure": round(figure),
        "unit": unit,
        "ratio": figure / goal,
        "ok": figure >= goal,
    }


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for batch_rows, batch_count in ((100_000, 30), (400_000, 10)):
            figure = rows_per_s(directory, batch_rows, batch_count)
            rows.append(
                row(f"store alone, {batch_rows:,} rows a batch", _STORE_GOAL, figure, "rows/s")
            )
        large = [poll_round("g", n // 4, n % 4 * 500, 500, 3) for n in range(2_000)]
        recorded, bare = uvloop.run(end_to_end(directory, "large", large))
        rows.append(row("recorder, 1,500 values", _BATCH_GOAL, recorded * 1_500, "values/s"))
        rows.append(row("bare consumer, 1,500 values", _BATCH_GOAL, bare * 1_500, "values/s"))
        single = [poll_round("g", n // 1_000, n % 1_000, 1, 3) for n in range(100_000)]
        recorded, bare = uvloop.run(end_to_end(directory, "single", single))
        rows.append(row("recorder, 3 values a message", _SINGLE_GOAL, recorded, "messages/s"))
        rows.append(row("bare consumer, 3 values a message", _SINGLE_GOAL, bare, "messages/s"))
    if "--json" in sys.argv:
        print(json.dumps(rows))
        return
    for each in rows:
        print(each)


if __name__ == "__main__":
    main()
