"""The bus: how late an answer comes at a steady rate, and how many messages a second it carries.

Requests are sent open loop: each at its planned time whether or not earlier ones were answered,
and its latency counts from the planned time, so that a stall is seen by everything it delays.
"""

import asyncio
import json
import math
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from metertwin.bus.connection import Bus, connect
from metertwin.bus.credentials import Role
from metertwin.bus.messages import Request
from metertwin.bus.publish import Publisher
from metertwin.bus.requests import ask, serve
from metertwin.bus.server import BusServer
from metertwin.bus.streams import ensure_streams
from metertwin.bus.subjects import READING_STREAM, Kind, of_group, subject
from metertwin.bus.tail import StreamTail
from metertwin.core.errors import MeterTwinError
from metertwin.core.ids import GroupId, MeterId

GROUP = GroupId("bench")
RATE_PER_S = 1_000
REQUESTS_COUNT = 10_000
MESSAGES_COUNT = 200_000
MESSAGE_BYTES = 200
GOAL_P50_MS = 2.0
GOAL_P99_MS = 5.0
GOAL_MESSAGES_PER_S = 50_000
SERVE = "serve"

Row = dict[str, object]


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        server = BusServer(Path(directory) / "bus", Path(directory) / "seeds")
        await server.start()
        admin = await connect(server.url, server.seed(Role.ADMIN), "admin")
        await ensure_streams(admin)
        try:
            rows = await request_rows(server) + await stream_rows(server)
        finally:
            await admin.close()
            await server.stop()
    if "--json" in sys.argv:
        print(json.dumps(rows))
    else:
        for row in rows:
            print(f"{row['name']}: {row['figure']:.4g} {row['unit']} (goal {row['goal']:g})")


async def request_rows(server: BusServer) -> list[Row]:
    """Ask a host in a process of its own, as it is in production."""
    host = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, SERVE, server.url, str(server.seed(Role.TWIN_HOST))),
        stdout=asyncio.subprocess.PIPE,
    )
    assert host.stdout is not None
    await host.stdout.readline()
    api = await connect(server.url, server.seed(Role.API), "api")
    for warm_up in range(200):
        await one_request(api, warm_up, time.perf_counter())
    latencies_ms = sorted(await open_loop(api))
    await api.close()
    host.terminate()
    await host.wait()
    p50_ms = latencies_ms[len(latencies_ms) // 2]
    p99_ms = latencies_ms[math.ceil(len(latencies_ms) * 0.99) - 1]
    return [
        row(f"request to answer, p50 at {RATE_PER_S}/s", GOAL_P50_MS, p50_ms, "ms", is_limit=True),
        row(f"request to answer, p99 at {RATE_PER_S}/s", GOAL_P99_MS, p99_ms, "ms", is_limit=True),
    ]


async def open_loop(api: Bus) -> list[float]:
    """Return the latency of each request in ms, from its planned time; infinite if it failed."""
    begin_s = time.perf_counter() + 0.1
    tasks = []
    for number in range(REQUESTS_COUNT):
        planned_s = begin_s + number / RATE_PER_S
        if (ahead_s := planned_s - time.perf_counter()) > 0:
            await asyncio.sleep(ahead_s)
        tasks.append(asyncio.create_task(one_request(api, number, planned_s)))
    return await asyncio.gather(*tasks)


async def one_request(api: Bus, number: int, planned_s: float) -> float:
    to = subject(GROUP, Kind.REQUEST, MeterId(f"m{number % 100}"))
    try:
        answer = await ask(api, to, Request("echo", {"n": number}), 5.0, int)
    except MeterTwinError:
        return math.inf
    assert answer == number
    return (time.perf_counter() - planned_s) * 1000


async def host_process(url: str, seed: Path) -> None:
    async def echo(request: Request, _meter: str, _deadline_s: float) -> object:
        return request.arguments["n"]

    bus = await connect(url, seed, "host")
    await serve(bus, of_group(GROUP, Kind.REQUEST), "twins", {"echo": echo})
    print("ready", flush=True)
    await asyncio.Event().wait()


async def stream_rows(server: BusServer) -> list[Row]:
    gateway = await connect(server.url, server.seed(Role.GATEWAY), "gateway")
    recorder = await connect(server.url, server.seed(Role.RECORDER), "recorder")
    data = bytes(MESSAGE_BYTES)
    begin_s = time.perf_counter()
    async with Publisher(gateway) as publisher:
        for number in range(MESSAGES_COUNT):
            await publisher.publish(subject(GROUP, Kind.READING), data, f"bench:1:{number}")
    published_per_s = MESSAGES_COUNT / (time.perf_counter() - begin_s)

    tail = StreamTail(recorder, READING_STREAM)
    begin_s = time.perf_counter()
    count = 0
    async for batch in tail.until_now():
        count += len(batch)
    read_per_s = count / (time.perf_counter() - begin_s)
    assert count == MESSAGES_COUNT
    await tail.close()
    await gateway.close()
    await recorder.close()
    return [
        row("publisher, acknowledged", GOAL_MESSAGES_PER_S, published_per_s, "messages/s"),
        row("stream tail", GOAL_MESSAGES_PER_S, read_per_s, "messages/s"),
    ]


def row(name: str, goal: float, figure: float, unit: str, *, is_limit: bool = False) -> Row:
    return {
        "name": name,
        "goal": goal,
        "figure": figure,
        "unit": unit,
        "ratio": figure / goal,
        "ok": figure <= goal if is_limit else figure >= goal,
    }


if __name__ == "__main__":
    if SERVE in sys.argv:
        uvloop.run(host_process(sys.argv[2], Path(sys.argv[3])))
    else:
        uvloop.run(main())
