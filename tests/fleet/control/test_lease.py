"""One controller acts; who was silent for a term lets go before the next one takes over."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from metertwin.bus.connection import Bus
from metertwin.bus.credentials import Role
from metertwin.fleet.control.store import AppliedMeanwhileError, FleetStore, Report
from metertwin.fleet.lease import Lease

Connect = Callable[[Role], Awaitable[Bus]]
TERM_S = 10.0
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Clock:
    now_s: float = 1_000.0

    def __call__(self) -> float:
        return self.now_s


async def test_a_lease_is_held_by_one_and_let_go_before_it_is_taken(connect_as: Connect) -> None:
    bus = await connect_as(Role.FLEET)
    # Clocks that never agreed: only what passes on each counts.
    own, other = Clock(), Clock(-5.0)
    first, second = Lease(bus, "first", TERM_S, own), Lease(bus, "second", TERM_S, other)
    assert await first.renew()
    assert not await second.renew()
    assert (first.is_held, second.is_held, second.leader) == (True, False, "first")
    other.now_s += TERM_S - 0.1
    assert not await second.renew()  # seen for less than a term
    own.now_s += TERM_S - 0.1
    assert (first.is_held, await first.renew()) == (True, True)
    other.now_s += 0.2
    assert not await second.renew()  # it was renewed: the term begins again
    own.now_s += TERM_S
    assert (first.is_held, second.is_held) == (False, False)
    other.now_s += TERM_S
    assert await second.renew()
    assert not await first.renew()
    assert (first.is_held, first.leader, second.is_held) == (False, "second", True)


async def test_a_lease_given_back_is_free_at_once(connect_as: Connect) -> None:
    bus = await connect_as(Role.FLEET)
    clock = Clock()
    holder = Lease(bus, "second", TERM_S, clock)
    assert await holder.renew()  # its own, from before it was started again
    async with holder.kept():
        held_within = holder.is_held
    assert (held_within, holder.is_held) == (True, False)
    assert await Lease(bus, "third", TERM_S, clock).renew()


async def test_a_file_counts_once_and_again_only_after_a_refusal(connect_as: Connect) -> None:
    store = FleetStore(await connect_as(Role.FLEET))
    first = await store.apply("version: 1", "a.yaml", NOW)
    assert await store.apply("version: 1", "b.yaml", NOW) == first
    await store.tell(Report("c", first.revision, refused={"roll out edge1": "It crashed."}))
    again = await store.apply("version: 1", "a.yaml", NOW)
    assert again.revision > first.revision
    assert await store.applied() == again


async def test_of_two_files_applied_at_once_one_is_refused(
    connect_as: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FleetStore(await connect_as(Role.FLEET))
    stale = await store.apply("version: 1 # one", "a.yaml", NOW)
    await store.apply("version: 1 # two", "b.yaml", NOW)

    async def looked_too_early(_store: FleetStore) -> object:
        return stale

    monkeypatch.setattr(FleetStore, "applied", looked_too_early)
    with pytest.raises(AppliedMeanwhileError, match=r"c\.yaml was not"):
        await store.apply("version: 1 # three", "c.yaml", NOW)


async def test_who_is_not_of_the_fleet_may_not_touch_it(connect_as: Connect) -> None:
    bus = await connect_as(Role.CLIENT)
    with pytest.raises(Exception, match="fleet"):
        await FleetStore(bus).apply("version: 1 # mine", "a.yaml", NOW)
