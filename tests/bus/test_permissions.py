"""What roles may not do is refused by the server, not by good manners."""

from collections.abc import Awaitable, Callable

import pytest

from metertwin.bus.connection import Bus
from metertwin.bus.credentials import PERMISSIONS, Role
from metertwin.bus.messages import Request
from metertwin.bus.publish import Publisher
from metertwin.bus.requests import ask, serve
from metertwin.bus.subjects import Kind, of_group, of_host, subject
from metertwin.bus.tail import StreamTail
from metertwin.core.errors import RefusedError
from metertwin.core.ids import GroupId, MeterId

Connect = Callable[[Role], Awaitable[Bus]]

MAY_PUBLISH = {
    Kind.READING: {Role.GATEWAY},
    Kind.EVENT: {Role.GATEWAY, Role.TWIN_HOST},
    Kind.COMMAND: {Role.TWIN_HOST},
    Kind.OUTCOME: {Role.GATEWAY, Role.TWIN_HOST},
    Kind.REQUEST: {Role.API, Role.CLIENT, Role.TWIN_HOST},  # a host passes on what waited
    Kind.READ: {Role.TWIN_HOST},
    Kind.HISTORY: {Role.TWIN_HOST, Role.API, Role.CLIENT},
    Kind.STATE: {Role.TWIN_HOST},
    Kind.OUTPUT: {Role.TWIN_HOST},
    Kind.LAST_KNOWN: {Role.TWIN_HOST, Role.API, Role.CLIENT},
}


async def is_refused(bus: Bus, to: str) -> bool:
    await bus.nc.publish(to, b"x")
    await bus.nc.settle()
    return bus.refusal(to) is not None


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
async def test_a_role_publishes_what_is_its_own_and_nothing_else(
    connect_as: Connect, group: GroupId, role: Role
) -> None:
    bus = await connect_as(role)
    for kind, roles in MAY_PUBLISH.items():
        to = subject(group, kind, MeterId("m1"))
        assert await is_refused(bus, to) == (role not in roles), f"{role} at {to}"


async def test_the_fleet_asks_of_groups_and_of_no_meter(
    connect_as: Connect, group: GroupId
) -> None:
    fleet = await connect_as(Role.FLEET)
    for kind in (Kind.REQUEST, Kind.READ, Kind.HISTORY):
        assert not await is_refused(fleet, subject(group, kind))
    assert not await is_refused(fleet, of_host("cloud", "host-1"))
    assert await is_refused(await connect_as(Role.API), of_host("cloud", "host-1"))


async def test_the_api_asks_a_gateway_how_it_is_but_never_a_meter_through_it(
    connect_as: Connect, group: GroupId
) -> None:
    api = await connect_as(Role.API)
    assert not await is_refused(api, subject(group, Kind.READ))
    assert await is_refused(api, subject(group, Kind.READ, MeterId("m1")))


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
async def test_no_role_but_admin_makes_or_deletes_streams(connect_as: Connect, role: Role) -> None:
    bus = await connect_as(role)
    for action in ("CREATE", "DELETE", "PURGE"):
        assert await is_refused(bus, f"$JS.API.STREAM.{action}.READINGS")
    # The fleet names a hub's quiet sources anew.
    is_fleet = role is Role.FLEET
    assert await is_refused(bus, "$JS.API.STREAM.UPDATE.READINGS") is not is_fleet
    assert await is_refused(bus, "$JS.API.STREAM.UPDATE.KV_owners")


async def test_owners_cannot_be_written_by_those_who_own_nothing(connect_as: Connect) -> None:
    for role in (Role.RECORDER, Role.API, Role.CLIENT):
        assert await is_refused(await connect_as(role), "$KV.owners.twins.g1")


async def test_a_recorder_that_publishes_readings_is_told(
    connect_as: Connect, group: GroupId
) -> None:
    publisher = Publisher(await connect_as(Role.RECORDER))
    await publisher.open()
    await publisher.publish(subject(group, Kind.READING), b"forged", "g:1:1")
    with pytest.raises(RefusedError, match=rf"may not use mt\.{group}\.reading\._ on the bus: "):
        await publisher.flush()
    await publisher.close()


async def test_a_gateway_that_asks_is_told(connect_as: Connect, group: GroupId) -> None:
    gateway = await connect_as(Role.GATEWAY)
    with pytest.raises(RefusedError, match="permissions violation for publish"):
        await ask(gateway, subject(group, Kind.REQUEST), Request("twins"), 0.2, object)


async def test_a_client_that_serves_is_told(connect_as: Connect, group: GroupId) -> None:
    client = await connect_as(Role.CLIENT)
    with pytest.raises(RefusedError, match="permissions violation for subscription"):
        await serve(client, of_group(group, Kind.REQUEST), "twins", {})


async def test_no_role_hears_the_answers_of_another(connect_as: Connect) -> None:
    client = await connect_as(Role.CLIENT)
    for role in set(Role) - {Role.CLIENT}:
        inbox = f"_INBOX_{role}.>"
        await client.nc.subscribe(inbox)
        await client.nc.settle()
        assert client.refusal(inbox) is not None
    assert not any("_INBOX" in each for role in Role for each in PERMISSIONS[role].publish)


async def test_a_client_does_not_read_streams(connect_as: Connect) -> None:
    tail = StreamTail(await connect_as(Role.CLIENT), "READINGS")
    assert await tail.fetch(1, 0.2) == []
    await tail.close()
