"""A cloud and an edge with two groups of a few meters, shared by the tests that control them."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from metertwin.bus.connection import connect
from metertwin.bus.credentials import Role, seed_path
from metertwin.bus.server import free_port
from metertwin.bus.subjects import Kind
from metertwin.cli.demo.plan import DemoOptions, fresh_state, site_of
from metertwin.cli.demo.probe import Probe
from metertwin.cli.demo.report import is_balanced, readings_of
from metertwin.core.errors import DeadlineError, NotFoundError, UnavailableError
from metertwin.core.ids import LotId, SiteId
from metertwin.fleet.control.reach import Reach, reach_of
from metertwin.fleet.control.standing import FleetStanding, standing_of
from metertwin.fleet.local.containers import Containers
from metertwin.fleet.local.sites import LocalSites
from metertwin.fleet.runtimes.choose import RuntimeChoice
from metertwin.fleet.runtimes.process.runtime import ProcessRuntime
from metertwin.fleet.site import site_clock

METERS_COUNT = 4
GROUP_METERS_COUNT = 2
PAST_DAYS = 2  # a rehearsal needs some
# Quarter hours of four registers, of the meters and of the two feeders' transformers.
PAST_READINGS_COUNT = PAST_DAYS * (METERS_COUNT + 2) * 96 * 4
TERM_S = 1


@dataclass
class Program:
    """A controller, or a rollout by hand, as a process of its own, and what it said."""

    process: asyncio.subprocess.Process
    said: list[str] = field(default_factory=list)
    _seen_count: int = 0
    _has_more: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._listening = asyncio.create_task(self._listen())

    async def until_said(self, pattern: str, within_s: float = 40.0) -> str:
        """Return the next line that fits."""
        async with asyncio.timeout(within_s):
            while True:
                while self._seen_count < len(self.said):
                    line = self.said[self._seen_count]
                    self._seen_count += 1
                    if re.search(pattern, line):
                        return line
                assert not self._listening.done(), f"it ended: {''.join(self.said)}"
                self._has_more.clear()
                await self._has_more.wait()

    async def listened(self) -> None:
        """Return when all that was said is in `said`."""
        await self._listening

    async def end(self) -> int:
        """Tell it to end and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            return await self.process.wait()

    async def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        await self.process.wait()
        await self._listening

    async def _listen(self) -> None:
        assert self.process.stderr is not None
        while line := (await self.process.stderr.readline()).decode():
            self.said.append(line)
            self._has_more.set()
        self._has_more.set()


@dataclass
class Fleet:
    """A running fleet."""

    root: Path
    programs: list[Program] = field(default_factory=list)

    def file(self, *lines: str) -> Path:
        """Write a fleet file whose rollouts are short."""
        path = self.root / "fleet.yaml"
        path.write_text("\n".join(["version: 1", "rollout: {watch_s: 0.5}", *lines]) + "\n")
        return path

    async def start(self, *arguments: str) -> Program:
        """Start `metertwin apply` with arguments."""
        return await self.begin("apply", *arguments)

    async def begin(self, *command: str) -> Program:
        """Start a command of `metertwin` that takes the fleet or a site in hand."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "metertwin.cli", *command),
            *("--state", str(self.root), "--term", str(TERM_S)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "NO_COLOR": "1"},
        )
        self.programs.append(Program(process))
        return self.programs[-1]

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command of `metertwin`; return its exit code, output and progress."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "metertwin.cli", *arguments, "--state", str(self.root)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            out, said = await process.communicate()
        return process.returncode or 0, out.decode(), said.decode()

    async def image(self, reference: str, *lines: str) -> None:
        """Make an image known: MeterTwin after some lines of its own."""
        script = self.root / f"{reference.replace(':', '-')}.py"
        end = ("from metertwin.cli.main import main", "sys.exit(main())")
        script.write_text("\n".join(["import sys", *lines, *end]) + "\n")
        async with self.reach() as reach:
            runtime = reach.containers.runtime
            assert isinstance(runtime, ProcessRuntime)
            await runtime.add_image(reference, (sys.executable, str(script)))

    async def kill_host(self, host: str) -> None:
        """Kill the process of an edge's twin host; its keeper starts it again."""
        async with self.reach() as reach:
            pid = (await reach.containers.status(host)).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    async def standing(self) -> FleetStanding:
        """Return what `metertwin status --json` says, without a process."""
        async with self.reach() as reach:
            return await standing_of(reach)

    async def until_reached(self, revision: int = 0, within_s: float = 40.0) -> FleetStanding:
        """Return the standing once nothing is lacking, under a revision if one is given."""
        async with self.reach() as reach, asyncio.timeout(within_s):
            while True:
                with contextlib.suppress(UnavailableError, DeadlineError):
                    standing = await standing_of(reach)
                    if standing.is_reached and standing.revision >= revision:
                        return standing
                await asyncio.sleep(0.1)

    async def until_balanced(self, within_s: float = 40.0) -> None:
        """Return once more was received than now, and all of it was applied and stored."""
        async with self.reach() as reach, asyncio.timeout(within_s):
            seed = seed_path(reach.state.bus_seeds, Role.CLIENT)
            bus = await connect(reach.site.bus_url, seed, "test")
            probe = Probe(bus, site_clock(reach.site), reach.site.all_groups)
            received_count: int | None = None
            while True:
                with contextlib.suppress(UnavailableError, DeadlineError):
                    readings = readings_of(
                        await probe.tally(Kind.REQUEST), await probe.tally(Kind.HISTORY)
                    )
                    if received_count is None:
                        received_count = readings["received"]
                    if readings["received"] > received_count and is_balanced(readings):
                        break
                await asyncio.sleep(0.1)
            await bus.close()

    @contextlib.asynccontextmanager
    async def reach(self) -> AsyncIterator[Reach]:
        async with reach_of(self.root, lambda _: None) as reach:
            yield reach

    @contextlib.asynccontextmanager
    async def asked(self, per_s: float = 20.0) -> AsyncIterator[Probe]:
        """Ask all the time, as a client in the cloud does."""
        async with self.reach() as reach:
            seed = seed_path(reach.state.bus_seeds, Role.CLIENT)
            bus = await connect(reach.site.bus_url, seed, "test")
            probe = Probe(bus, site_clock(reach.site), reach.site.all_groups)
            asking = asyncio.create_task(probe.ask_at_rate(per_s))
            try:
                yield probe
            finally:
                asking.cancel()
                await bus.close()

    async def owned(self) -> dict[str, list[LotId]]:
        """Return what each twin host owns that answers, by itself; no group is two hosts'."""
        owned: dict[str, list[LotId]] = {}
        async with self.reach() as reach:
            for part in sorted(await self.up()):
                site = next(site for site in reach.known.sites if part.startswith(site))
                with contextlib.suppress(UnavailableError, DeadlineError):  # it is being ended
                    owned[part] = list((await reach.standing(site, part)).owned)
        groups = [group for each in owned.values() for group in each]
        assert len(set(groups)) == len(groups), owned
        return owned

    async def until_nobody_waits(self) -> None:
        """Return when who asked during a hand-over was passed on, as far as hosts still run."""
        async with self.reach() as reach, asyncio.timeout(20):
            for part in await self.up():
                site = next(site for site in reach.known.sites if part.startswith(site))
                while (await reach.standing(site, part)).leaving:  # noqa: ASYNC110 - the host's
                    await asyncio.sleep(0.1)

    async def hosts(self) -> dict[str, str | None]:
        """Return the owner of each group."""
        return {group.group: group.host for group in (await self.standing()).groups}

    async def up(self) -> set[str]:
        """Return the twin hosts whose processes run."""
        async with self.reach() as reach:
            statuses = await reach.containers.statuses()
        return {
            name for name, each in statuses.items() if "twin-host" in name and each.pid is not None
        }


@contextlib.contextmanager
def started(options: DemoOptions, group_size: int | None = None) -> Iterator[Fleet]:
    """Start a cloud with one edge as processes, and know its image under another name as well."""
    root, state = options.state, fresh_state(options.state)
    settings = site_of(options)
    assert settings.simulation is not None
    if group_size is not None:
        street = msgspec.structs.replace(settings.simulation, group_size=group_size)
        settings = msgspec.structs.replace(settings, simulation=street)

    async def start() -> Containers:
        containers = await Containers.open(RuntimeChoice.PROCESS, root)
        containers.remember(root)
        edges = (SiteId("edge1"),)
        await LocalSites(state, settings, containers, lambda _: None, edges).start()
        await containers.runtime.tag(containers.image, "metertwin:next")
        return containers

    containers = asyncio.run(start())
    try:
        yield Fleet(root)
    finally:
        asyncio.run(containers.clear())
        asyncio.run(containers.close())


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state directory of a cloud with one edge whose two groups are in step."""
    root = tmp_path_factory.mktemp("fleet") / "cloud"
    options = DemoOptions(
        *(METERS_COUNT, 60.0, None, free_port(), "none", None, root, 1),
        past_days=PAST_DAYS,
        edges_count=1,
    )
    with started(options, GROUP_METERS_COUNT) as fleet:
        asyncio.run(until_hosted(fleet))
        yield root


async def until_hosted(fleet: Fleet) -> None:
    """Return once all twins are in step and their past is stored."""
    async with fleet.reach() as reach, asyncio.timeout(60):
        while True:
            groups = (await standing_of(reach)).groups
            if groups and all(group.twins == group.in_step for group in groups):
                break
            await asyncio.sleep(0.1)
        seed = seed_path(reach.state.bus_seeds, Role.CLIENT)
        bus = await connect(reach.site.bus_url, seed, "test")
        probe = Probe(bus, site_clock(reach.site), reach.site.all_groups)
        while await _stored(probe) < PAST_READINGS_COUNT:  # noqa: ASYNC110 - the recorder's
            await asyncio.sleep(0.1)
        await bus.close()


async def _stored(probe: Probe) -> int:
    try:
        return (await probe.tally(Kind.HISTORY)).taken
    except NotFoundError:  # a group's first reading is still on its way
        return 0


@pytest.fixture
async def fleet(running: Path) -> AsyncIterator[Fleet]:
    """The fleet; controllers a test began are ended after it."""
    fleet = Fleet(running)
    yield fleet
    for program in fleet.programs:
        await program.kill()
