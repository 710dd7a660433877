"""How soon a new container's twin answers, and what containers of twins cost.

Start: from the request to create a container until its one twin answers over the bus, against an
empty container of the same image, a bare asyncio server that answers one line over a socket in its
directory, in turn on the same engine. Memory: what the engine counts, the process's proportional
set (PSS) and the PSS of the shim that the engine keeps beside each container; all registers of the
twins are filled. How many containers and twins the machine holds is extrapolated from what
`AT_ONCE_COUNT` really running ones use. The goals of memory and number are no promises, they are
there to see growth.
"""

import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil
import uvloop

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.container_site import (
    LOOK_S,
    NETWORK,
    WITHIN_S,
    ContainerSite,
    container_site,
    groups_of,
)
from benchmarks.engine_images import PYTHON_IMAGE, Row, engine, row
from benchmarks.twins import filled_groups, memory_bytes
from metertwin.fleet.local.containers import Part

REPEATS_COUNT = 9
AT_ONCE_COUNT = 30
MANY_COUNT = 1_000
POOLED_COUNT = 100_000
GOAL_START_RATIO = 1.5
IDLE_S = 10.0
MIB = 2**20
EMPTY = """
import asyncio, sys
async def answer(reader, writer):
    await reader.readline()
    writer.write(b"here\\n")
    await writer.drain()
    writer.close()
async def main():
    async with await asyncio.start_unix_server(answer, sys.argv[1]):
        await asyncio.Event().wait()
asyncio.run(main())
"""


async def twin_start_s(site: ContainerSite, number: int) -> tuple[float, float]:
    """Return the time from create to the twin's answer, and the container's CPU time by then."""
    groups = groups_of(f"start{number}", 1)
    part = site.part(f"start{number}", groups)
    began_s = time.perf_counter()
    await site.containers.start(part)
    await site.until_answer(groups[0])
    spent_s = time.perf_counter() - began_s
    used = await site.containers.runtime.usage(site.containers.host_of(part.name))
    await site.remove(part.name)
    return spent_s, used.cpu_s


async def empty_start_s(site: ContainerSite, number: int) -> float:
    """Return the time from create to the empty container's answer."""
    home = site.state.part(f"empty{number}")
    home.make()
    socket = home.root.resolve() / "socket"
    argv = ("-c", EMPTY, str(socket))
    part = Part(f"empty{number}", argv, home.root, networks=(NETWORK,), image=PYTHON_IMAGE)
    began_s = time.perf_counter()
    await site.containers.start(part)
    await until_line(socket)
    spent_s = time.perf_counter() - began_s
    await site.remove(part.name)
    return spent_s


async def until_line(socket: Path) -> None:
    async with asyncio.timeout(WITHIN_S):
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_unix_connection(socket)
                writer.write(b"there?\n")
                line = await reader.readline()
                writer.close()
                if line == b"here\n":
                    return
            await asyncio.sleep(LOOK_S)


async def starts(site: ContainerSite) -> list[Row]:
    """Compare starts, one of each in turn; the first of each warms up and is not counted."""
    twin_s, twin_cpu_s, empty_s = [], [], []
    for number in range(REPEATS_COUNT + 1):
        empty_s.append(await empty_start_s(site, number))
        spent_s, cpu_s = await twin_start_s(site, number)
        twin_s.append(spent_s)
        twin_cpu_s.append(cpu_s)
    own_s, empty = statistics.median(twin_s[1:]), statistics.median(empty_s[1:])
    cpu_s = statistics.median(twin_cpu_s[1:])
    return [
        row("a new container's twin answers: times an empty", GOAL_START_RATIO, own_s / empty, ""),
        row("create until the twin answers", GOAL_START_RATIO * empty, own_s, "s"),
        row("CPU of its container until then", 0.4, cpu_s, "s"),
    ]


async def at_once(site: ContainerSite) -> list[Row]:
    """Run one-twin containers at once and see what they take."""
    available_bytes = psutil.virtual_memory().available
    names = [f"one{number}" for number in range(AT_ONCE_COUNT)]
    for name in names:
        await site.run_filled(name, 1)
    taken = [await site.memory(name) for name in names]
    cpu_ratio = await idle_cpu_ratio(site, names)
    engine_bytes = statistics.median(each.engine_bytes for each in taken)
    pss_bytes = statistics.median(each.pss_bytes for each in taken)
    shim_bytes = statistics.median(each.shim_bytes for each in taken)
    by_memory = available_bytes / (engine_bytes + shim_bytes)
    by_cpu = (os.cpu_count() or 1) / cpu_ratio
    for name in names:
        await site.remove(name)
    return [
        row("one-twin containers that ran at once", 30, len(taken), "", is_most=False),
        row("memory of a one-twin container, as the engine counts", 64, engine_bytes / MIB, "MiB"),
        row("PSS of a one-twin container", 64, pss_bytes / MIB, "MiB"),
        row("PSS of the engine's shim beside it", 16, shim_bytes / MIB, "MiB"),
        row("CPU of an idle one-twin container", 0.02, cpu_ratio, "of a core"),
        row("one-twin containers, extrapolated by memory", 100, by_memory, "", is_most=False),
        row("one-twin containers, extrapolated by idle CPU", 100, by_cpu, "", is_most=False),
    ]


async def idle_cpu_ratio(site: ContainerSite, names: list[str]) -> float:
    """Return the CPU time of one container per time while nothing happens."""
    runtime, full_names = site.containers.runtime, [site.containers.host_of(n) for n in names]
    began_s = time.perf_counter()
    before_s = [(await runtime.usage(name)).cpu_s for name in full_names]
    await asyncio.sleep(IDLE_S)
    spent_s = time.perf_counter() - began_s
    after_s = [(await runtime.usage(name)).cpu_s for name in full_names]
    return statistics.median(b - a for a, b in zip(before_s, after_s, strict=True)) / spent_s


async def many_in_one(site: ContainerSite) -> list[Row]:
    """Run many twins in one container, and see what its memory would hold."""
    await site.run_filled("many", MANY_COUNT)
    taken = await site.memory("many")
    per_twin_bytes = pooled_twin_bytes()
    room_bytes = psutil.virtual_memory().available - taken.engine_bytes
    by_memory = MANY_COUNT + room_bytes / per_twin_bytes
    return [
        row("memory of a 1,000-twin container", 128, taken.engine_bytes / MIB, "MiB"),
        row("PSS of a 1,000-twin container", 128, taken.pss_bytes / MIB, "MiB"),
        row("memory of it per twin", 128, taken.engine_bytes / MANY_COUNT / 1024, "KiB"),
        row("a twin more, pooled", 4_000, per_twin_bytes, "B"),
        row("twins in one container, extrapolated by memory", 1e6, by_memory, "", is_most=False),
    ]


def pooled_twin_bytes() -> float:
    """Return what a twin more takes, over many."""
    before = memory_bytes()
    groups = filled_groups(POOLED_COUNT, "pool")
    per_twin_bytes = (memory_bytes() - before) / POOLED_COUNT
    assert groups
    return per_twin_bytes


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "site"
        async with engine(root, (NETWORK,)) as containers, container_site(containers, root) as site:
            rows = [*await starts(site), *await at_once(site), *await many_in_one(site)]
    rows = [each for each in rows if each["figure"]]  # a PSS that may not be read is left out
    if "--json" in sys.argv:
        print(json.dumps(rows))
    else:
        for each in rows:
            print(each)


if __name__ == "__main__":
    uvloop.run(main())
