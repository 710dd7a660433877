"""How late `bill_so_far` comes from a running site, and what asking for it costs nobody else.

A whole site of 100 meters with two months of load profiles behind them, every role a process of its
own; this one is the client on the bus. The bills are asked for when every meter's month so far is
known without a gap. Requests are sent open loop, each at its planned time, and timed from that; a
failure counts as infinitely late.
"""

import asyncio
import json
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import uvloop

from metertwin.bus.connection import Bus, connect
from metertwin.bus.credentials import Role, seed_path
from metertwin.bus.messages import Request
from metertwin.bus.requests import ask
from metertwin.bus.server import free_port
from metertwin.bus.subjects import Kind, subject
from metertwin.cli.demo.plan import TRANSFORMER_METERS, DemoOptions, site_of
from metertwin.core.errors import MeterTwinError
from metertwin.core.ids import GroupId, MeterId
from metertwin.fleet.local.containers import Containers
from metertwin.fleet.local.launch import LocalSite
from metertwin.fleet.runtimes.choose import RuntimeChoice
from metertwin.fleet.state import StateDirectory

METERS_COUNT, PAST_DAYS = 100, 62
RATE_PER_S, REQUESTS_COUNT, WARM_UP_COUNT = 50, 2_000, 200
GOAL_P50_MS, GOAL_P99_MS = 5.0, 10.0
READY_WITHIN_S, ANSWER_WITHIN_S = 180.0, 5.0

Place = tuple[GroupId, MeterId]


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        state = StateDirectory(Path(directory) / "site")
        options = DemoOptions(
            METERS_COUNT, 1.0, None, free_port(), "high", None, state.root, 1, PAST_DAYS
        )
        containers = await Containers.open(RuntimeChoice.PROCESS, state.root)
        site = LocalSite(state, site_of(options), containers, lambda _: None)
        try:
            await site.start()
            places = [
                (group.id, meter)
                for group in site.settings.groups
                for meter in group.meters
                if not fnmatch(meter, TRANSFORMER_METERS)  # they have no bill
            ]
            bus = await connect(
                site.settings.bus_url, seed_path(state.bus_seeds, Role.CLIENT), "bench"
            )
            await until_ready(bus, places)
            await at_rate(bus, places, WARM_UP_COUNT)
            latencies_ms = sorted(await at_rate(bus, places, REQUESTS_COUNT))
            await bus.close()
        finally:
            await containers.clear()
    rows = rows_of(latencies_ms)
    print(json.dumps(rows) if "--json" in sys.argv else "\n".join(map(str, rows)))


async def until_ready(bus: Bus, places: Sequence[Place]) -> None:
    """Return when every meter's month so far is known without a gap."""
    async with asyncio.timeout(READY_WITHIN_S):
        for place in places:
            missing = -1
            while missing:
                missing = await missing_count(bus, place)
                await asyncio.sleep(0.2 if missing else 0.0)


async def missing_count(bus: Bus, place: Place) -> int:
    """Return how many intervals of the month are not there; -1 while there is no bill at all."""
    try:
        answer = await bill_so_far(bus, place)
    except MeterTwinError:
        return -1
    missing: int = answer["bill"]["missing_count"]
    return missing


async def bill_so_far(bus: Bus, place: Place) -> dict[str, Any]:
    """Ask one twin."""
    to = subject(place[0], Kind.REQUEST, place[1])
    return await ask(bus, to, Request("bill_so_far"), ANSWER_WITHIN_S, dict[str, Any])


async def at_rate(bus: Bus, places: Sequence[Place], count: int) -> list[float]:
    """Send `count` requests at RATE_PER_S and return each latency from its planned time, in ms."""
    began_s = time.perf_counter() + 0.05

    async def one(number: int) -> float:
        planned_s = began_s + number / RATE_PER_S
        await asyncio.sleep(max(planned_s - time.perf_counter(), 0.0))
        try:
            await bill_so_far(bus, places[number * 37 % len(places)])
        except MeterTwinError:
            return math.inf
        return (time.perf_counter() - planned_s) * 1e3

    return list(await asyncio.gather(*(one(number) for number in range(count))))


def rows_of(latencies_ms: Sequence[float]) -> list[dict[str, object]]:
    """Return the figures; latencies in ascending order."""
    failed_count = sum(map(math.isinf, latencies_ms))
    figures = (
        (f"bill_so_far p50 at {RATE_PER_S}/s", GOAL_P50_MS, percentile(latencies_ms, 50), "ms"),
        (f"bill_so_far p99 at {RATE_PER_S}/s", GOAL_P99_MS, percentile(latencies_ms, 99), "ms"),
    )
    rows: list[dict[str, object]] = [
        {
            "name": name,
            "goal": goal,
            "figure": round(figure, 3),
            "unit": unit,
            "ratio": round(figure / goal, 3),
            "ok": figure <= goal,
        }
        for name, goal, figure, unit in figures
    ]
    rows.append(
        {
            "name": f"bill_so_far failed of {REQUESTS_COUNT}",
            "goal": 0,
            "figure": failed_count,
            "unit": "requests",
            "ratio": failed_count / REQUESTS_COUNT,
            "ok": not failed_count,
        }
    )
    return rows


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the value at or below which `percent` of the ordered values lie."""
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]


if __name__ == "__main__":
    uvloop.run(main())
