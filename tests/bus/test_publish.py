"""Publishing: once, in order, within a window."""

from collections.abc import Awaitable, Callable

import pytest

from metertwin.bus.connection import Bus
from metertwin.bus.credentials import Role
from metertwin.bus.publish import Publisher
from metertwin.bus.subjects import READING_STREAM, Kind, of_group, subject
from metertwin.bus.tail import StreamTail
from metertwin.core.errors import InvalidInputError, UnavailableError
from metertwin.core.ids import GroupId

Connect = Callable[[Role], Awaitable[Bus]]


async def stored(bus: Bus, group: GroupId) -> list[bytes]:
    tail = StreamTail(bus, READING_STREAM, subjects=[of_group(group, Kind.READING)])
    found = [message.data async for batch in tail.until_now() for message in batch]
    await tail.close()
    return found


async def test_the_same_id_is_stored_once(connect_as: Connect, group: GroupId) -> None:
    to = subject(group, Kind.READING)
    async with Publisher(await connect_as(Role.GATEWAY)) as publisher:
        for _ in range(3):
            await publisher.publish(to, b"first", f"{group}:1")
        await publisher.publish(to, b"second", f"{group}:2")
        await publisher.flush()
        assert (publisher.acked_count, publisher.unacked_count) == (4, 0)
    assert await stored(await connect_as(Role.RECORDER), group) == [b"first", b"second"]


async def test_the_window_bounds_what_is_in_flight(connect_as: Connect, group: GroupId) -> None:
    to = subject(group, Kind.READING)
    most = 0
    async with Publisher(await connect_as(Role.GATEWAY), window_count=8) as publisher:
        for number in range(300):
            await publisher.publish(to, b"x", f"{group}:{number}")
            most = max(most, publisher.unacked_count)
    assert most == 8
    assert len(await stored(await connect_as(Role.RECORDER), group)) == 300


async def test_the_window_bounds_bytes_but_lets_one_large_message_through(
    connect_as: Connect, group: GroupId
) -> None:
    to = subject(group, Kind.READING)
    async with Publisher(await connect_as(Role.GATEWAY), window_bytes=1000) as publisher:
        for number in range(5):
            await publisher.publish(to, bytes(5_000), f"{group}:{number}")
            assert publisher.unacked_count == 1
    assert len(await stored(await connect_as(Role.RECORDER), group)) == 5


async def test_a_message_too_large_is_refused_at_once(connect_as: Connect, group: GroupId) -> None:
    async with Publisher(await connect_as(Role.GATEWAY)) as publisher:
        with pytest.raises(InvalidInputError, match=r"has 9000000 bytes; one carries 8388608\."):
            await publisher.publish(subject(group, Kind.READING), bytes(9_000_000), "1")


async def test_a_rejected_message_is_sent_until_it_is_stored(
    connect_as: Connect, group: GroupId
) -> None:
    admin = await connect_as(Role.ADMIN)
    to = f"mt.{group}.waiting.m1"  # no stream takes it yet
    async with Publisher(admin) as publisher:
        await publisher.publish(to, b"patient", "1")
        await admin.nc.settle()
        assert publisher.unacked_count == 1
        await admin.js.add_stream(name=f"WAITING_{group}", subjects=[to])
        await publisher.flush()
        assert publisher.resent_count >= 1
    assert (await admin.js.stream_info(f"WAITING_{group}")).state.messages == 1
    await admin.js.delete_stream(f"WAITING_{group}")


async def test_a_closed_connection_is_told(connect_as: Connect, group: GroupId) -> None:
    bus = await connect_as(Role.GATEWAY)
    publisher = Publisher(bus)
    await publisher.open()
    await bus.close()
    await publisher.publish(subject(group, Kind.READING), b"x", "1")
    with pytest.raises(UnavailableError, match="was closed with 1 messages not known"):
        await publisher.flush()
    await publisher.close()
