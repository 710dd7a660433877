"""A running site with one group of a few meters, whose twins are given other images."""

import asyncio
import contextlib
import sys
import textwrap
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from metertwin.bus.connection import Bus, connect
from metertwin.bus.credentials import Role, seed_path
from metertwin.bus.messages import Request
from metertwin.bus.requests import ask
from metertwin.bus.server import free_port
from metertwin.bus.subjects import Kind, subject
from metertwin.cli.demo.plan import DemoOptions, fresh_state, site_of
from metertwin.cli.demo.probe import Probe
from metertwin.core.errors import NotFoundError
from metertwin.core.ids import GroupId, lot_of
from metertwin.fleet.local.containers import Containers
from metertwin.fleet.local.launch import LocalSite
from metertwin.fleet.moves.moving import mover_for
from metertwin.fleet.rollout.plan import RolloutPlan
from metertwin.fleet.rollout.rolling import rollout_for
from metertwin.fleet.rollout.rollout import Rollout
from metertwin.fleet.runtimes.choose import RuntimeChoice
from metertwin.fleet.runtimes.process.runtime import ProcessRuntime
from metertwin.fleet.site import site_clock

METERS_COUNT = 4
SHORT_DAYS, LONG_DAYS = 2, 62  # two months hold the whole of last month on any day
A_DAY_READINGS_COUNT = (METERS_COUNT + 1) * 96 * 4  # quarter hours of four registers
GROUP = GroupId("feeder-1")
OLD, NEW = "demo-twin-host", "demo-twin-host-2"


@dataclass
class Street:
    site: LocalSite
    containers: Containers
    bus: Bus
    probe: Probe
    said: list[str] = field(default_factory=list)

    busy_file: Path = Path()

    async def until_said(self, words: str) -> None:
        """Return when the rollout said some words."""
        async with asyncio.timeout(60):
            while not any(words in line for line in self.said):  # noqa: ASYNC110 - the rollout's
                await asyncio.sleep(0.02)

    async def ask(self, name: str) -> dict[str, Any]:
        """Ask the group."""
        to = subject(GROUP, Kind.REQUEST)
        return await ask(self.bus, to, Request(name), 5.0, dict[str, Any])

    async def image(self, reference: str, *lines: str) -> None:
        """Make an image known: MeterTwin after some lines of its own."""
        await add_image(self.containers, reference, *lines)

    @contextlib.asynccontextmanager
    async def rollout(self) -> AsyncIterator[Rollout]:
        site = self.site
        groups = (lot_of(GROUP, 0),)
        async with rollout_for(
            site.state, site.settings, groups, self.containers, self.said.append
        ) as rollout:
            yield rollout

    async def host(self) -> str:
        site = self.site
        async with mover_for(site.state, site.settings, GROUP, lambda _: None) as mover:
            return (await mover.owner_of(GROUP))[0]


async def add_image(containers: Containers, reference: str, *lines: str) -> None:
    """Make an image known: MeterTwin after some lines of its own."""
    script = containers.root / f"{reference.replace(':', '-')}.py"
    source = "\n".join(lines) + "\nfrom metertwin.cli.main import main\nsys.exit(main())\n"
    script.write_text(f"import sys\n{textwrap.dedent(source)}")
    runtime = containers.runtime
    assert isinstance(runtime, ProcessRuntime)
    await runtime.add_image(reference, (sys.executable, str(script)))


@pytest.fixture
async def street(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Street]:
    async with _street(tmp_path, getattr(request, "param", SHORT_DAYS)) as street:
        yield street


@pytest.fixture
async def busy_street(tmp_path: Path) -> AsyncIterator[Street]:
    """A street whose tariff app says to a rollout what its `busy_file` holds, in Python."""
    file = tmp_path / "busy"
    lines = (
        "from pathlib import Path",
        "from metertwin.apps.app import NotNow",
        "from metertwin.apps.tariff.app import app as module",
        f"file = Path({str(file)!r})",
        "def not_now(self, view): return eval(file.read_text()) if file.exists() else None",
        "module.TariffApp.not_now = not_now",
    )
    async with _street(tmp_path, SHORT_DAYS, *lines) as street:
        street.busy_file = file
        yield street


@contextlib.asynccontextmanager
async def _street(root: Path, past_days: int, *lines: str) -> AsyncIterator[Street]:
    """A street at work, from an image with some lines of its own if there are any."""
    options = DemoOptions(
        *(METERS_COUNT, 60.0, None, free_port(), "none", None, root / "site", 1),
        past_days=past_days,
    )
    state = fresh_state(options.state)
    containers = await Containers.open(RuntimeChoice.PROCESS, state.root)
    if lines:
        containers.image = "metertwin:busy"
        await add_image(containers, containers.image, *lines)
    site = LocalSite(state, site_of(options), containers, lambda _: None)
    try:
        await site.start()
        seed = seed_path(state.bus_seeds, Role.CLIENT)
        bus = await connect(site.settings.bus_url, seed, "test")
        probe = Probe(bus, site_clock(site.settings), site.settings.groups)
        async with asyncio.timeout(60):
            while (facts := await probe.in_step()).in_step < facts.twins:  # noqa: ASYNC110 - the site's
                await asyncio.sleep(0.1)
            while await _stored(probe) < past_days * A_DAY_READINGS_COUNT:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.1)
        yield Street(site, containers, bus, probe)
        await bus.close()
    finally:
        await containers.clear()
        await containers.close()


async def _stored(probe: Probe) -> int:
    try:
        return (await probe.tally(Kind.HISTORY)).taken
    except NotFoundError:  # the group's first reading is still on its way
        return 0


def plan(image: str, watch_s: float = 2.0, postpone_most_s: float = 900.0) -> RolloutPlan:
    return RolloutPlan(
        groups=(lot_of(GROUP, 0),), image=image, watch_s=watch_s, postpone_most_s=postpone_most_s
    )
