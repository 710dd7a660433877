"""Another image for a running site's twins: promoted when it is as good, taken back when not."""

import asyncio
import os
import signal

import pytest
from tests.fleet.rollout.conftest import (
    LONG_DAYS,
    METERS_COUNT,
    NEW,
    OLD,
    Street,
    plan,
)

from metertwin.bus.subjects import Kind
from metertwin.cli.commands.rollout import plain_result
from metertwin.cli.demo.report import is_balanced, readings_of
from metertwin.fleet.rollout.plan import Outcome
from metertwin.fleet.rollout.rollout import NoWayBackError
from metertwin.fleet.runtimes.errors import ImageMissingError
from metertwin.fleet.runtimes.port import Phase

pytestmark = pytest.mark.fault


async def test_an_image_as_good_is_promoted_and_nobody_notices(street: Street) -> None:
    await street.image("metertwin:next")
    asking = asyncio.create_task(street.probe.ask_at_rate(100.0))
    async with street.rollout() as rollout:
        result = await rollout.run(plan("metertwin:next"))
    asking.cancel()
    assert (result.outcome, street.probe.failed_count) == (Outcome.PROMOTED, 0), result.reason
    assert len(street.probe.latencies_ms) > 100
    assert [each.count for each in result.rehearsed] == [0]
    assert await street.host() == NEW
    old, new = (
        await street.containers.status("twin-host"),
        await street.containers.status("twin-host-2"),
    )
    assert (old.phase, new.phase, new.image) == (Phase.EXITED, Phase.RUNNING, "metertwin:next")
    assert await street.containers.runtime.has_image(street.containers.image)
    await street.site.stop_gateways()
    async with asyncio.timeout(30):
        while True:
            tallies = [await street.probe.tally(kind) for kind in (Kind.REQUEST, Kind.HISTORY)]
            if is_balanced(readings_of(*tallies)):
                break
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("street", [LONG_DAYS], indirect=True)
async def test_bills_that_would_change_are_shown_and_nothing_is_begun(street: Street) -> None:
    await street.image(
        "metertwin:dearer",
        "from metertwin.apps.tariff.app import app as module",
        "def dearer(said):",
        "    def call(self, view):",
        "        told = said(self, view)",
        "        for output in told.outputs:",
        "            if output.name == 'bill':",
        "                output.value['total'] = '999.99'",
        "        return told",
        "    return call",
        "module.TariffApp.on_intervals = dearer(module.TariffApp.on_intervals)",
        "module.TariffApp.on_time = dearer(module.TariffApp.on_time)",
    )
    async with street.rollout() as rollout:
        result = await rollout.run(plan("metertwin:dearer"))
    assert result.outcome is Outcome.NOT_BEGUN
    (rehearsed,) = result.rehearsed
    assert rehearsed.count == METERS_COUNT  # one bill each: last month's
    assert f"shows {METERS_COUNT} differences, at most 0 are accepted" in result.reason
    told = plain_result(result)["rehearsed"]
    assert told[0]["difference"]["changed_outputs"][0]["after"]["total"] == "999.99"  # type: ignore[index] # plain JSON
    assert await street.host() == OLD
    assert (await street.containers.status("twin-host-2")).phase is Phase.ABSENT


async def test_an_image_that_crashes_at_its_start_changes_nothing(street: Street) -> None:
    await street.image(
        "metertwin:crash", "if 'twin-host' in sys.argv: sys.exit('cannot begin: no such luck')"
    )
    async with street.rollout() as rollout:
        result = await rollout.run(plan("metertwin:crash"))
    assert result.outcome is Outcome.NOT_BEGUN
    assert "twin-host-2 ends again and again: cannot begin: no such luck" in result.reason
    assert await street.host() == OLD
    assert (await street.probe.in_step()).twins == METERS_COUNT + 1


async def test_a_host_that_dies_while_it_is_watched_is_taken_back(street: Street) -> None:
    await street.image("metertwin:fragile")

    async def kill_when_it_owns() -> None:
        while await street.host() != NEW:  # noqa: ASYNC110 - the bus's
            await asyncio.sleep(0.05)
        pid = (await street.containers.status("twin-host-2")).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    killing = asyncio.create_task(kill_when_it_owns())
    async with street.rollout() as rollout:
        result = await rollout.run(plan("metertwin:fragile", watch_s=20.0))
    await killing
    assert result.outcome is Outcome.ROLLED_BACK, result.reason
    assert await street.host() == OLD
    async with asyncio.timeout(20):
        while (await street.probe.in_step()).in_step < METERS_COUNT + 1:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.1)


async def test_an_image_whose_apps_break_is_taken_back(street: Street) -> None:
    # It rehearses as the old one does, and breaks in a host: there alone apps are asked for time.
    await street.image(
        "metertwin:broken",
        "from metertwin.apps.tariff.app import app as module",
        "def broken(self, view): raise ValueError('no more')",
        "if 'twin-host' in sys.argv: module.TariffApp.on_intervals = broken",
        "if 'twin-host' in sys.argv: module.TariffApp.on_time = broken",
    )
    async with street.rollout() as rollout:
        result = await rollout.run(plan("metertwin:broken", watch_s=20.0))
    assert result.outcome is Outcome.ROLLED_BACK, result.reason
    assert "does not run tariff" in result.reason
    assert await street.host() == OLD


async def test_without_an_old_host_to_go_back_to_the_new_one_serves_on(street: Street) -> None:
    is_ill = street.containers.root / "is-ill"
    await street.image(
        "metertwin:ailing",
        "from pathlib import Path",
        "from metertwin.apps.tariff.app import app as module",
        "right = module.TariffApp.on_time",
        "def ailing(self, view):",
        f"    if Path({str(is_ill)!r}).exists(): raise ValueError('no more')",
        "    return right(self, view)",
        "module.TariffApp.on_time = ailing",
    )

    async def roll_out() -> None:
        async with street.rollout() as rollout:
            await rollout.run(plan("metertwin:ailing", watch_s=60.0))

    rolling = asyncio.create_task(roll_out())
    await street.until_said("watching the canary")
    await street.containers.stop("twin-host")
    is_ill.touch()
    with pytest.raises(NoWayBackError, match=r"feeder-1 cannot go back to demo-twin-host, which"):
        await rolling
    assert await street.host() == NEW
    assert (await street.ask("host"))["host"] == NEW


async def test_an_image_that_is_not_here_is_named(street: Street) -> None:
    async with street.rollout() as rollout:
        with pytest.raises(ImageMissingError, match="no image metertwin:nowhere in process at"):
            await rollout.run(plan("metertwin:nowhere"))
