"""What a group's gateway does not do, whichever of the group's hosts ask for it."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.gateway.commander import Commander

from metertwin.bus.connection import Bus
from metertwin.bus.credentials import Role
from metertwin.bus.ownership import claim, twins_key
from metertwin.core.command import CommandKind, CommandOutcome, CommandStatus
from metertwin.core.ids import CommandId, GroupId, lot_of
from metertwin.gateway.interlock import GroupInterlock

Scene = Any  # of conftest, which cannot be imported
Connect = Callable[[Role], Awaitable[Bus]]
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
async def shares(scene: Scene, connect_as: Connect, group: GroupId) -> list[Commander]:
    """Return the hosts of two shares of the group."""
    bus = await connect_as(Role.TWIN_HOST)
    return [
        Commander(bus, scene, group, await claim(bus, twins_key(lot_of(group, share)), f"h{share}"))
        for share in (1, 2)
    ]


async def test_hosts_of_two_shares_together_do_not_pass_the_groups_limit(
    scene: Scene, shares: list[Commander]
) -> None:
    street = await scene.street(4)
    (gateway,) = await scene.gateway(street.entries, disconnects_per_hour_count=3)

    async def disconnect(number: int, share: int) -> CommandOutcome:
        made = shares[share - 1].command(street.entries[number].id, CommandKind.DISCONNECT)
        command = replace(made, share=share, id=f"{made.id}-{share}")  # type: ignore[arg-type]  # an id in the making
        await shares[share - 1].send(command)
        outcome: CommandOutcome = await shares[share - 1].settled(command)
        return outcome

    began = [await disconnect(0, 1), await disconnect(1, 2), await disconnect(2, 1)]
    assert [each.status for each in began] == [CommandStatus.EFFECTED] * 3
    fourth = await disconnect(3, 2)
    assert fourth.status is CommandStatus.REFUSED
    assert (
        "3 meters of the group were disconnected within the hour, the limit is 3" in fourth.reason
    )
    gateway.cancel()  # a gateway that starts anew has not forgotten
    await scene.gateway(street.entries, disconnects_per_hour_count=3)
    assert (await disconnect(3, 2)).status is CommandStatus.REFUSED
    scene.clock.advance(3601)
    assert (await disconnect(3, 2)).status is CommandStatus.EFFECTED


async def test_a_command_needs_the_epoch_of_its_own_share(
    scene: Scene, shares: list[Commander]
) -> None:
    street = await scene.street(1)
    await scene.gateway(street.entries)
    first, second = shares
    command = first.command(street.entries[0].id, CommandKind.SET_LIMIT, limit_w=3000)
    await first.send(replace(command, share=2))
    outcome = await first.settled(command)
    assert outcome.status is CommandStatus.REFUSED
    assert f"the twins of group {lot_of(first.group, 2)} are owned under epoch {second.epoch}" in (
        outcome.reason
    )


async def test_one_id_for_meters_of_two_shares_is_refused_the_second_time(
    scene: Scene, shares: list[Commander]
) -> None:
    street = await scene.street(2)
    await scene.gateway(street.entries)
    first, second = shares
    command = first.command(street.entries[0].id, CommandKind.SET_LIMIT, limit_w=3000)
    await first.send(replace(command, share=1))
    assert (await first.settled(command)).status is CommandStatus.EFFECTED
    other = replace(command, meter=street.entries[1].id, share=2, epoch=second.epoch)
    await second.send(other, identity="of another share")
    outcomes = scene.published.outcomes
    await scene.until(lambda: len(outcomes) == 2, "the second outcome")
    assert outcomes[1].status is CommandStatus.REFUSED
    assert f"was given to meter {command.meter} before" in outcomes[1].reason


def test_an_hour_counts_from_each_disconnect_and_each_counts_once() -> None:
    first, second, third, fourth = map(CommandId, "abcd")
    interlock = GroupInterlock(2)
    interlock.remember({first: NOON + timedelta(minutes=30), second: NOON})
    assert "the limit is 2" in interlock.begin(third, NOON + timedelta(minutes=59))
    assert not interlock.begin(third, NOON + timedelta(minutes=60))
    assert not interlock.begin(third, NOON + timedelta(minutes=61))  # its record was not written
    assert "the limit is 2" in interlock.begin(fourth, NOON + timedelta(minutes=61))
    assert not interlock.begin(fourth, NOON + timedelta(minutes=90))
