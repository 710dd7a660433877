"""How late `usage_now` comes over HTTP at a steady rate, from a whole site with simulated meters.

Every role is a process of its own and this one is the client. Requests are sent open loop: each at
its planned time whether or not earlier ones were answered, and its latency counts from the planned
time, so that a stall is seen by everything it delays. A failure counts as infinitely late.
"""

import asyncio
import contextlib
import json
import math
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import httptools
import httpx
import uvloop

from metertwin.bus.server import free_port
from metertwin.cli.demo.plan import DemoOptions, site_of
from metertwin.core.errors import MeterTwinError
from metertwin.fleet.local.containers import Containers
from metertwin.fleet.local.launch import LocalSite
from metertwin.fleet.runtimes.choose import RuntimeChoice
from metertwin.fleet.state import StateDirectory
from metertwin.fleet.token import load_token

METERS_COUNT = 50
RATE_PER_S = 1_000
REQUESTS_COUNT = 10_000
WARM_UP_COUNT = 1_000
CONNECTIONS_COUNT = 64
GOAL_P50_MS = 4.0
GOAL_P99_MS = 15.0
IN_STEP_WITHIN_S = 60.0
ANSWERS_WITHIN_S = 10.0


class Connection(asyncio.Protocol):
    """A kept connection that answers one request at a time."""

    def __init__(self) -> None:
        self.answered: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the way out."""
        # A cast, since uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Feed the parser."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Hand over the status; called by the parser."""
        if self.answered is not None and not self.answered.done():
            self.answered.set_result(self._parser.get_status_code())
        self._parser = httptools.HttpResponseParser(self)

    def send(self, octets: bytes) -> asyncio.Future[int]:
        """Send a request and return its status to come."""
        assert self._transport is not None
        self.answered = asyncio.get_running_loop().create_future()
        self._transport.write(octets)
        return self.answered

    def close(self) -> None:
        """Leave."""
        assert self._transport is not None
        self._transport.close()


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        state = StateDirectory(Path(directory) / "site")
        options = DemoOptions(
            METERS_COUNT, 60.0, None, free_port(), "high", None, state.root, 1, past_days=0
        )
        containers = await Containers.open(RuntimeChoice.PROCESS, state.root)
        site = LocalSite(state, site_of(options), containers, lambda _: None)
        try:
            await site.start()
            meters = [meter for group in site.settings.groups for meter in group.meters]
            url = f"http://127.0.0.1:{site.settings.api_port}"
            await in_step(url, state.api_token_file, len(meters))
            rows = await measure(site.settings.api_port, state.api_token_file, meters)
        finally:
            await containers.clear()
    if "--json" in sys.argv:
        print(json.dumps(rows))
    else:
        for row in rows:
            print(f"{row['name']}: {row['figure']:.4g} {row['unit']} (goal {row['goal']:g})")


async def in_step(url: str, token_file: Path, meters_count: int) -> None:
    """Return when all twins are in step."""
    parameters: dict[str, str | int] = {"status": "in_step", "limit": 1}
    async with asyncio.timeout(IN_STEP_WITHIN_S), httpx.AsyncClient(trust_env=False) as client:
        in_step_count = -1
        while in_step_count < meters_count:
            # The API may still be starting: its token and port come with it.
            with contextlib.suppress(httpx.HTTPError, MeterTwinError, KeyError):
                headers = {"authorization": f"Bearer {load_token(token_file)}"}
                answer = await client.get(f"{url}/v1/twins", params=parameters, headers=headers)
                in_step_count = answer.json()["total"]
            await asyncio.sleep(0.2)


async def measure(port: int, token_file: Path, meters: Sequence[str]) -> list[dict[str, object]]:
    token = load_token(token_file)
    body = b'{"max_age_s":86400,"deadline_s":5}'
    requests = [
        (
            f"POST /v1/twins/{meter}/requests/usage_now HTTP/1.1\r\nhost: 127.0.0.1\r\n"
            f"authorization: Bearer {token}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        ).encode()
        + body
        for meter in meters
    ]
    loop = asyncio.get_running_loop()
    idle: deque[Connection] = deque()
    for _ in range(CONNECTIONS_COUNT):
        idle.append((await loop.create_connection(Connection, "127.0.0.1", port))[1])
    await at_rate(idle, requests, WARM_UP_COUNT)
    latencies_ms = sorted(await at_rate(idle, requests, REQUESTS_COUNT))
    for connection in idle:
        connection.close()
    failed_count = sum(math.isinf(latency) for latency in latencies_ms)
    figures = (
        ("HTTP usage_now p50", GOAL_P50_MS, percentile(latencies_ms, 50), "ms"),
        ("HTTP usage_now p99", GOAL_P99_MS, percentile(latencies_ms, 99), "ms"),
    )
    rows: list[dict[str, object]] = [
        {
            "name": f"{name} at {RATE_PER_S}/s",
            "goal": goal,
            "figure": round(figure, 3),
            "unit": unit,
            "ratio": round(figure / goal, 3),
            "ok": figure <= goal,
        }
        for name, goal, figure, unit in figures
    ]
    return [
        *rows,
        {
            "name": f"HTTP usage_now failed of {REQUESTS_COUNT}",
            "goal": 0,
            "figure": failed_count,
            "unit": "requests",
            "ratio": failed_count / REQUESTS_COUNT,
            "ok": not failed_count,
        },
    ]


async def at_rate(idle: deque[Connection], requests: list[bytes], count: int) -> list[float]:
    """Send `count` requests at RATE_PER_S and return each latency from its planned time, in ms."""
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    latencies_ms: list[float] = []

    async def work(connection: Connection) -> None:
        while True:
            planned_s, octets = await waiting.get()
            status = await connection.send(octets)
            late_ms = (time.perf_counter() - planned_s) * 1000
            latencies_ms.append(late_ms if status == 200 else math.inf)
            waiting.task_done()

    workers = [asyncio.create_task(work(connection)) for connection in idle]
    began_s = time.perf_counter() + 0.05
    for number in range(count):
        planned_s = began_s + number / RATE_PER_S
        if (left_s := planned_s - time.perf_counter()) > 0:
            await asyncio.sleep(left_s)
        waiting.put_nowait((planned_s, requests[number % len(requests)]))
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(waiting.join(), ANSWERS_WITHIN_S)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    return latencies_ms + [math.inf] * (count - len(latencies_ms))


def percentile(ordered: list[float], percent: float) -> float:
    """Return the value at or below which `percent` of the ordered values lie."""
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]


if __name__ == "__main__":
    uvloop.run(main())
