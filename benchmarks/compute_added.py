"""What a twin's container adds to a meter: the same analysis on a meter's budget and on its own.

The analysis is the product's: one meter's year of 35,040 quarter hours validated, its gaps
estimated, and twelve bills made of it by the household tariff; and a month's validation alone. It
runs twice at a time in containers of one image on one engine, which differ in their limits only.

The meter's budget is an assumption with this ground: metering SoCs are single microcontroller
cores of the Cortex-M class, clocked at some 30 to 100 MHz, with some 32 to 256 KiB of RAM; the
most of both is taken here. The share of CPU is the ratio of the clocks, 100 MHz to what this
machine says of its core. That flatters the meter: a core of this machine also does several
instructions a cycle, has a floating-point vector unit and caches, and the meter's core has other
work, none of which a quota imitates. A loop timed here would say nothing about the other
architecture, so none is.

Memory: no engine can give 256 KiB (the runtime port's least is 8 MiB, Docker's 6), nor does Python
run in that. So the size of the data alone is compared with the meter's RAM, and it is tried which
limit the analysis needs and what the engine reports below it. A program written for a
microcontroller could bill a year in a stream through flash; what cannot be had there is this code,
with its estimates from like days, which needs the whole table at hand.
"""

import asyncio
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import uvloop
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.engine_images import PYTHON_IMAGE, Row, engine, row
from metertwin.fleet.local.containers import (
    INSTANCE_LABEL,
    PART_LABEL,
    Containers,
    own_by_container,
)
from metertwin.fleet.runtimes.errors import ContainerStartError
from metertwin.fleet.runtimes.port import ContainerStatus, Phase
from metertwin.fleet.runtimes.spec import ContainerSpec, Limits, Mount

METER_MHZ = 100.0
METER_RAM_BYTES = 256 * 1024
MIB = 2**20
LEAST_BYTES = 8 * MIB  # the runtime port refuses less, Docker itself less than 6
TWIN = Limits(cpu_ratio=1.0, memory_bytes=256 * MIB)
ROUNDS_COUNT = 5
GOAL_RATIO = 10.0
WITHIN_S = 300.0
LOOK_S = 0.05
FILES = ("__init__.py", "household.py", "meter_year.py")


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run of the analysis ended, and its figures where it got there."""

    status: ContainerStatus | None
    figures: dict[str, Any] | None

    @property
    def words(self) -> str:
        """What became of it."""
        if self.status is None:
            return "the engine could not start it"
        if self.figures is not None:
            return "done"
        if self.status.was_out_of_memory:
            return f"out of memory, exit code {self.status.exit_code}"
        return f"ended with exit code {self.status.exit_code}"


@dataclass(slots=True)
class Analysis:
    """Runs the analysis under limits.

    Args:
        containers: Where.
        home: Directory with the program.
    """

    containers: Containers
    home: Path
    _count: int = 0

    async def run(self, limits: Limits) -> Ran:
        """Return how it went."""
        self._count += 1
        part = f"analysis{self._count}"
        name, runtime = self.containers.host_of(part), self.containers.runtime
        home = str(self.home.resolve())
        start = f"import sys; sys.path[:0] = [{home!r}]; from benchmarks.meter_year import main"
        spec = ContainerSpec(
            name=name,
            image=PYTHON_IMAGE,
            argv=("-c", f"{start}; main()"),
            mounts=(Mount(home, home),),
            limits=limits,
            labels={INSTANCE_LABEL: self.containers.instance, PART_LABEL: part},
            user=own_by_container(self.home),
        )
        try:
            await runtime.start(spec)
            status = await self._ended(name)
            said = (await runtime.logs(name, 1)).strip()
        except ContainerStartError:
            return Ran(None, None)
        finally:
            await runtime.remove(name)
        return Ran(status, json.loads(said) if status.exit_code == 0 else None)

    async def figures(self, limits: Limits) -> dict[str, Any]:
        """Return the figures of a run that must come to its end."""
        ran = await self.run(limits)
        if ran.figures is None:
            sys.exit(f"compute_added: the analysis under {limits} came to nothing: {ran.words}.")
        return ran.figures

    async def least_bytes(self, enough_bytes: int) -> int:
        """Return the least memory limit under which it comes to its end, to the MiB."""
        low_mib, high_mib = LEAST_BYTES // MIB, enough_bytes // MIB
        while high_mib - low_mib > 1:
            middle_mib = (low_mib + high_mib) // 2
            ran = await self.run(Limits(memory_bytes=middle_mib * MIB))
            low_mib, high_mib = (
                (middle_mib, high_mib) if ran.figures is None else (low_mib, middle_mib)
            )
        return high_mib * MIB

    async def _ended(self, name: str) -> ContainerStatus:
        async with asyncio.timeout(WITHIN_S):
            while True:
                status = await self.containers.runtime.status(name)
                if status.phase is Phase.EXITED:
                    return status
                await asyncio.sleep(LOOK_S)


def core_mhz() -> float:
    """Return the clock of this machine's core."""
    mhz = getattr(psutil.cpu_freq(), "current", 0.0)  # None where the machine does not say
    if not mhz:
        sys.exit("compute_added: this machine does not say how fast its core is clocked.")
    return float(mhz)


async def measure(analysis: Analysis) -> tuple[list[Row], Table]:
    share = METER_MHZ / core_mhz()
    meter = Limits(cpu_ratio=share, memory_bytes=TWIN.memory_bytes)
    rounds = [
        (await analysis.figures(meter), await analysis.figures(TWIN)) for _ in range(ROUNDS_COUNT)
    ]
    own = rounds[0][1]
    assert {figures["cost"] for pair in rounds for figures in pair} == {own["cost"]}
    year_s, month_s = [_least(rounds, name) for name in ("year_s", "month_s")]
    assert TWIN.memory_bytes is not None
    least_bytes = await analysis.least_bytes(TWIN.memory_bytes)
    smallest = await analysis.run(Limits(memory_bytes=LEAST_BYTES))
    rows = [
        row("year validated and billed, a twin's container", 0.5, year_s[1], "s"),
        row("the same on a meter's share of the clock", 100.0, year_s[0], "s"),
        row("a year's bills: meter's time, times the twin's", *_ratio(year_s), is_most=False),
        row("a month's validation: meter's time, times", *_ratio(month_s), is_most=False),
        row(
            "the year's table, times the RAM of a meter",
            1.0,
            own["table_bytes"] / METER_RAM_BYTES,
            "times",
            is_most=False,
        ),
        row("least memory in which the analysis ran", 128.0, least_bytes / MIB, "MiB"),
        row(
            "ended for want of memory at the least limit, 8 MiB",
            1.0,
            float(smallest.status is not None and smallest.status.was_out_of_memory),
            "",
            is_most=False,
        ),
    ]
    table = Table("", f"meter: {share:.1%} of a core", "twin: one core")
    table.add_row("a year validated and billed", *(f"{each:.3f} s" for each in year_s))
    table.add_row("a month validated", *(f"{each * 1000:.1f} ms" for each in month_s))
    table.add_row("RAM for the year's table", "256 KiB", f"{own['table_bytes'] / 1024:.0f} KiB")
    table.add_row("memory", f"8 MiB: {smallest.words}", f"runs in {least_bytes / MIB:.0f} MiB")
    return rows, table


def _least(rounds: list[tuple[dict[str, Any], dict[str, Any]]], name: str) -> list[float]:
    """Return the least time of each side: others may be at work on the same cores."""
    return [min(pair[side][name] for pair in rounds) for side in (0, 1)]


def _ratio(both_s: list[float]) -> tuple[float, float, str]:
    return GOAL_RATIO, both_s[0] / both_s[1], "times"


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        root, home = Path(directory) / "site", Path(directory) / "program"
        (home / "benchmarks").mkdir(parents=True)
        for name in FILES:
            text = Path(__file__).with_name(name).read_text()
            (home / "benchmarks" / name).write_text(text)
        async with engine(root) as containers:
            rows, table = await measure(Analysis(containers, home))
    if "--json" in sys.argv:
        print(json.dumps(rows))
    else:
        Console().print(table)
        for each in rows:
            print(each)


if __name__ == "__main__":
    uvloop.run(main())
