import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from tests.gateway.commander import Commander

from metertwin.bus.connection import Bus
from metertwin.bus.credentials import Role
from metertwin.bus.ownership import claim, hand_over, look_up, twins_key
from metertwin.bus.streams import last_sequence_of
from metertwin.bus.subjects import COMMAND_STREAM
from metertwin.core.command import CommandKind, CommandStatus
from metertwin.core.ids import GroupId
from metertwin.simulation.event_log import MeterEvent

Scene = Any  # of conftest, which cannot be imported
Connect = Callable[[Role], Awaitable[Bus]]


@pytest.fixture
async def commander(scene: Scene, connect_as: Connect, group: GroupId) -> Commander:
    bus = await connect_as(Role.TWIN_HOST)
    return Commander(bus, scene, group, await claim(bus, twins_key(group), "host-1"))


def logged(street: Any, event: MeterEvent, row: int = 0) -> int:  # noqa: ANN401 - a Street
    """How often a meter logged an event: what really happened to it."""
    _, codes = street.simulation.world.events.read(row)
    return int((codes == event).sum())


async def test_disconnect_and_reconnect_are_effected_and_seen(
    scene: Scene, commander: Commander
) -> None:
    street = await scene.street(1)
    meter = street.entries[0].id
    await scene.gateway(street.entries)
    for kind, state in ((CommandKind.DISCONNECT, 0), (CommandKind.RECONNECT, 1)):
        command = commander.command(meter, kind)
        await commander.send(command)
        outcome = await commander.settled(command)
        assert outcome.status is CommandStatus.EFFECTED, outcome
        await scene.until(
            lambda: (
                [
                    reading.integer
                    for reading in scene.published.of(meter)
                    if str(reading.register.obis) == "0-0:96.3.10*255"
                ][-1:]
                == [state]  # noqa: B023 - waited for here
            ),
            f"the reading that shows {state}",
        )
    assert logged(street, MeterEvent.REMOTE_DISCONNECTION) == 1
    assert logged(street, MeterEvent.REMOTE_CONNECTION) == 1


async def test_what_an_owner_commanded_before_it_handed_over_is_still_carried_out(
    scene: Scene, commander: Commander, group: GroupId
) -> None:
    street = await scene.street(1)
    meter, key = street.entries[0].id, twins_key(group)
    # No gateway is there yet; the owner commands, hands over, and commands again like a ghost.
    pending = commander.command(meter, CommandKind.SET_LIMIT, limit_w=3000)
    await commander.send(pending)
    last_sequence = await last_sequence_of(commander.bus, COMMAND_STREAM)
    await hand_over(commander.bus, key, commander.epoch, "host-2", last_sequence)
    ghost = commander.command(meter, CommandKind.SET_LIMIT, limit_w=1)
    await commander.send(ghost)
    await claim(commander.bus, key, "host-2")
    await scene.gateway(street.entries)
    assert (await commander.settled(pending)).status is CommandStatus.EFFECTED
    refused = await commander.settled(ghost)
    assert refused.status is CommandStatus.REFUSED
    assert f"It carries epoch {commander.epoch}; the twins of group {group}" in refused.reason
    # Through another move it holds as well, and a host that is started again forgets nothing.
    second = await claim(commander.bus, key, "host-2")
    await hand_over(commander.bus, key, second, "host-3", last_sequence)
    owner = await look_up(commander.bus, key)
    assert owner is not None
    assert owner.has_commanded(commander.epoch, last_sequence)
    assert not owner.has_commanded(commander.epoch, last_sequence + 1)


async def test_a_limit_is_set_read_back_and_not_written_twice(
    scene: Scene, commander: Commander
) -> None:
    street = await scene.street(1)
    await scene.gateway(street.entries)
    first = commander.command(street.entries[0].id, CommandKind.SET_LIMIT, limit_w=3000)
    await commander.send(first)
    assert (await commander.settled(first)).status is CommandStatus.EFFECTED
    again = commander.command(street.entries[0].id, CommandKind.SET_LIMIT, limit_w=3000)
    await commander.send(again)
    assert (await commander.settled(again)).reason == "the meter was in this state already"
    assert logged(street, MeterEvent.LIMITER_CHANGED) == 1


async def test_a_clock_is_set_to_the_gateways_time(scene: Scene, commander: Commander) -> None:
    street = await scene.street(1)
    street.simulation.world.columns.clock_offset_s[0] = -500.0
    await scene.gateway(street.entries)
    command = commander.command(street.entries[0].id, CommandKind.SET_CLOCK)
    await commander.send(command)
    assert (await commander.settled(command)).status is CommandStatus.EFFECTED
    assert abs(street.simulation.world.columns.clock_offset_s[0]) < 1.0


async def test_the_same_command_delivered_twice_is_one_command(
    scene: Scene, commander: Commander
) -> None:
    street = await scene.street(1)
    meter = street.entries[0].id
    await scene.gateway(street.entries)
    command = commander.command(meter, CommandKind.DISCONNECT)
    await commander.send(command)
    await commander.settled(command)
    await commander.send(commander.command(meter, CommandKind.RECONNECT))
    # The bus has forgotten the first identity, say; the id in the command is what counts.
    await commander.send(command, identity="another identity")
    last = commander.command(meter, CommandKind.SET_LIMIT, limit_w=9000)
    await commander.send(last)
    await commander.settled(last)
    assert logged(street, MeterEvent.REMOTE_DISCONNECTION) == 1
    assert street.simulation.world.columns.control_state[0] == 1


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ({"epoch": 0}, CommandStatus.REFUSED, "It carries epoch 0; the twins of group"),
        ({"expires_at": None}, CommandStatus.EXPIRED, "it came too late"),
        ({"meter": "m9"}, CommandStatus.REFUSED, "has no meter m9 at this gateway"),
    ],
)
async def test_what_may_not_be_done_is_refused_with_the_reason(
    scene: Scene,
    commander: Commander,
    change: dict[str, Any],
    status: CommandStatus,
    reason: str,
) -> None:
    street = await scene.street(1)
    await scene.gateway(street.entries)
    command = commander.command(street.entries[0].id, CommandKind.DISCONNECT)
    if "expires_at" in change:
        change = {"expires_at": scene.clock.now()}
    command = replace(command, **change)
    await commander.send(command)
    outcome = await commander.settled(command)
    assert outcome.status is status
    assert reason in outcome.reason
    assert logged(street, MeterEvent.REMOTE_DISCONNECTION) == 0


async def test_a_protected_usage_point_is_never_disconnected(
    scene: Scene, commander: Commander
) -> None:
    street = await scene.street(1)
    entry = msgspec.structs.replace(street.entries[0], is_protected=True)
    await scene.gateway((entry,))
    command = commander.command(entry.id, CommandKind.DISCONNECT)
    await commander.send(command)
    outcome = await commander.settled(command)
    assert (outcome.status, "is protected" in outcome.reason) == (CommandStatus.REFUSED, True)
    assert logged(street, MeterEvent.REMOTE_DISCONNECTION) == 0


async def test_a_meter_that_cannot_be_reached_lets_the_command_expire(
    scene: Scene, commander: Commander
) -> None:
    street = await scene.street(1)
    relay, entry = await scene.wire(street.entries[0], "silent")
    await scene.gateway((entry,), {"answer_timeout_s": 0.1})
    command = commander.command(entry.id, CommandKind.DISCONNECT)
    await commander.send(command)
    await scene.until(lambda: relay.asked_count > 2, "the command's tries")
    scene.clock.advance(301)
    outcome = await commander.settled(command)
    assert outcome.status is CommandStatus.EXPIRED
    assert "did not answer within" in outcome.reason


async def test_a_crash_between_effect_and_answer_does_not_do_it_twice(
    scene: Scene, commander: Commander
) -> None:
    street = await scene.street(1)
    relay, entry = await scene.wire(street.entries[0])
    (gateway,) = await scene.gateway((entry,), {"answer_timeout_s": 0.2})
    await scene.polled((entry,), 1)
    relay.mode = "lose_action"
    command = commander.command(entry.id, CommandKind.DISCONNECT)
    await commander.send(command)
    await scene.until(lambda: relay.mode == "silent", "the meter's having acted")
    gateway.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await gateway
    assert logged(street, MeterEvent.REMOTE_DISCONNECTION) == 1
    assert scene.published.outcomes == []
    relay.mode = "pass"
    await scene.gateway((entry,))
    outcome = await commander.settled(command)
    assert outcome.status is CommandStatus.EFFECTED
    assert outcome.reason == "found so at the meter after a restart"
    assert logged(street, MeterEvent.REMOTE_DISCONNECTION) == 1
