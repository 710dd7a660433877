"""What 10,000 served meters cost: memory, associations, GETs over loopback, steps of the street.

Run with `--json` for a JSON list of rows. The street runs at the clock's speed in a process of its
own while a second process asks; memory is that process's resident set.
"""

import asyncio
import json
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import psutil
import uvloop

from metertwin.core.clock import SystemClock
from metertwin.core.obis import Obis
from metertwin.cosem.apdu.descriptors import AttributeDescriptor
from metertwin.cosem.apdu.get_request import GetRequestNormal
from metertwin.cosem.client import ClientAssociation
from metertwin.cosem.client_settings import ClientSettings
from metertwin.cosem.wrapper import WrapperDecoder, encode_wrapper
from metertwin.simulation.config import Security, SimulationConfig
from metertwin.simulation.credentials import FIRST_METER_SAP
from metertwin.simulation.serving import serve
from metertwin.simulation.world import World

METERS_COUNT = 10_000
CLIENT_SAP = 16
ASKING_COUNT = 200
ASKED_FOR_S = 5.0
CONNECT_AT_ONCE_COUNT = 200
START = datetime(2026, 1, 5, 12, tzinfo=UTC)

Row = dict[str, Any]


class Link(asyncio.Protocol):
    """One connection to one meter that asks one thing at a time."""

    def __init__(self, sap: int) -> None:
        self.sap = sap
        self._decoder = WrapperDecoder()
        self._answer: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        # A cast, since uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take an answer."""
        for frame in self._decoder.feed(data):
            if self._answer is not None and not self._answer.done():
                self._answer.set_result(frame.apdu)

    async def ask(self, apdu: bytes) -> bytes:
        """Send an APDU and return the answer."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(encode_wrapper(CLIENT_SAP, self.sap, apdu))
        return await self._answer

    async def associate(self) -> None:
        """Open an association without security."""
        exchange = ClientAssociation(ClientSettings()).associate()
        question: bytes | None = exchange.request
        while question is not None:
            question = exchange.feed(await self.ask(question))

    @property
    def transport(self) -> asyncio.Transport:
        """The connection's transport."""
        assert self._transport is not None
        return self._transport


async def serve_until_told() -> None:
    """Serve the street, print the port, and end with standard input."""
    config = SimulationConfig(meter_count=METERS_COUNT, security=Security.NONE)
    simulation = await serve(config, SystemClock())
    print(simulation.meters[0].port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await simulation.close()


async def connect(port: int, sap: int) -> Link:
    _, link = await asyncio.get_running_loop().create_connection(
        lambda: Link(sap), "127.0.0.1", port
    )
    await link.associate()
    return link


async def connect_all(port: int) -> list[Link]:
    links: list[Link] = []
    for first in range(0, METERS_COUNT, CONNECT_AT_ONCE_COUNT):
        saps = range(FIRST_METER_SAP + first, FIRST_METER_SAP + first + CONNECT_AT_ONCE_COUNT)
        links += await asyncio.gather(*(connect(port, sap) for sap in saps))
    return links


class Asker(asyncio.Protocol):
    """Asks again as soon as it is answered; takes over an associated link's transport.

    A future for every answer would make the client slower than the meters it is to measure.
    """

    def __init__(self, transport: asyncio.Transport, request: bytes, answer_start: bytes) -> None:
        self.answered_count = 0
        self._transport = transport
        self._request = request
        self._answer_start = answer_start
        transport.set_protocol(self)
        transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Count the answer and ask again."""
        assert data.startswith(self._answer_start, 8), data.hex()
        self.answered_count += 1
        self._transport.write(self._request)


async def gets_per_s(links: list[Link]) -> float:
    """Return answers per second, each link asking again as soon as it is answered."""
    descriptor = AttributeDescriptor(3, Obis.parse("1-0:1.8.0"), 2)
    request = GetRequestNormal(0xC1, descriptor).encode()
    started_s = time.monotonic()
    askers = [
        Asker(
            link.transport,
            encode_wrapper(CLIENT_SAP, link.sap, request),
            bytes.fromhex("c401c10006"),
        )
        for link in links
    ]
    await asyncio.sleep(ASKED_FOR_S)
    answered_count = sum(asker.answered_count for asker in askers)
    return answered_count / (time.monotonic() - started_s)


async def measure_serving(server: subprocess.Popen[str], port: int) -> list[Row]:
    process = psutil.Process(server.pid)
    idle_mb = process.memory_info().rss / 1e6
    links = await connect_all(port)
    open_mb = process.memory_info().rss / 1e6
    cpu_s = sum(process.cpu_times()[:2])
    rate = await gets_per_s(links[:ASKING_COUNT])
    # Of the serving process alone, its street included: what the rate would be on a free core.
    get_us = (sum(process.cpu_times()[:2]) - cpu_s) / (rate * ASKED_FOR_S) * 1e6
    for link in links:
        link.transport.abort()
    return [
        row("10,000 simulated meters, served, idle", 250, idle_mb, "MB", is_upper=True),
        row("10,000 associations on top", 60, open_mb - idle_mb, "MB", is_upper=True),
        row("GETs over loopback, street running", 15_000, rate, "1/s", is_upper=False),
        row("CPU of a GET over loopback", 1e6 / 15_000, get_us, "us", is_upper=True),
    ]


def steps_per_s(meters_count: int, step_s: int, steps_count: int) -> float:
    world = World(SimulationConfig(meter_count=meters_count, step_s=step_s), START)
    world.advance(world.now + timedelta(seconds=step_s))
    started_s = time.perf_counter()
    world.advance(world.now + timedelta(seconds=step_s * steps_count))
    return steps_count / (time.perf_counter() - started_s)


def measure_steps() -> list[Row]:
    # 10,000 times real time in steps of 900 s is 11.1 steps a second.
    return [
        row("steps of 100 meters", 1_000, steps_per_s(100, 900, 960), "1/s", is_upper=False),
        row("steps of 10,000 meters", 11.1, steps_per_s(10_000, 900, 96), "1/s", is_upper=False),
    ]


def row(name: str, goal: float, figure: float, unit: str, *, is_upper: bool) -> Row:
    is_met = figure <= goal if is_upper else figure >= goal
    return {
        "name": name,
        "goal": goal,
        "figure": round(figure, 1),
        "unit": unit,
        "ratio": round(figure / goal, 3),
        "ok": is_met,
    }


def allow_files() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> None:
    allow_files()
    if "--serve" in sys.argv:
        uvloop.run(serve_until_told())
        return
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        rows = uvloop.run(measure_serving(server, port))
        assert server.stdin is not None
        server.stdin.close()
    rows += measure_steps()
    if "--json" in sys.argv:
        print(json.dumps(rows))
        return
    for line in rows:
        verdict = "ok" if line["ok"] else "missed"
        print(f"{line['name']}: {line['figure']} {line['unit']} (goal {line['goal']}, {verdict})")


if __name__ == "__main__":
    main()
