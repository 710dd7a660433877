"""The server is killed and started again under readers, publishers and services."""

import asyncio
import os
import signal

import pytest

from metertwin.bus.connection import Bus, connect
from metertwin.bus.credentials import Role
from metertwin.bus.messages import Request
from metertwin.bus.publish import Publisher
from metertwin.bus.requests import ask, serve
from metertwin.bus.server import BusServer
from metertwin.bus.subjects import READING_STREAM, Kind, all_groups, subject
from metertwin.bus.tail import StreamTail
from metertwin.core.errors import UnavailableError
from metertwin.core.ids import GroupId

TO = subject(GroupId("g1"), Kind.READING)
MESSAGES_COUNT = 12_000
KILL_AT = (3_000, 6_000, 9_000)


async def read_all(tail: StreamTail, count: int) -> list[int]:
    numbers: list[int] = []
    async with asyncio.timeout(60):
        while len(numbers) < count:
            numbers += [int(message.data) for message in await tail.fetch(500, 10)]
    return numbers


@pytest.mark.fault
async def test_nothing_is_lost_doubled_or_reordered_through_three_kills(
    own_server: BusServer,
) -> None:
    gateway = await connect(own_server.url, own_server.seed(Role.GATEWAY), "gateway")
    recorder = await connect(own_server.url, own_server.seed(Role.RECORDER), "recorder")
    tail = StreamTail(recorder, READING_STREAM, subjects=[all_groups(Kind.READING)])
    reading = asyncio.create_task(read_all(tail, MESSAGES_COUNT))
    async with Publisher(gateway, window_count=500) as publisher:
        for number in range(MESSAGES_COUNT):
            await publisher.publish(TO, str(number).encode(), f"g1:1:{number}")
            if number in KILL_AT:
                await own_server.kill()
                await own_server.start()
    assert publisher.resent_count > 0  # the kills did hit messages in flight
    assert await reading == list(range(MESSAGES_COUNT))
    assert (await recorder.js.stream_info(READING_STREAM)).state.messages == MESSAGES_COUNT
    assert recorder.disconnect_count >= 1
    await close(tail, gateway, recorder)


@pytest.mark.fault
async def test_what_is_published_while_the_server_is_away_arrives(own_server: BusServer) -> None:
    gateway = await connect(own_server.url, own_server.seed(Role.GATEWAY), "gateway")
    recorder = await connect(own_server.url, own_server.seed(Role.RECORDER), "recorder")
    tail = StreamTail(recorder, READING_STREAM)
    async with Publisher(gateway) as publisher:
        await publisher.publish(TO, b"0", "g1:1:0")
        assert await read_all(tail, 1) == [0]
        await own_server.kill()
        for number in range(1, 100):
            await publisher.publish(TO, str(number).encode(), f"g1:1:{number}")
        assert await tail.fetch(10, 0.05) == []  # an absent server looks like a silent one
        await own_server.start()
    assert await read_all(tail, 99) == list(range(1, 100))
    await close(tail, gateway, recorder)


@pytest.mark.fault
async def test_what_waited_for_the_socket_does_not_overtake_what_is_sent_again(
    own_server: BusServer,
) -> None:
    gateway = await connect(own_server.url, own_server.seed(Role.GATEWAY), "gateway")
    recorder = await connect(own_server.url, own_server.seed(Role.RECORDER), "recorder")
    count, size = 1_000, 16_384  # 16 MB: more than the sockets' buffers take from a stopped reader
    assert own_server.pid is not None
    os.kill(own_server.pid, signal.SIGSTOP)
    async with Publisher(gateway) as publisher:
        for number in range(count):
            await publisher.publish(TO, str(number).encode().ljust(size), f"g1:1:{number}")
            if number % 50 == 0:
                await asyncio.sleep(0)  # the library writes what fits, and keeps the rest
        await own_server.kill()
        await own_server.start()
    tail = StreamTail(recorder, READING_STREAM)
    assert await read_all(tail, count) == list(range(count))
    await close(tail, gateway, recorder)


@pytest.mark.fault
async def test_a_service_answers_again_after_a_restart(own_server: BusServer) -> None:
    host = await connect(own_server.url, own_server.seed(Role.TWIN_HOST), "host")
    api = await connect(own_server.url, own_server.seed(Role.API), "api")

    async def echo(request: Request, _meter: str, _deadline_s: float) -> object:
        return request.arguments["n"]

    service = await serve(host, "mt.g1.request.*", "twins", {"echo": echo})
    assert await ask(api, "mt.g1.request.m1", Request("echo", {"n": 1}), 5, int) == 1
    await own_server.kill()
    async with asyncio.timeout(5):
        while api.is_connected:  # noqa: ASYNC110 - until the socket's end has been noticed
            await asyncio.sleep(0.001)
    with pytest.raises(UnavailableError, match=r"The bus is away, echo at mt\.g1\.request\.m1 has"):
        await ask(api, "mt.g1.request.m1", Request("echo", {"n": 2}), 5, int)
    assert not await api.say("mt.g1.request.m1", b"live")
    await own_server.start()
    await asyncio.gather(host.wait_connected(), api.wait_connected())
    assert await ask(api, "mt.g1.request.m1", Request("echo", {"n": 3}), 5, int) == 3
    await service.stop()
    await close(None, host, api)


async def close(tail: StreamTail | None, *buses: Bus) -> None:
    if tail is not None:
        await tail.close()
    for bus in buses:
        await bus.close()
