"""The recorder's process killed under load, again and again."""

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from metertwin.bus.connection import Bus
from metertwin.bus.credentials import Role
from metertwin.bus.messages import encode
from metertwin.bus.publish import Publisher
from metertwin.bus.server import BusServer
from metertwin.bus.subjects import Kind, subject
from metertwin.bus.wire import encode_readings
from metertwin.core.batch import ReadingBatch
from metertwin.core.clock import from_us
from metertwin.core.ids import GroupId
from metertwin.core.obis import Obis
from metertwin.core.output import AppOutput
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
        written = None
        while not task.done():
            positions = recorder.counters.positions
            durable = [positions.get(stream, 0) for stream in ("READINGS", "EVENTS")]
            if durable != written:
                written = durable
                print(*written, flush=True)
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
    host = await connect_as(Role.TWIN_HOST)

    async def publish() -> int:
        round_count = 0
        async with Publisher(gateway) as publisher, Publisher(host) as outputs:
            while not stop.is_set():
                octets = encode_readings(poll_round(group, round_count))
                where = subject(group, Kind.READING)
                await publisher.publish(where, octets, f"{group}:{round_count}")
                where, octets = subject(group, Kind.OUTPUT), encode(_output(group, round_count))
                for said in ("once", "again"):
                    await outputs.publish(where, octets, f"{group}:{said}:{round_count}")
                round_count += 1
                await asyncio.sleep(0.002)  # a load, not a flood
        return round_count

    load = asyncio.create_task(publish())
    for transaction_count in (1, 5, 2, 9):
        await _run_and_kill(bus_server, path, transaction_count)
    stop.set()
    round_count = await load
    last = [(await host.js.stream_info(s)).state.last_seq for s in ("READINGS", "EVENTS")]
    await _run_and_kill(bus_server, path, 10**9, last)
    store = DuckDbStore(path)
    for line in store.ledger(group):
        assert (line.received, line.taken) == (2 * round_count, 2 * round_count)
        assert (line.duplicate, line.missing) == (0, 0)
        for obis, first in ((Obis(1, 0, 1, 8, 0), 1), (Obis(1, 0, 32, 7, 0), 2)):
            found = store.read_range(line.meter, obis, from_us(0), from_us(10**12))
            assert found["sequence"].to_pylist() == list(range(first, 2 * round_count + 1, 2))
    table = store.outputs(group, from_us(0), from_us(10**12), limit=round_count + 1)
    assert table["at_us"].to_pylist() == list(range(round_count - 1, -1, -1))
    assert table["value"].to_pylist() == [f'{{"n":{n}}}' for n in reversed(range(round_count))]
    positions = store.remembered().positions
    assert [positions[stream] for stream in ("READINGS", "EVENTS")] == last
    store.close()


def _output(group: GroupId, number: int) -> AppOutput:
    at = from_us(number)
    return AppOutput("tariff", "1.0", group, None, "bill", at, 0, at, {"n": number})


async def _run_and_kill(
    server: BusServer, path: Path, transaction_count: int, last: Sequence[int] = (2**62, 2**62)
) -> None:
    """Let a recorder make some transactions, or reach the streams' last positions, and kill it."""
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
                if all(int(at) >= end for at, end in zip(line.split(), last, strict=True)):
                    break
        finally:
            process.kill()
