"""Whatever dies, for however long: the ledger balances, nothing is lost, nothing is doubled."""

import asyncio
import contextlib
import itertools
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb
import msgspec
import pytest

from metertwin.bus.connection import Bus, connect
from metertwin.bus.credentials import Role, seed_path
from metertwin.bus.messages import Request
from metertwin.bus.requests import ask
from metertwin.bus.server import free_port
from metertwin.bus.subjects import Kind, subject
from metertwin.cli.demo.plan import DemoOptions, fresh_state, site_of
from metertwin.cli.demo.probe import Probe, Tally
from metertwin.cli.demo.report import is_balanced, readings_of
from metertwin.core.errors import InvalidInputError, MeterTwinError, NotFoundError
from metertwin.core.twin import AnswerSource, LoadProfile
from metertwin.fleet.local.containers import Containers
from metertwin.fleet.local.launch import LocalSite
from metertwin.fleet.runtimes.choose import RuntimeChoice
from metertwin.fleet.site import site_clock

pytestmark = pytest.mark.fault

METERS_COUNT = 20
SPEED_RATIO = 300.0  # an interval every 3 s, a poll a second
IN_STEP_WITHIN_S = 60.0
BALANCED_WITHIN_S = 90.0


@dataclass
class RunningSite:
    """A site in step, and a client's view of it."""

    site: LocalSite
    bus: Bus
    probe: Probe

    async def kill(self, name: str) -> None:
        """End a process as a crash would; it is started again."""
        os.kill(await self.pid(name), signal.SIGKILL)

    async def freeze(self, name: str, *, is_frozen: bool) -> None:
        """Stop a process where it stands, or let it go on."""
        os.kill(await self.pid(name), signal.SIGSTOP if is_frozen else signal.SIGCONT)

    async def pid(self, name: str) -> int:
        pid = (await self.site.containers.status(name)).pid
        assert pid is not None, f"{name} is not running"
        return pid

    async def until_restarted(self, name: str, count: int) -> None:
        async with asyncio.timeout(30):
            while True:
                status = await self.site.containers.status(name)
                if status.restart_count >= count and status.pid is not None:
                    return
                await asyncio.sleep(0.05)

    async def received(self) -> int:
        return (await self.probe.tally(Kind.REQUEST)).received

    async def until_received(self, more_than: int) -> int:
        """Return once the twins received more than that many readings."""
        async with asyncio.timeout(BALANCED_WITHIN_S):
            while True:
                try:
                    received = await self.received()
                except MeterTwinError:
                    received = 0  # the host is on its way back
                if received > more_than:
                    return received
                await asyncio.sleep(0.1)

    async def balance(self) -> tuple[Tally, Tally]:
        """Stop the gateway, wait until all arrived, and return both ledgers."""
        await self.site.containers.stop("gateway")
        twins = recorder = Tally()
        try:
            async with asyncio.timeout(BALANCED_WITHIN_S):
                while True:
                    try:
                        twins = await self.probe.tally(Kind.REQUEST)
                        recorder = await self.probe.tally(Kind.HISTORY)
                    except MeterTwinError:
                        twins = recorder = Tally()
                    if is_balanced(readings_of(twins, recorder)):
                        return twins, recorder
                    await asyncio.sleep(0.1)
        except TimeoutError:
            pytest.fail(f"The ledger does not balance: twins {twins}, recorder {recorder}.")


@pytest.fixture
async def running_site(tmp_path: Path) -> AsyncIterator[RunningSite]:
    options = DemoOptions(
        meters_count=METERS_COUNT,
        speed_ratio=SPEED_RATIO,
        for_s=None,
        api_port=free_port(),
        security="high",
        scenario=None,
        state=tmp_path / "site",
        seed=7,
        past_days=2,
    )
    state = fresh_state(options.state)
    settings = msgspec.structs.replace(site_of(options), poll_s=SPEED_RATIO)
    containers = await Containers.open(RuntimeChoice.PROCESS, state.root)
    site = LocalSite(state, settings, containers, lambda _what: None)
    try:
        await site.start()
        seed = seed_path(state.bus_seeds, Role.CLIENT)
        bus = await connect(site.settings.bus_url, seed, "test")
        probe = Probe(bus, site_clock(site.settings), site.settings.groups)
        await _until_in_step(probe)
        yield RunningSite(site, bus, probe)
        await bus.close()
    finally:
        await containers.clear()
        await containers.close()


async def _until_in_step(probe: Probe) -> None:
    async with asyncio.timeout(IN_STEP_WITHIN_S):
        while True:
            facts = await probe.in_step()
            if facts.in_step == facts.twins > 0:
                return
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("name", ["gateway", "twin-host", "recorder", "bus", "simulate", "api"])
async def test_a_process_killed_under_load_loses_and_doubles_nothing(
    running_site: RunningSite,
    name: str,
) -> None:
    before = await running_site.received()
    for count in (1, 2):
        await running_site.kill(name)
        await running_site.until_restarted(name, count)
        before = await running_site.until_received(before + 1_000)
    twins, recorder = await running_site.balance()
    assert is_balanced(readings_of(twins, recorder))
    await running_site.site.containers.stop("recorder")  # a store has one owner
    assert _rows_and_keys(running_site) == (recorder.taken, recorder.taken)


async def test_a_recorder_that_stands_still_catches_up(
    running_site: RunningSite,
) -> None:
    await running_site.freeze("recorder", is_frozen=True)
    before = await running_site.received()
    await running_site.until_received(before + 10_000)
    await running_site.freeze("recorder", is_frozen=False)
    twins, recorder = await running_site.balance()
    assert is_balanced(readings_of(twins, recorder))


async def test_a_load_profile_is_answered_without_a_hole(running_site: RunningSite) -> None:
    group = running_site.site.settings.groups[0]
    to = subject(group.id, Kind.REQUEST, group.meters[0])
    now = running_site.probe.clock.now()
    span: dict[str, object] = {"start": now - timedelta(hours=1), "end": now + timedelta(days=1)}

    async def load_profile(**more: object) -> LoadProfile:
        arguments = {**span, **more}
        return await ask(
            running_site.bus, to, Request("load_profile", arguments), 10.0, LoadProfile
        )

    async with asyncio.timeout(60):
        while True:  # three intervals, and the recorder has them
            with contextlib.suppress(NotFoundError):
                profile = await load_profile()
                if all(len(series.values) >= 3 for series in profile.series):
                    break
            await asyncio.sleep(0.2)
    assert {series.obis for series in profile.series} == {
        f"1-0:{quantity}.8.0*255" for quantity in (1, 2, 3, 4)
    }
    for series in profile.series:
        gaps = {b - a for a, b in itertools.pairwise(series.captured_at)}
        assert gaps == {timedelta(seconds=series.period_s)} == {timedelta(minutes=15)}
        assert series.values == sorted(series.values)
    fresh = await ask(
        running_site.bus,
        to,
        Request("load_profile", {**span, "obis": "1-0:1.8.0*255"}, max_age_s=0.0),
        10.0,
        LoadProfile,
    )
    assert (fresh.source, len(fresh.series)) == (AnswerSource.METER, 1)
    with pytest.raises(InvalidInputError, match="not after its start"):
        await load_profile(end=span["start"])
    with pytest.raises(NotFoundError, match=r"has no 1-0:99\.8\.0"):
        await load_profile(obis="1-0:99.8.0*255")


def _rows_and_keys(running_site: RunningSite) -> tuple[int, int]:
    """Return rows and distinct (meter, register, captured_at) of the store, its owner ended."""
    path = str(running_site.site.home("recorder").history_file)
    with duckdb.connect(path, read_only=True) as store:
        rows = store.execute("SELECT count(*) FROM readings").fetchone()
        keys = store.execute(
            "SELECT count(*) FROM (SELECT DISTINCT meter_id, register_id, captured_at_us "
            "FROM readings)"
        ).fetchone()
    assert rows is not None
    assert keys is not None
    return rows[0], keys[0]
