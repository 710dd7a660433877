"""Two move one group at once: one owner, and each mover knows how it came out."""

import asyncio

import pytest
from tests.bus.sites import EDGE, EDGE_GROUP, HUB
from tests.fleet.migration.bench import Bench
from tests.fleet.migration.customer import Customer

from metertwin.core.errors import ConflictError, UnavailableError
from metertwin.fleet.moves.migration import Migration


async def _together(at_work: Bench, *targets: str) -> list[Migration | BaseException | None]:
    moves = (at_work.move(HUB if target == HUB else EDGE) for target in targets)
    return await asyncio.gather(*moves, return_exceptions=True)


@pytest.mark.parametrize("movers_count", [2, 4])
async def test_movers_to_one_site_all_find_the_group_moved(
    at_work: Bench, customer: Customer, movers_count: int
) -> None:
    await at_work.street.publish()
    async with customer.asking():
        for target in (HUB, EDGE) * 3:
            came_out = await _together(at_work, *[target] * movers_count)
            assert all(isinstance(each, Migration) or each is None for each in came_out)
            assert await at_work.until_settled() == target
            await at_work.street.publish()
    assert not customer.refused
    customer.check_answers()
    await customer.until_balanced()


async def test_movers_to_different_sites_leave_one_owner(
    at_work: Bench, customer: Customer
) -> None:
    async with customer.asking():
        for turn in range(6):
            moving = asyncio.create_task(at_work.move(HUB))
            await asyncio.sleep(0.015 * turn)  # the other begins at another step each time
            back = asyncio.create_task(at_work.move(EDGE))
            for came_out in await asyncio.gather(moving, back, return_exceptions=True):
                if isinstance(came_out, BaseException):
                    # Whoever lost is told that it is another's.
                    assert isinstance(came_out, ConflictError | UnavailableError)
                    assert EDGE_GROUP in str(came_out)
            await at_work.street.publish()
            owner = await at_work.until_settled()
            assert len(at_work.acting()) == 1
            await at_work.move(EDGE)
            assert owner in {HUB, EDGE}
            await customer.command(turn)
    assert not customer.refused
    customer.check_answers()
    await customer.until_balanced()
    assert at_work.street.effected == [f"c{turn}" for turn in range(6)]
