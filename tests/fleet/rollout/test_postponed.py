"""Apps say "not now": the rollout waits, says why, and goes on when their time is over."""

import asyncio
import os
import signal

import msgspec
import pytest
from tests.fleet.rollout.conftest import GROUP, NEW, OLD, Street, plan

from metertwin.cli.commands.rollout import plain_result
from metertwin.core.ids import lot_of
from metertwin.fleet.rollout.plan import Outcome, RolloutPlan, RolloutResult
from metertwin.fleet.rollout.postponed import PostponedUntil, Postponement

pytestmark = pytest.mark.fault

SAYS_NOT_NOW = "tariff of feeder-1 says not now: issuing bills"

MORE_EACH_TIME = "1.5 ** (vars(module).setdefault('asked', []).append(1) or len(module.asked))"


async def rolled_out(street: Street, wanted: RolloutPlan) -> RolloutResult:
    await street.containers.runtime.tag(street.containers.image, wanted.image)
    async with street.rollout() as rollout:
        return await rollout.run(wanted)


def only(result: RolloutResult) -> Postponement:
    (postponed,) = result.postponed
    assert (postponed.group, postponed.app) == (lot_of(GROUP, 0), "tariff")
    return postponed


async def test_a_rollout_waits_until_the_app_is_done(busy_street: Street) -> None:
    street = busy_street
    street.busy_file.write_text("NotNow('issuing bills', 600)")
    asking = asyncio.create_task(street.probe.ask_at_rate(50.0))
    rolling = asyncio.create_task(rolled_out(street, plan("metertwin:next", watch_s=0.5)))
    await street.until_said(SAYS_NOT_NOW + "; 600 s at most")
    assert await street.host() == OLD
    street.busy_file.unlink()
    result = await rolling
    asking.cancel()
    assert (result.outcome, street.probe.failed_count) == (Outcome.PROMOTED, 0), result.reason
    assert await street.host() == NEW
    postponed = only(result)
    assert (postponed.limit_s, postponed.until) == (600.0, PostponedUntil.DONE)
    assert result.reason == "1 groups run from metertwin:next at demo-twin-host-2."
    told = plain_result(result)["postponed"]
    assert msgspec.json.decode(msgspec.json.encode(told)) == [
        {
            "group": "feeder-1",
            "app": "tariff",
            "reason": "issuing bills",
            "limit_s": 600.0,
            "waited_s": postponed.waited_s,
            "until": "done",
        }
    ]


@pytest.mark.parametrize(
    ("for_s", "most_s", "until"),
    [
        (MORE_EACH_TIME, 900.0, PostponedUntil.ITS_LIMIT),
        ("1e9", 1.5, PostponedUntil.ROLLOUTS_LIMIT),
    ],
    ids=["the app's first", "the rollout's"],
)
async def test_a_rollout_goes_on_when_a_limit_is_reached(
    busy_street: Street, for_s: str, most_s: float, until: PostponedUntil
) -> None:
    busy_street.busy_file.write_text(f"NotNow('issuing bills', {for_s})")
    wanted = plan("metertwin:next", watch_s=0.5, postpone_most_s=most_s)
    result = await rolled_out(busy_street, wanted)
    assert result.outcome is Outcome.PROMOTED, result.reason
    assert "Still saying not now were tariff of feeder-1 after " in result.reason
    assert only(result).until is until
    assert only(result).waited_s >= 1.5
    assert [line for line in busy_street.said if SAYS_NOT_NOW in line] == [
        f"{SAYS_NOT_NOW}; 2 s at most"
    ]
    assert await busy_street.host() == NEW


async def test_an_app_that_breaks_is_not_waited_for_and_warned_of(busy_street: Street) -> None:
    busy_street.busy_file.write_text("1 / 0")
    result = await rolled_out(busy_street, plan("metertwin:next", watch_s=0.5))
    assert (result.outcome, result.postponed) == (Outcome.PROMOTED, []), result.reason
    (warning,) = [line for line in busy_street.said if line.startswith("warning: ")]
    assert "App tariff broke in not_now: ZeroDivisionError" in warning


async def test_a_new_host_that_dies_while_an_app_is_waited_for_ends_the_rollout(
    busy_street: Street,
) -> None:
    street = busy_street
    street.busy_file.write_text("NotNow('issuing bills', 600)")
    rolling = asyncio.create_task(rolled_out(street, plan("metertwin:next")))
    await street.until_said(SAYS_NOT_NOW)
    pid = (await street.containers.status("twin-host-2")).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    result = await rolling
    assert result.outcome is Outcome.NOT_BEGUN, result.reason
    assert "twin-host-2 is " in result.reason
    assert only(result).until is PostponedUntil.ROLLOUTS_END
    assert await street.host() == OLD
