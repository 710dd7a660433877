"""The link is cut at any step of a move: one owner all along, and all is well when it is back."""

import contextlib

import pytest
from tests.bus.sites import EDGE, HUB
from tests.fleet.migration.bench import Bench
from tests.fleet.migration.customer import Customer
from tests.fleet.migration.interrupting import Moment, interrupted

from metertwin.bus.connection import Bus
from metertwin.bus.credentials import Role
from metertwin.core.errors import MeterTwinError
from metertwin.core.ids import SiteId
from metertwin.fleet.hosts import host_name
from metertwin.fleet.local.link import LinkState
from metertwin.fleet.moves import migration

STEPS = [
    ("prepare", Moment.BEFORE),
    ("hand_over", Moment.BEFORE),
    ("hand_over", Moment.DURING),
    ("take", Moment.BEFORE),
    ("take", Moment.DURING),
    ("pass_on", Moment.BEFORE),
]
CUTS = [(target, *step) for target in (HUB, EDGE) for step in STEPS]


@pytest.mark.parametrize("step", CUTS, ids="-".join)
async def test_a_link_cut_at_any_step_leaves_one_owner(
    at_work: Bench,
    customer: Customer,
    monkeypatch: pytest.MonkeyPatch,
    step: tuple[SiteId, str, Moment],
) -> None:
    target, order, moment = step
    monkeypatch.setattr(migration, "_ORDER_WITHIN_S", 1.0)  # the rest waits for nothing else
    if target == EDGE:
        await at_work.move(HUB)
    await at_work.street.publish()

    async def cut(_bus: Bus) -> None:
        await at_work.sites.link.set(LinkState.CUT)
        await at_work.street.publish()

    async with customer.asking():
        with interrupted(monkeypatch, order, moment, cut), contextlib.suppress(MeterTwinError):
            await at_work.move(target)
        assert len(at_work.acting()) <= 1
        await at_work.sites.link.set(LinkState.WHOLE)
        await at_work.sites.until_linked()
        owner = await at_work.until_settled()
    customer.check_answers()
    await customer.until_balanced()
    await customer.ask_once()
    assert customer.answered[-1].host == host_name(owner)
    await at_work.move(target)
    assert await at_work.until_settled() == target
    assert (await customer.command(1)).command == "c1"
    await customer.until_balanced()


async def test_an_edge_that_hosts_its_group_is_asked_and_told_while_the_link_is_cut(
    at_work: Bench,
) -> None:
    there = Customer(at_work, await at_work.sites.connect(at_work.sites.edge, Role.CLIENT))
    await at_work.sites.link.set(LinkState.CUT)
    async with there.asking():
        await at_work.street.publish()
        await there.until_balanced()
        await there.command(1)
    assert not there.refused
    with pytest.raises(MeterTwinError):
        await at_work.move(HUB)
    assert await at_work.until_settled() == EDGE
