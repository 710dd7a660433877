"""An image that answers wrongly, or not at all, is shut out or taken back."""

import asyncio

import pytest
from tests.fleet.rollout.conftest import LONG_DAYS, METERS_COUNT, OLD, Street, plan

from metertwin.fleet.rollout.plan import Outcome
from metertwin.fleet.runtimes.port import Phase

pytestmark = pytest.mark.fault

PATCHES = "from metertwin.twins.read_requests import ReadRequests as Requests"
# As a twin host only: a rehearsal answers no requests.
AS_HOST = "if 'twin-host' in sys.argv: Requests.{request} = wrong"

ERRORS = (
    "from metertwin.core.errors import NotFoundError",
    "async def wrong(self, *asked): raise NotFoundError('no such thing')",
    AS_HOST.format(request="usage_now"),
)
GARBAGE = (
    "async def wrong(self, *asked): return {'what': 'is this'}",
    AS_HOST.format(request="ledger"),
)
BREAKS = (
    "async def wrong(self, *asked): return 1 / 0",
    AS_HOST.format(request="twin"),
)
OTHER_VALUES = (
    "from dataclasses import replace",
    "right = Requests.twin",
    "async def wrong(self, *asked):",
    "    told = await right(self, *asked)",
    "    return replace(told, reported={",
    "        name: replace(each, value=each.value + 1) for name, each in told.reported.items()})",
    AS_HOST.format(request="twin"),
)
LOST_VALUES = (
    "from dataclasses import replace",
    "right = Requests.twin",
    "async def wrong(self, *asked): return replace(await right(self, *asked), reported={})",
    AS_HOST.format(request="twin"),
)
AN_APP_BREAKS = (
    "from metertwin.apps.tariff.app import app as module",
    "def wrong(self, *asked): raise ValueError('no more')",
    "if 'twin-host' in sys.argv: module.TariffApp.answer = wrong",
)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (ERRORS, "from the new image with an error: no such thing"),
        (GARBAGE, "answered ledger before, and from the new image with an error: Answer of "),
        (BREAKS, "answered twin of meter "),
        (OTHER_VALUES, "of the same moment."),
        (LOST_VALUES, "; the new image answers nothing."),
        (AN_APP_BREAKS, "App tariff broke in answering "),
    ],
    ids=["errors", "garbage", "breaks", "other values", "lost values", "an app breaks"],
)
async def test_an_image_that_answers_wrongly_is_taken_back(
    street: Street, lines: tuple[str, ...], reason: str
) -> None:
    await street.image("metertwin:wrong", PATCHES, *lines)
    async with street.rollout() as rollout:
        result = await rollout.run(plan("metertwin:wrong", watch_s=20.0))
    assert result.outcome is Outcome.ROLLED_BACK, result.reason
    assert reason in result.reason
    assert await street.host() == OLD
    assert (await street.containers.status("twin-host-2")).phase is Phase.EXITED
    asking = asyncio.create_task(street.probe.ask_at_rate(50.0))
    while len(street.probe.latencies_ms) < METERS_COUNT + 1:  # noqa: ASYNC110 - the probe's
        await asyncio.sleep(0.05)
    asking.cancel()
    assert street.probe.failed_count == 0


@pytest.mark.parametrize("street", [LONG_DAYS], indirect=True)
async def test_other_findings_and_missing_bills_shut_the_rehearsal_gate(street: Street) -> None:
    await street.image(
        "metertwin:forgetful",
        "from dataclasses import replace",
        "from metertwin.apps.app import Finding",
        "from metertwin.apps.tariff.app import app as module",
        "right = module.TariffApp.on_time",
        "def wrong(self, view):",
        "    told = right(self, view)",
        "    bills = [each for each in told.outputs if each.name == 'bill']",
        "    others = [each for each in told.outputs if each not in bills[1:]]",
        "    alarms = [Finding(each.meter, 'theft', view.now, 'sure') for each in bills[:1]]",
        "    return replace(told, outputs=others, findings=[*told.findings, *alarms])",
        "module.TariffApp.on_time = wrong",
    )
    async with street.rollout() as rollout:
        result = await rollout.run(plan("metertwin:forgetful"))
    assert result.outcome is Outcome.NOT_BEGUN
    (rehearsed,) = result.rehearsed
    # All bills but one are missing, and one alarm is new.
    assert len(rehearsed.told.removed.outputs) == METERS_COUNT - 1
    assert [each.name for each in rehearsed.told.added.findings] == ["theft"]
    assert rehearsed.count == METERS_COUNT
    assert await street.host() == OLD
