"""Reading a stream: from where one stopped, in order, all of it, once."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from metertwin.bus.client import header_fields
from metertwin.bus.connection import Bus
from metertwin.bus.credentials import Role
from metertwin.bus.publish import Publisher
from metertwin.bus.subjects import READING_STREAM, Kind, of_group, subject
from metertwin.bus.tail import StreamTail
from metertwin.core.errors import UnavailableError
from metertwin.core.ids import GroupId, MeterId

Connect = Callable[[Role], Awaitable[Bus]]


async def fill(bus: Bus, group: GroupId, numbers: range) -> None:
    async with Publisher(bus) as publisher:
        for number in numbers:
            to = subject(group, Kind.READING, MeterId(f"m{number % 3}"))
            await publisher.publish(to, str(number).encode(), f"{group}:{number}")


def tail_of(bus: Bus, group: GroupId, after_sequence: int = 0, batch_count: int = 50) -> StreamTail:
    subjects = [of_group(group, Kind.READING)]
    return StreamTail(bus, READING_STREAM, after_sequence, subjects, batch_count)


async def test_everything_comes_in_order_with_subject_and_headers(
    connect_as: Connect, group: GroupId
) -> None:
    await fill(await connect_as(Role.GATEWAY), group, range(500))
    tail = tail_of(await connect_as(Role.RECORDER), group)
    came = [message async for batch in tail.until_now() for message in batch]
    assert [int(message.data) for message in came] == list(range(500))
    sequences = [message.stream_sequence for message in came]
    assert sequences == sorted(set(sequences))
    assert came[7].subject == f"mt.{group}.reading.m1"
    assert came[7].headers == {"Nats-Msg-Id": f"{group}:7"}
    assert tail.last_sequence == sequences[-1]
    await tail.close()


async def test_a_reader_goes_on_where_another_stopped(connect_as: Connect, group: GroupId) -> None:
    await fill(await connect_as(Role.GATEWAY), group, range(120))
    bus = await connect_as(Role.TWIN_HOST)
    first = tail_of(bus, group)
    head = await first.fetch(70, 5)
    while len(head) < 70:
        head += await first.fetch(70 - len(head), 5)
    await first.close()
    second = tail_of(bus, group, first.last_sequence)
    rest = [message async for batch in second.until_now() for message in batch]
    assert [int(message.data) for message in head + rest] == list(range(120))
    await second.close()


async def test_fetch_waits_for_what_is_not_there_yet(connect_as: Connect, group: GroupId) -> None:
    tail = tail_of(await connect_as(Role.RECORDER), group)
    assert await tail.fetch(10, 0.05) == []
    waiting = asyncio.create_task(tail.fetch(10, 30))
    await fill(await connect_as(Role.GATEWAY), group, range(1))
    assert [message.data for message in await waiting] == [b"0"]
    await tail.close()


async def test_a_cancelled_fetch_loses_nothing(connect_as: Connect, group: GroupId) -> None:
    tail = tail_of(await connect_as(Role.RECORDER), group)
    waiting = asyncio.create_task(tail.fetch(10, 30))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await fill(await connect_as(Role.GATEWAY), group, range(40))
    came = [message async for batch in tail.until_now() for message in batch]
    assert [int(message.data) for message in came] == list(range(40))
    await tail.close()


async def test_a_lost_consumer_is_replaced(connect_as: Connect, group: GroupId) -> None:
    gateway = await connect_as(Role.GATEWAY)
    admin = await connect_as(Role.ADMIN)
    await fill(gateway, group, range(30))
    tail = tail_of(await connect_as(Role.RECORDER), group, batch_count=10)
    came = await tail.fetch(10, 5)
    for consumer in await admin.js.consumers_info(READING_STREAM):
        await admin.js.delete_consumer(READING_STREAM, consumer.name)
    await fill(gateway, group, range(30, 60))
    while len(came) < 60:
        batch = await tail.fetch(10, 20)
        assert batch
        came += batch
    assert [int(message.data) for message in came] == list(range(60))
    await tail.close()


async def test_a_stream_shorter_than_the_checkpoint_is_read_from_its_beginning(
    connect_as: Connect, group: GroupId
) -> None:
    await fill(await connect_as(Role.GATEWAY), group, range(5))
    tail = tail_of(await connect_as(Role.RECORDER), group, after_sequence=10**9)
    came = [message async for batch in tail.until_now() for message in batch]
    assert [int(message.data) for message in came] == list(range(5))
    await tail.close()


async def test_a_stream_that_is_not_there_is_named(connect_as: Connect) -> None:
    tail = StreamTail(await connect_as(Role.ADMIN), "NOTHING")
    with pytest.raises(UnavailableError, match="no stream NOTHING; the site makes it"):
        await tail.fetch(1, 5)


async def test_a_closed_connection_is_told(connect_as: Connect, group: GroupId) -> None:
    bus = await connect_as(Role.RECORDER)
    tail = tail_of(bus, group)
    await bus.close()
    with pytest.raises(UnavailableError, match="test-recorder to the bus is closed"):
        await tail.fetch(1, 5)


def test_header_blocks_are_read() -> None:
    assert header_fields(None) == {}
    assert header_fields(b"NATS/1.0\r\nNats-Msg-Id: a: b\r\n\r\n") == {"Nats-Msg-Id": "a: b"}
    assert header_fields(b"NATS/1.0 503\r\n\r\n") == {"Status": "503", "Description": ""}
