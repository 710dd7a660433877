"""A host that stood still while its group was taken comes back: it can write nothing of it."""

import asyncio
from enum import StrEnum

import pytest
from tests.bus.sites import EDGE, EDGE_GROUP, HUB
from tests.fleet.migration.bench import NOON, Bench, RunningHost
from tests.fleet.migration.customer import Customer
from tests.fleet.migration.gateway import METERS

from metertwin.bus.credentials import Role
from metertwin.bus.ownership import SupersededError, hand_over, twins_key
from metertwin.core.command import Command, CommandKind
from metertwin.core.errors import UnavailableError
from metertwin.core.ids import CommandId
from metertwin.core.output import AppOutput
from metertwin.fleet.hosts import host_name
from metertwin.fleet.local.link import LinkState
from metertwin.fleet.moves import migration
from metertwin.twins.apps.effects import Effects
from metertwin.twins.hosted import HostedGroup


class Taken(StrEnum):
    """How the group was taken while the host stood still."""

    REPLACED = "by a process in its place"
    GIVEN = "by the host it was given to, at the moment it stopped"


async def _take_away(at_work: Bench, zombie: HostedGroup, how: Taken) -> RunningHost | None:
    if how is Taken.REPLACED:
        return await at_work.start_beside(EDGE)
    bus = await at_work.sites.connect(at_work.sites.edge, Role.TWIN_HOST)
    await hand_over(bus, twins_key(EDGE_GROUP), zombie.epoch, host_name(HUB))
    return None


async def _stored(at_work: Bench) -> dict[str, object]:
    """Return how far the home's streams and buckets are, but for parts no head names."""
    admin = await at_work.sites.connect(at_work.sites.edge, Role.ADMIN)
    streams = ("COMMANDS", "EVENTS", "KV_desired", "KV_owners")
    ends = {name: (await admin.js.stream_info(name)).state.last_seq for name in streams}
    checkpoints = await admin.js.key_value("checkpoints")
    return ends | {"head": (await checkpoints.get(f"twins.{EDGE_GROUP}.head")).value}


async def _try_everything(zombie: HostedGroup) -> None:
    """Let it write all that a host writes for its group."""
    with pytest.raises(SupersededError, match="may write nothing more"):
        await zombie.accept(
            Command(
                id=CommandId("from-the-dead"),
                meter=METERS[0],
                group=EDGE_GROUP,
                kind=CommandKind.RECONNECT,
                issued_by="test",
                issued_at=NOON,
                expires_at=NOON.replace(year=2030),
            )
        )
    with pytest.raises(SupersededError, match="may write nothing more"):
        await zombie.want(METERS[0], {"limit_w": 1})
    output = AppOutput("app", "1", EDGE_GROUP, METERS[0], "count", NOON, 0, NOON, {"value": 1})
    zombie.apps.effects.append(Effects("app", NOON, [output], [], []))
    await zombie.carry_out()
    zombie.apps.effects.append(Effects("app", NOON, [output], [], []))
    with pytest.raises(SupersededError, match="may write nothing more"):
        await zombie.save()
    with pytest.raises(SupersededError, match="may not hand it over"):
        await zombie.tenure.give("anybody")


@pytest.mark.parametrize("how", Taken)
async def test_a_host_that_comes_back_from_the_dead_can_write_nothing(
    at_work: Bench, customer: Customer, how: Taken
) -> None:
    old = at_work.hosts[EDGE]
    zombie = old.engine.hosted[EDGE_GROUP]
    await at_work.street.publish()
    await customer.until_balanced()
    await old.relay.set(LinkState.SILENT)
    replacement = await _take_away(at_work, zombie, how)
    if replacement is not None:
        at_work.hosts[EDGE] = replacement
    else:
        del at_work.hosts[EDGE]
    owner = await at_work.until_settled()
    assert owner == (HUB if how is Taken.GIVEN else EDGE)
    await at_work.street.publish()
    await customer.until_balanced()
    owned = at_work.hosts[owner].engine.hosted[EDGE_GROUP]
    await owned.save()
    before = await _stored(at_work)
    await old.relay.set(LinkState.WHOLE)
    async with asyncio.timeout(10):
        while not (old.bus.disconnect_count and old.bus.is_connected):  # noqa: ASYNC110 - the library's
            await asyncio.sleep(0.01)
    await _try_everything(zombie)
    assert await _stored(at_work) == before
    async with asyncio.timeout(10):
        while old.engine.hosted:  # noqa: ASYNC110 - the product's state
            await asyncio.sleep(0.01)
    # From here on the owner alone is asked, and is none the worse.
    epoch = (await at_work.claim()).epoch
    assert epoch == owned.epoch > zombie.epoch
    for _ in range(20):
        await customer.ask_once()
    assert {each.epoch for each in customer.answered} == {epoch}
    await customer.command(1)
    await at_work.street.publish()
    await customer.until_balanced()
    assert at_work.street.effected == ["c1"]
    await old.stop()


async def test_a_host_that_stands_still_when_it_is_told_to_hand_over_stays_the_owner(
    at_work: Bench, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, "_ORDER_WITHIN_S", 0.5)
    epoch = (await at_work.claim()).epoch
    await at_work.hosts[EDGE].relay.set(LinkState.SILENT)
    with pytest.raises(UnavailableError, match=r"was not handed over.*Its owner is edge1"):
        await at_work.move(HUB)
    assert (await at_work.claim()).epoch == epoch
    await at_work.street.publish()
    await at_work.hosts[EDGE].relay.set(LinkState.WHOLE)
    await customer.until_balanced()
    assert await at_work.until_settled() == EDGE


async def test_a_host_whose_answer_is_lost_after_it_gave_is_no_owner(
    at_work: Bench, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, "_ORDER_WITHIN_S", 2.0)
    old = at_work.hosts[EDGE]
    tenure = old.engine.hosted[EDGE_GROUP].tenure
    really_give, has_given = tenure.give, asyncio.Event()

    async def give_and_stop(to: str) -> int:
        bus = await at_work.sites.connect(at_work.sites.edge, Role.TWIN_HOST)
        await hand_over(bus, twins_key(EDGE_GROUP), tenure.epoch, to)
        await old.relay.set(LinkState.SILENT)  # nothing of what it asks from here on is answered
        has_given.set()
        return await really_give(to)

    monkeypatch.setattr(type(tenure), "give", lambda _tenure, to: give_and_stop(to))
    moving = asyncio.create_task(at_work.move(HUB))
    await has_given.wait()
    async with customer.asking():
        moved = await moving  # the mover looked at the claim and went on
        assert moved is not None
        await at_work.street.publish()
        await old.relay.set(LinkState.WHOLE)
        assert await at_work.until_settled() == HUB
    customer.check_answers()
    await customer.until_balanced()
