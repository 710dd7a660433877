"""Groups moved between edge and cloud, and a link cut and restored, under load.

A cloud and two edges, 200 meters with two months of past, so 100 and a transformer's in a group,
each part a process of its own. Moves: back and forth, while every twin is asked in turn at a steady
rate, open loop. Cut: for `--cut-s` seconds (600 by default), meters polled every second; the ratio
is how much faster than live the cloud's recorder takes what it missed.
"""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import uvloop

from metertwin.bus.connection import connect
from metertwin.bus.credentials import Role, seed_path
from metertwin.bus.server import free_port
from metertwin.bus.subjects import Kind
from metertwin.cli.demo.incidents import Incidents
from metertwin.cli.demo.plan import DemoOptions, site_of
from metertwin.cli.demo.probe import Probe
from metertwin.cli.demo.report import is_balanced, readings_of
from metertwin.fleet.local.containers import Containers
from metertwin.fleet.local.sites import LocalSites
from metertwin.fleet.moves.moving import mover_for
from metertwin.fleet.runtimes.choose import RuntimeChoice
from metertwin.fleet.site import site_clock
from metertwin.fleet.state import StateDirectory

METERS_COUNT = 200
MOVES_COUNT = 20
ASKED_PER_S = 200.0
GOAL_BLACKOUT_P95_MS = 500.0
GOAL_CATCH_UP_RATIO = 20.0
DEFAULT_CUT_S = 600.0
WITHIN_S = 300.0
PAST_LOOK_S, LIVE_MOST_PER_S = 3.0, 40

Row = dict[str, Any]


async def main() -> None:
    cut_s = (
        float(sys.argv[sys.argv.index("--cut-s") + 1]) if "--cut-s" in sys.argv else DEFAULT_CUT_S
    )
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "site"
        options = DemoOptions(
            METERS_COUNT, 1.0, None, free_port(), "none", None, root, 1, 62, edges_count=2
        )
        settings = msgspec.structs.replace(site_of(options), poll_s=1.0)
        containers = await Containers.open(RuntimeChoice.PROCESS, root)
        sites = LocalSites(
            StateDirectory(root), settings, containers, lambda _: None, options.edges
        )
        try:
            await sites.start()
            rows = await measure(sites, cut_s)
        finally:
            await containers.clear()
    if "--json" in sys.argv:
        print(json.dumps(rows))
    else:
        for row in rows:
            print(f"{row['name']}: {row['figure']:.4g} {row['unit']} (goal {row['goal']:g})")


async def measure(sites: LocalSites, cut_s: float) -> list[Row]:
    seed = seed_path(sites.state.bus_seeds, Role.CLIENT)
    bus = await connect(sites.settings.bus_url, seed, "bench")
    probe = Probe(bus, site_clock(sites.settings), sites.settings.all_groups)
    await until_in_step(probe)
    await until_past_is_in(probe)
    asking = asyncio.create_task(probe.ask_at_rate(ASKED_PER_S))
    blackouts_ms = await moves(sites)
    asking.cancel()
    failed_count = probe.failed_count
    incidents = Incidents(sites, probe, lambda _: None, cut_s / 0.25)
    link = await incidents.cut(sites.settings.edges[0])
    await sites.stop_gateways()
    readings = await until_balanced(probe)
    await bus.close()
    p95_ms = float(np.percentile(blackouts_ms, 95))
    doubled_count = readings["applied"] - readings["received"] + readings["missing"]
    return [
        row("move of 100 twins, blackout p95", GOAL_BLACKOUT_P95_MS, p95_ms, "ms", is_most=True),
        row("requests failed during 20 moves", 0, failed_count, "requests", is_most=True),
        row("readings lost", 0, readings["missing"], "readings", is_most=True),
        row("readings doubled", 0, doubled_count, "readings", is_most=True),
        row(
            f"catch-up after a cut of {cut_s:.0f} s",
            GOAL_CATCH_UP_RATIO,
            link["catch_up_to_live"],
            "x live",
            is_most=False,
        ),
    ]


async def moves(sites: LocalSites) -> list[float]:
    edge = sites.settings.edges[-1]
    group = edge.groups[0].id
    blackouts_ms = []
    async with mover_for(sites.state, sites.settings, group, lambda _: None) as mover:
        for number in range(MOVES_COUNT):
            done = await mover.move(group, edge.site if number % 2 else sites.settings.site)
            assert done is not None
            blackouts_ms.append(done.blackout_ms)
            await asyncio.sleep(0.5)
    return blackouts_ms


async def until_in_step(probe: Probe) -> None:
    async with asyncio.timeout(WITHIN_S):
        while True:
            facts = await probe.in_step()
            if facts.in_step == facts.twins > 0:
                return
            await asyncio.sleep(0.2)


async def until_past_is_in(probe: Probe) -> None:
    """Return when no more arrives than the meters say now."""
    before = 0
    async with asyncio.timeout(WITHIN_S):
        while True:
            await asyncio.sleep(PAST_LOOK_S)
            received = (await probe.tally(Kind.REQUEST)).received
            if received - before < METERS_COUNT * LIVE_MOST_PER_S * PAST_LOOK_S:
                return
            before = received


async def until_balanced(probe: Probe) -> dict[str, int]:
    give_up_s = time.monotonic() + WITHIN_S
    while True:
        readings = readings_of(await probe.tally(Kind.REQUEST), await probe.tally(Kind.HISTORY))
        if is_balanced(readings) or time.monotonic() > give_up_s:
            return readings
        await asyncio.sleep(0.2)


def row(name: str, goal: float, figure: float, unit: str, *, is_most: bool) -> Row:
    is_ok = figure <= goal if is_most else figure >= goal
    ratio = figure / goal if goal else float(figure)
    return {"name": name, "goal": goal, "figure": figure, "unit": unit, "ratio": ratio, "ok": is_ok}


if __name__ == "__main__":
    uvloop.run(main())
