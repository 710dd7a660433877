"""A command that waits while its group is cut otherwise is carried out, a ghost's is not."""

from collections.abc import Awaitable, Callable
from typing import Any

from tests.gateway.commander import Commander

from metertwin.bus.connection import Bus
from metertwin.bus.credentials import Role
from metertwin.bus.cuts import Cuts
from metertwin.bus.ownership import Bequest, claim, look_up, twins_key
from metertwin.bus.streams import last_sequence_of
from metertwin.bus.subjects import COMMAND_STREAM
from metertwin.core.command import CommandKind, CommandStatus
from metertwin.core.ids import GroupId, LotId, lot_of

Scene = Any  # of conftest, which cannot be imported
Connect = Callable[[Role], Awaitable[Bus]]


async def test_what_was_commanded_before_a_cut_is_carried_out_after_it(
    scene: Scene, connect_as: Connect, group: GroupId
) -> None:
    street = await scene.street(1)
    meter = street.entries[0].id
    bus, fleet = await connect_as(Role.TWIN_HOST), await connect_as(Role.FLEET)
    commander = Commander(bus, scene, group, await claim(bus, twins_key(group), "host-1"))
    pending = commander.command(meter, CommandKind.SET_LIMIT, limit_w=3000)
    await commander.send(pending)
    left = Bequest(commander.epoch, await last_sequence_of(bus, COMMAND_STREAM))
    cuts, share = Cuts(fleet, group), lot_of(group, 1)
    order = await cuts.begin(0, 1, {LotId(group): "host-1"}, {share: "host-2"})
    order = await cuts.decide(order.number, {LotId(group): left})
    await cuts.pass_claims(order)
    ghost = commander.command(meter, CommandKind.SET_LIMIT, limit_w=1)
    await commander.send(ghost)
    await claim(bus, twins_key(share), "host-2")
    await scene.gateway(street.entries)
    assert (await commander.settled(pending)).status is CommandStatus.EFFECTED
    refused = await commander.settled(ghost)
    assert refused.status is CommandStatus.REFUSED
    assert f"the twins of group {group} are owned" in refused.reason


async def test_claims_are_passed_once_whoever_does_it(connect_as: Connect, group: GroupId) -> None:
    bus, fleet = await connect_as(Role.TWIN_HOST), await connect_as(Role.FLEET)
    epoch = await claim(bus, twins_key(group), "host-1")
    cuts, share = Cuts(fleet, group), lot_of(group, 1)
    order = await cuts.begin(0, 1, {LotId(group): "host-1"}, {share: "host-2"})
    order = await cuts.decide(order.number, {LotId(group): Bequest(epoch, 7)})
    await cuts.pass_claims(order)
    taken_epoch = await claim(bus, twins_key(share), "host-2")
    await Cuts(bus, group).pass_claims(order)  # an owner that comes late
    held, given_up = await look_up(bus, twins_key(share)), await look_up(bus, twins_key(group))
    assert held is not None
    assert (held.holder, held.epoch, held.is_given) == ("host-2", taken_epoch, False)
    assert given_up is not None
    assert (given_up.holder, given_up.bequests) == ("", (Bequest(epoch, 7),))
    assert await cuts.is_taken(order)
