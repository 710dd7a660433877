"""Whoever moves a group dies at any step: one owner, everything answered, every reading counted."""

import asyncio
import contextlib

import pytest
from tests.bus.sites import EDGE, EDGE_GROUP, HUB
from tests.fleet.migration.bench import Bench
from tests.fleet.migration.customer import Customer
from tests.fleet.migration.interrupting import ORDERS, Moment, interrupted

from metertwin.bus.connection import Bus
from metertwin.core.ids import SiteId
from metertwin.fleet.hosts import host_name

DEATHS = [
    *((HUB, order, moment) for order in ORDERS for moment in Moment),
    *((EDGE, order, Moment.AFTER) for order in ORDERS),
]


async def _die(bus: Bus) -> None:
    await bus.nc.close()
    raise asyncio.CancelledError


@pytest.mark.parametrize("step", DEATHS, ids="-".join)
async def test_a_mover_that_dies_at_any_step_leaves_one_owner(
    at_work: Bench,
    customer: Customer,
    monkeypatch: pytest.MonkeyPatch,
    step: tuple[SiteId, str, Moment],
) -> None:
    target, order, moment = step
    if target == EDGE:
        await at_work.move(HUB)
    await at_work.street.publish()
    async with customer.asking():
        await customer.command(1)
        dying = interrupted(monkeypatch, order, moment, _die)
        with dying, contextlib.suppress(asyncio.CancelledError):
            await at_work.move(target)
        await at_work.street.publish()
        await at_work.until_settled()
        assert (await customer.command(2)).command == "c2"
    assert not customer.refused
    customer.check_answers()
    owner = await at_work.until_settled()
    await customer.ask_once()
    assert customer.answered[-1].host == host_name(owner)
    await customer.until_balanced()
    # The next mover brings it to its end, wherever that was.
    await at_work.move(target)
    assert await at_work.until_settled() == target
    await customer.command(1)  # asked again it is not done again
    await customer.until_balanced()
    assert at_work.street.effected == ["c1", "c2"]
    assert EDGE_GROUP not in at_work.hosts[HUB if target == EDGE else EDGE].engine.hosted
