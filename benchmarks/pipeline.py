"""Readings from the stream, applied by a twin host and stored by a recorder, each its own process.

The stream is filled first. Then, one after the other: a bare JetStream consumer that only counts
messages, and the twin host and the recorder at the same time, each until it has taken the last
message. Rates per core are by the CPU time of both processes together; the share of the bare
consumer is by the wall clock of the slower of the two.
"""

import asyncio
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import NamedTuple

import numpy as np
import structlog
import uvloop
from nats.js.api import AckPolicy, ConsumerConfig

from metertwin.bus.connection import Bus, connect
from metertwin.bus.credentials import Role
from metertwin.bus.publish import Publisher
from metertwin.bus.server import BusServer
from metertwin.bus.streams import ensure_streams
from metertwin.bus.subjects import READING_STREAM, Kind, subject
from metertwin.bus.wire import encode_readings
from metertwin.core.batch import ReadingBatch
from metertwin.core.clock import SystemClock
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.units import Unit
from metertwin.recorder.run import Recorder
from metertwin.recorder.settings import RecorderSettings
from metertwin.store.duckdb import DuckDbStore
from metertwin.twins.host import TwinHost
from metertwin.twins.settings import GroupSettings, TwinHostSettings

GROUPS, GROUP_SIZE = 100, 100
SINGLE_ROUNDS, BATCH_ROUNDS = 20, 20
REGISTERS = tuple(
    Register(Obis(1, 0, c, d, 0), Unit.WATT_HOUR if d == 8 else Unit.WATT, 0)
    for c, d in ((1, 8), (2, 8), (1, 7), (2, 7), (3, 8), (4, 8), (3, 7), (4, 7), (32, 7))
) + tuple(Register(Obis(1, 0, c, 7, 0), Unit.VOLT, -1) for c in (52, 72, 31, 51, 71, 14))
SINGLE_VALUES, BATCH_VALUES = 3, len(REGISTERS)
WITHIN_S = 300.0


class Spent(NamedTuple):
    """What a process needed for the whole stream."""

    wall_s: float
    cpu_s: float


class Filled(NamedTuple):
    """What is in the stream."""

    messages: int
    values: int


def batch(group: int, meters: range, turn: int, width: int) -> ReadingBatch:
    """Return one message's readings: `width` values of each meter."""
    count = len(meters) * width
    moment_us = 1_780_000_000_000_000 + turn * 300_000_000
    return ReadingBatch(
        group=GroupId(f"g{group}"),
        epoch=1,
        meters=[MeterId(f"m{group}-{n}") for n in meters],
        first_sequences=np.full(len(meters), 1 + turn * width, dtype=np.int64),
        counts=np.full(len(meters), width, dtype=np.uint32),
        registers=REGISTERS[:width],
        register_index=np.tile(np.arange(width, dtype=np.uint16), len(meters)),
        integers=np.arange(count, dtype=np.int64) + turn,
        captured_at_us=np.full(count, moment_us, dtype=np.int64),
        received_at_us=np.full(count, moment_us + 1_000_000, dtype=np.int64),
        quality=np.zeros(count, dtype=np.uint8),
        origin=np.full(count, 3, dtype=np.uint8),
    )


def single_messages() -> Iterator[tuple[int, ReadingBatch]]:
    """Each meter alone, three values, all meters in turn."""
    for turn in range(SINGLE_ROUNDS):
        for group in range(GROUPS):
            for n in range(GROUP_SIZE):
                yield group, batch(group, range(n, n + 1), turn, SINGLE_VALUES)


def batch_messages() -> Iterator[tuple[int, ReadingBatch]]:
    """Each group's poll round as one message."""
    for turn in range(BATCH_ROUNDS):
        for group in range(GROUPS):
            yield group, batch(group, range(GROUP_SIZE), turn, BATCH_VALUES)


async def fill(server: BusServer, messages: Iterator[tuple[int, ReadingBatch]]) -> Filled:
    """Publish the messages."""
    bus = await connect(server.url, server.seed(Role.GATEWAY), "fill")
    count = values = 0
    async with Publisher(bus) as publisher:
        for group, readings in messages:
            count, values = count + 1, values + len(readings)
            to = subject(GroupId(f"g{group}"), Kind.READING)
            await publisher.publish(to, encode_readings(readings), str(count))
    await bus.close()
    return Filled(count, values)


async def bare(bus: Bus, _root: Path, messages: int) -> None:
    """Take every message with the client library's pull consumer, and only count it."""
    config = ConsumerConfig(ack_policy=AckPolicy.NONE, name="bare", mem_storage=True)
    await bus.js.add_consumer(READING_STREAM, config)
    pull = await bus.js.pull_subscribe_bind("bare", READING_STREAM)
    taken = 0
    while taken < messages:
        taken += len(await pull.fetch(1_000, timeout=5))


async def applied(bus: Bus, _root: Path, messages: int) -> None:
    """Run a twin host until all of its groups have the last message."""
    groups = tuple(GroupSettings(id=GroupId(f"g{n}")) for n in range(GROUPS))
    async with Publisher(bus) as publisher:
        host = TwinHost(TwinHostSettings(name="host", groups=groups), bus, SystemClock(), publisher)
        task = asyncio.create_task(host.run())
        while sum(h.group.ledger.received.sum() for h in host.hosted.values()) < messages:
            if task.done():
                await task
            await asyncio.sleep(0.005)
        assert not any(h.group.ledger.missing().any() for h in host.hosted.values())
        task.cancel()
        await asyncio.wait([task])


async def stored(bus: Bus, root: Path, messages: int) -> None:
    """Run a recorder until the last message is durable."""
    store = DuckDbStore(root / "history.duckdb")
    recorder = Recorder(RecorderSettings(), bus, store, SystemClock())
    task = asyncio.create_task(recorder.run())
    while recorder.counters.positions.get(READING_STREAM, 0) < messages:
        if task.done():
            await task
        await asyncio.sleep(0.005)
    task.cancel()
    await asyncio.wait([task])
    store.close()


WORK = {
    "bare": (Role.RECORDER, bare),
    "applied": (Role.TWIN_HOST, applied),
    "stored": (Role.RECORDER, stored),
}


def child(  # noqa: PLR0917 - the arguments cross to a spawned process one by one
    name: str,
    url: str,
    seed: Path,
    root: Path,
    until: int,
    go: Event,
    out: "multiprocessing.Queue[tuple[str, Spent]]",
) -> None:
    """Connect, wait for the start, work, and tell what it took."""
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(sys.stderr))

    async def work() -> None:
        bus = await connect(url, seed, name)
        await asyncio.to_thread(go.wait)
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        await WORK[name][1](bus, root, until)
        out.put((name, Spent(time.perf_counter() - wall_s, time.process_time() - cpu_s)))
        await bus.close()

    uvloop.run(work())


def measure(server: BusServer, root: Path, until: dict[str, int]) -> dict[str, Spent]:
    """Run the named works at the same time, each in its own process."""
    context = multiprocessing.get_context("spawn")
    go, out = context.Event(), context.Queue()
    processes = [
        context.Process(
            target=child,
            args=(name, server.url, server.seed(WORK[name][0]), root, last, go, out),
        )
        for name, last in until.items()
    ]
    for process in processes:
        process.start()
    time.sleep(3.0)  # imports and connections
    go.set()
    spent = dict(out.get(timeout=WITHIN_S) for _ in processes)
    for process in processes:
        process.join(30)
    return spent


@asynccontextmanager
async def site(root: Path) -> AsyncIterator[BusServer]:
    """A bus with its streams."""
    server = BusServer(root / "bus", root / "secrets")
    await server.start()
    admin = await connect(server.url, server.seed(Role.ADMIN), "admin")
    await ensure_streams(admin)
    await admin.close()
    yield server
    await server.stop()


async def run(messages: Iterator[tuple[int, ReadingBatch]]) -> tuple[Filled, dict[str, Spent]]:
    """Fill a stream and measure everything on it."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        async with site(root) as server:
            filled = await fill(server, messages)
            spent = await asyncio.to_thread(measure, server, root, {"bare": filled.messages})
            both = {"applied": filled.values, "stored": filled.messages}
            spent |= await asyncio.to_thread(measure, server, root, both)
    return filled, spent


def row(name: str, goal: float, figure: float, unit: str) -> dict[str, object]:
    """Return one figure with its goal; `ratio` is figure by goal."""
    return {
        "name": name,
        "goal": goal,
        "figure": figure,
        "unit": unit,
        "ratio": figure / goal,
        "ok": figure >= goal,
    }


def main() -> None:
    rows = []
    for kind, messages in (("single", single_messages()), ("batch", batch_messages())):
        filled, spent = asyncio.run(run(messages))
        cpu_s = spent["applied"].cpu_s + spent["stored"].cpu_s
        wall_s = max(spent["applied"].wall_s, spent["stored"].wall_s)
        share = spent["bare"].wall_s / wall_s
        print(f"{kind}: {filled} {spent}", file=sys.stderr)
        if kind == "single":
            unit = "messages/s of CPU"
            rows.append(row("applied and stored, alone", 10_000, filled.messages / cpu_s, unit))
            rows.append(row("of a bare consumer, alone", 0.5, share, "ratio"))
        else:
            unit = "values/s of CPU"
            rows.append(row("applied and stored, batches", 500_000, filled.values / cpu_s, unit))
    if "--json" in sys.argv:
        print(json.dumps(rows))
    else:
        for each in rows:
            print(each)


if __name__ == "__main__":
    main()
