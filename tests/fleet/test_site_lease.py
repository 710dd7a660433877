"""A site's twin hosts are changed by one at a time; who is gone, or stood still, is found out."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable

import pytest

from metertwin.bus.connection import Bus
from metertwin.bus.credentials import Role
from metertwin.core.ids import SiteId
from metertwin.fleet.lease import Lease, living_holder
from metertwin.fleet.site_lease import SiteBusyError, SiteLease, SiteLostError, site_held

Connect = Callable[[Role], Awaitable[Bus]]
TERM_S = 0.4


def silent(_: str) -> None:
    """Say nothing."""


async def test_a_site_is_held_by_one_and_others_are_told_by_whom(connect_as: Connect) -> None:
    bus, site = await connect_as(Role.FLEET), SiteId("held-once")
    async with site_held(bus, site, "a rollout to f1", silent, TERM_S) as held:
        await held.check()
        with pytest.raises(SiteBusyError) as refused:
            async with site_held(bus, site, "a rollout to f2", silent, TERM_S):
                pass
        name = held.lease.name
        assert str(refused.value) == (
            f"At site held-once {name} is at work: a rollout to f1. A site's twin hosts are "
            "changed by one at a time; try again when that is done."
        )
        assert await living_holder(bus, "site.held-once") == name
        async with site_held(bus, SiteId("another"), "a rollout to f3", silent, TERM_S):
            await held.check()
    assert await living_holder(bus, "site.held-once") == ""
    async with site_held(bus, site, "a rollout to f2", silent, TERM_S) as held:
        await held.check()


async def test_of_many_at_one_instant_one_holds_it(connect_as: Connect) -> None:
    bus = await connect_as(Role.FLEET)
    done = asyncio.Event()
    held_count = 0

    async def hold() -> None:
        nonlocal held_count
        async with site_held(bus, SiteId("wanted"), "a rollout", silent, TERM_S):
            held_count += 1
            await done.wait()

    holding = [asyncio.create_task(hold()) for _ in range(5)]
    refused, _ = await asyncio.wait(holding, return_when=asyncio.FIRST_EXCEPTION)
    while len(refused) < 4:
        refused, _ = await asyncio.wait(holding, timeout=TERM_S)
    assert held_count == 1
    assert all(isinstance(task.exception(), SiteBusyError) for task in refused)
    done.set()
    await asyncio.gather(*holding, return_exceptions=True)


async def test_a_site_whose_holder_died_is_free_after_its_term(connect_as: Connect) -> None:
    bus, said = await connect_as(Role.FLEET), list[str]()
    dead = Lease(bus, "dead", TERM_S, time.monotonic, "site.left", "a rollout to f1")
    assert await dead.renew()  # and never again
    assert await living_holder(bus, "site.left") == ""
    async with site_held(bus, SiteId("left"), "a rollout to f2", said.append, 0.1) as held:
        await held.check()
    assert said == ["waiting whether dead is still at work at left: a rollout to f1"]


async def test_who_stood_still_finds_out_also_when_the_next_one_is_done(
    connect_as: Connect,
) -> None:
    bus = await connect_as(Role.FLEET)
    clock = itertools.count(0.0, TERM_S)  # each look at it comes a term later
    slow = Lease(bus, "slow", TERM_S, lambda: next(clock), "site.slow")
    held = SiteLease(SiteId("slow"), slow)
    assert await slow.renew()
    assert not slow.is_held
    await held.check()  # it stood still, and nobody noticed
    async with site_held(bus, SiteId("slow"), "a rollout to f2", silent, TERM_S):
        with pytest.raises(SiteLostError, match="somebody else went on at site slow meanwhile"):
            await held.check()
    with pytest.raises(SiteLostError):
        await held.check()  # free again, and not what it was
