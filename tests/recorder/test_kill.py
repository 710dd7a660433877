"""The recorder's process killed under load, again and again."""

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from metertwin.bus.connection import Bus
from metertwin.bus.credentials import Role
from metertwin.bus.publish import Publisher
from metertwin.bus.server import BusServer
from metertwin.bus.subjects import Kind, subject
from metertwin.bus.wire import encode_readings
from metertwin.core.batch import ReadingBatch
from metertwin.core.clock import from_us
from metertwin.core.ids import GroupId
from metertwin.core.obis import Obis
from metertwin.store.duckdb import DuckDbStore

Connect = Callable[[Role], Awaitable[Bus]]
PollRound = Callable[..., ReadingBatch]

_PROCESS = """
    import asyncio, sys
    from pathlib import Path
    import structlog
    import uvloop
    from metertwin.bus.connection import connect
    from metertwin.core.clock import SystemClock
    from metertwin.recorder.run import Recorder, open_history
    from metertwin.recorder.settings import RecorderSettings

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))

    async def main():
        settings = RecorderSettings(harvest_s=0.002, harvest_messages=20, first_pause_s=0.01)
        bus = await connect(sys.argv[1], Path(sys.argv[2]), "recorder")
        store = await open_history(Path(sys.argv[3]), settings)
        recorder = Recorder(settings, bus, store, SystemClock())
        task = asyncio.create_task(recorder.run())
        written = 0
        while not task.done():
            if recorder.counters.positions.get("READINGS", 0) != written:
                written = recorder.counters.positions["READINGS"]
                print(written, flush=True)
            await asyncio.sleep(0.001)
        await task

    uvloop.run(main())
"""


@pytest.mark.fault
async def test_a_killed_recorder_loses_and_doubles_nothing(
    bus_server: BusServer,
    connect_as: Connect,
    group: GroupId,
    poll_round: PollRound,
    tmp_path: Path,
) -> None:
    path = tmp_path / "history.duckdb"
    stop = asyncio.Event()
    gateway = await connect_as(Role.GATEWAY)

    async def publish() -> int:
        round_count = 0
        async with Publisher(gateway) as publisher:
            while not stop.is_set():
                octets = encode_readings(poll_round(group, round_count))
                where = subject(group, Kind.READING)
                await publisher.publish(where, octets, f"{group}:{round_count}")
                round_count += 1
                await asyncio.sleep(0.002)  # a load, not a flood
        return round_count

    load = asyncio.create_task(publish())
    for transaction_count in (1, 5, 2, 9):
        await _run_and_kill(bus_server, path, transaction_count)
    stop.set()
    round_count = await load
    last_sequence = (await gateway.js.stream_info("READINGS")).state.last_seq
    await _run_and_kill(bus_server, path, 10**9, last_sequence)
    store = DuckDbStore(path)
    for line in store.ledger(group):
        assert (line.received, line.taken) == (2 * round_count, 2 * round_count)
        assert (line.duplicate, line.missing) == (0, 0)
        for obis, first in ((Obis(1, 0, 1, 8, 0), 1), (Obis(1, 0, 32, 7, 0), 2)):
            found = store.read_range(line.meter, obis, from_us(0), from_us(10**12))
            assert found["sequence"].to_pylist() == list(range(first, 2 * round_count + 1, 2))
    assert store.remembered().positions["READINGS"] == last_sequence
    store.close()


async def _run_and_kill(
    server: BusServer, path: Path, transaction_count: int, last_sequence: int = 2**62
) -> None:
    """Let a recorder make some transactions, or reach a position, and kill it."""
    seed = server.seed(Role.RECORDER)
    process = subprocess.Popen(  # noqa: ASYNC220 - must be killed, not awaited; starts in 1 ms
        [sys.executable, "-c", textwrap.dedent(_PROCESS), server.url, str(seed), str(path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        try:
            for _ in range(transaction_count):
                line = await asyncio.to_thread(process.stdout.readline)
                assert line, "the recorder ended by itself"
                if int(line) >= last_sequence:
                    break
        finally:
            process.kill()
