# ruff: noqa: ANN401 - conftest's Site cannot be imported under importlib mode
"""The live stream: filters, and what a slow client is told."""

import asyncio
import socket
from collections import deque
from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from metertwin.api.live import Interest, Listener, LiveHub, chunks
from metertwin.bus.messages import encode
from metertwin.core.event import Event, EventSource
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.output import AppOutput

NOW = datetime(2026, 3, 29, 12, 0, tzinfo=UTC)
STREAM = "/v1/events/stream"


def state(*meters: str) -> bytes:
    return msgspec.msgpack.encode((1, [{"meter": meter, "status": "in_step"} for meter in meters]))


async def next_frames(lines: Any, count: int) -> list[tuple[str, dict[str, Any]]]:
    """Read `count` events of a stream; comments are passed over."""
    frames: list[tuple[str, dict[str, Any]]] = []
    name = ""
    async for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            frames.append((name, msgspec.json.decode(line.removeprefix("data: "))))
        if len(frames) == count:
            break
    return frames


async def test_a_client_hears_what_it_asked_for_and_nothing_else(site: Any) -> None:
    parameters = {"group": "g1", "meter": ["m-00001", "m-00002"], "kind": ["state", "event"]}
    async with site.http.stream("GET", STREAM, params=parameters) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        assert await anext(lines) == ": still here"
        happened = Event(MeterId("m-00002"), EventSource.METER, 1, "power_down", NOW, NOW)
        bus = site.twin_host.nc
        await bus.publish("mt.g2.state._", state("m-00001"))  # of another group
        await bus.publish("mt.g1.state._", b"\x00 damaged")
        await bus.publish("mt.g1.state._", state("m-00003", "m-00001"))
        await bus.publish("mt.g1.event.m-00002", encode(happened))
        frames = await next_frames(lines, 2)
    assert frames[0] == ("state", {"meter": "m-00001", "status": "in_step"})
    assert frames[1][0] == "event"
    assert frames[1][1]["name"] == "power_down"
    assert frames[1][1]["captured_at"] == "2026-03-29T12:00:00Z"


async def test_what_apps_conclude_is_heard_as_it_comes(site: Any) -> None:
    async with site.http.stream("GET", STREAM, params={"kind": "output"}) as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == ": still here"
        bus = site.twin_host.nc
        await bus.publish("mt.g1.output.m-00002", b"\x00 damaged")
        for meter, name in ((MeterId("m-00002"), "bill"), (None, "summary")):
            value = {"total": "1.50"}
            said = AppOutput("tariff", "1.0", GroupId("g1"), meter, name, NOW, 1, NOW, value)
            await bus.publish(f"mt.g1.output.{meter or '_'}", encode(said))
        frames = await next_frames(lines, 2)
    assert [(kind, said["meter"], said["name"]) for kind, said in frames] == [
        ("output", "m-00002", "bill"),
        ("output", None, "summary"),
    ]
    assert frames[0][1]["at"] == "2026-03-29T12:00:00Z"
    assert frames[0][1]["value"] == {"total": "1.50"}


async def test_a_client_that_does_not_read_is_told_how_many_it_missed(site: Any) -> None:
    messages, twins = 60, 1_000
    meters = [f"m-{number:05}" for number in range(twins)]
    reader, writer = await slow_connection(site)
    await reader.readuntil(b": still here")
    for _ in range(messages):
        await site.twin_host.nc.publish("mt.g1.state._", state(*meters))
    await site.twin_host.nc.flush()
    while "metertwin_stream_missed_total 0.0" in (await site.http.get("/metrics")).text:
        pass  # each question lets the API go on
    # Whatever was sent or missed adds up to what happened.
    seen = missed = 0
    async with asyncio.timeout(20):
        while seen + missed < messages * twins:
            line = await reader.readline()
            if line.startswith(b'data: {"missed_count":'):
                missed += msgspec.json.decode(line.removeprefix(b"data: "))["missed_count"]
            elif line.startswith(b"data: "):
                seen += 1
    assert missed > 0
    assert seen + missed == messages * twins
    writer.close()
    await writer.wait_closed()


async def slow_connection(site: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open the stream with as little buffer as the kernel allows, so that not reading shows."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(0)
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", site.port))
    reader, writer = await asyncio.open_connection(sock=client, limit=2**16)
    request = f"GET {STREAM} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {site.token}\r\n\r\n"
    writer.write(request.encode())
    await writer.drain()
    return reader, writer


async def test_streams_end_when_the_api_does(site: Any) -> None:
    async with site.http.stream("GET", STREAM) as answer:
        lines = answer.aiter_lines()
        await anext(lines)
        site.stop.set()
        async with asyncio.timeout(10):
            rest = [line async for line in lines if line]
    assert rest == []


async def test_silence_is_filled_with_comments() -> None:
    listener = Listener(Interest(), deque(maxlen=3))
    stream = chunks(listener, heartbeat_s=0.01)
    assert [await anext(stream), await anext(stream)] == [b": still here\n\n"] * 2
    listener.close()
    assert [chunk async for chunk in stream] == []


@given(
    offers=st.lists(st.integers(min_value=0, max_value=30), max_size=12),
    limit=st.integers(min_value=1, max_value=10),
)
def test_what_is_taken_and_what_is_missed_is_what_was_offered(
    offers: list[int], limit: int
) -> None:
    missed: list[None] = []
    hub = LiveHub(lambda: missed.append(None), queue_limit=limit)
    taken = told = offered = 0
    with hub.listening(Interest(groups=frozenset({"g1"}))) as listener:
        for burst in offers:
            for _ in range(burst):
                hub.publish("state", "g1", "m", {"n": offered})
                hub.publish("state", "g2", "m", {"n": -1})
                offered += 1
            frames = listener.take().split(b"\n\n")[:-1]
            for frame in frames:
                content = msgspec.json.decode(frame.split(b"data: ")[1])
                told += content.get("missed_count", 0)
                taken += "n" in content
    assert taken + told == offered
    assert len(missed) == told
    assert hub.listener_count == 0


def test_nothing_is_decoded_for_nobody() -> None:
    hub = LiveHub(lambda: None)
    assert not hub.wants("state", "g1")
    with hub.listening(Interest(kinds=frozenset({"event"}))):
        assert not hub.wants("state", "g1")
        assert hub.wants("event", "g1")
