"""What reading a meter costs the gateway: polls a second, CPU of a poll, of a value.

Run with `--json` for a JSON list of rows. The street runs in a process of its own, the gateway in
this one over the real bus, asked to read more than it can; every poll is one GET of 20 registers
and the clock, numbered and published. CPU is this process's alone.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from metertwin.bus.connection import connect
from metertwin.bus.credentials import Role
from metertwin.bus.messages import Request
from metertwin.bus.requests import ask
from metertwin.bus.server import BusServer
from metertwin.bus.streams import ensure_streams
from metertwin.bus.subjects import Kind, subject
from metertwin.core.clock import SystemClock
from metertwin.core.errors import UnavailableError
from metertwin.core.ids import GroupId
from metertwin.gateway.config import GatewayConfig, PollSettings
from metertwin.gateway.reads import HostAnswer
from metertwin.gateway.run import run_gateway
from metertwin.meters.entry import MeterEntry
from metertwin.simulation.config import Security, SimulationConfig
from metertwin.simulation.serving import serve

METERS_COUNT = 500
MEASURED_S = 5.0
GROUP = GroupId("bench")
POLLS_GOAL = 1_000.0
POLL_US_GOAL = 1_000.0

Row = dict[str, Any]


async def serve_until_told(security: Security) -> None:
    """Serve the street, print its meters as JSON, and end with standard input."""
    config = SimulationConfig(
        meter_count=METERS_COUNT, security=security, has_transformer_meters=False
    )
    simulation = await serve(config, SystemClock())
    entries = [
        {
            "id": meter.meter,
            "group": GROUP,
            "host": meter.host,
            "port": meter.port,
            "client_sap": meter.client_sap,
            "server_sap": meter.server_sap,
            "security": meter.security.value,
            "encryption_key": meter.encryption_key.hex(),
            "authentication_key": meter.authentication_key.hex(),
            "system_title": meter.client_system_title.hex(),
            "zone": "Europe/Berlin",
            "origin": "simulated",
        }
        for meter in simulation.meters
    ]
    print(json.dumps(entries), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await simulation.close()


async def measure(entries: tuple[MeterEntry, ...], directory: Path, label: str) -> list[Row]:
    """Return the rows of one street."""
    server = BusServer(directory / "bus", directory / "seeds")
    await server.start()
    admin = await connect(server.url, server.seed(Role.ADMIN), "admin")
    await ensure_streams(admin)
    bus = await connect(server.url, server.seed(Role.GATEWAY), "gateway")
    asker = await connect(server.url, server.seed(Role.TWIN_HOST), "asker")
    config = GatewayConfig(
        name="bench", group=GROUP, meters=entries, poll=PollSettings(period_s=0.05)
    )
    task = asyncio.create_task(run_gateway(config, bus, SystemClock()))

    async def host() -> dict[str, Any]:
        to = subject(GROUP, Kind.READ)
        try:
            return (await ask(asker, to, Request("host"), 5.0, HostAnswer)).metrics
        except UnavailableError:
            return {"polls_count": 0}  # not serving yet

    # The first round associates and learns; what follows is the daily work.
    while (before := await host())["polls_count"] < 2 * METERS_COUNT:  # noqa: ASYNC110 - remote
        await asyncio.sleep(0.1)
    started_s, started_cpu_s = time.perf_counter(), time.process_time()
    await asyncio.sleep(MEASURED_S)
    after = await host()
    took_s, cpu_s = time.perf_counter() - started_s, time.process_time() - started_cpu_s
    polls_count = after["polls_count"] - before["polls_count"]
    values_count = after["readings_count"] - before["readings_count"]
    assert not after["failures_count"], after
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    for connection in (asker, bus, admin):
        await connection.close()
    await server.stop()
    return [
        row(f"meters polled, {label}", POLLS_GOAL, polls_count / took_s, "1/s"),
        row(f"values read, {label}", 20 * POLLS_GOAL, values_count / took_s, "1/s"),
        row(f"CPU of a poll, {label}", POLL_US_GOAL, cpu_s / polls_count * 1e6, "us", upper=True),
    ]


def row(name: str, goal: float, figure: float, unit: str, *, upper: bool = False) -> Row:
    """Return one row."""
    return {
        "name": name,
        "goal": goal,
        "figure": round(figure, 1),
        "unit": unit,
        "ratio": round(figure / goal, 3),
        "ok": figure <= goal if upper else figure >= goal,
    }


def rows_of(security: Security, label: str) -> list[Row]:
    """Return the rows of a street with one kind of security."""
    command = [sys.executable, __file__, "--serve", security.value]
    with (
        tempfile.TemporaryDirectory() as name,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as server,
    ):
        assert server.stdout is not None
        assert server.stdin is not None
        entries = msgspec.json.decode(server.stdout.readline(), type=tuple[MeterEntry, ...])
        rows = uvloop.run(measure(entries, Path(name), label))
        server.stdin.close()
    return rows


def main() -> None:
    if "--serve" in sys.argv:
        uvloop.run(serve_until_told(Security(sys.argv[-1])))
        return
    rows = [
        *rows_of(Security.NONE, "in the clear"),
        *rows_of(Security.HIGH, "ciphered"),
    ]
    if "--json" in sys.argv:
        print(json.dumps(rows))
        return
    for line in rows:
        verdict = "ok" if line["ok"] else "missed"
        print(f"{line['name']}: {line['figure']} {line['unit']} (goal {line['goal']}, {verdict})")


if __name__ == "__main__":
    main()
