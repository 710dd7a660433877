"""Requests: answers, deadlines, silence, and errors that arrive as what they were."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from metertwin.bus.connection import Bus
from metertwin.bus.credentials import Role
from metertwin.bus.messages import Request, decode_answer
from metertwin.bus.requests import Service, ask, serve
from metertwin.bus.subjects import Kind, of_group, subject
from metertwin.bus.wire import WireError, WireVersionError
from metertwin.core.errors import (
    DeadlineError,
    InvalidInputError,
    MeterTwinError,
    NotFoundError,
    UnavailableError,
)
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.twin import LedgerLine

Connect = Callable[[Role], Awaitable[Bus]]
METER = MeterId("m1")


class Host:
    """Answers like a twin host would, and remembers what it was told."""

    def __init__(self) -> None:
        self.deadlines_s: list[float] = []
        self.was_cancelled = asyncio.Event()
        self.may_go_on = asyncio.Event()

    async def ledger(self, request: Request, meter: str, deadline_s: float) -> LedgerLine:
        self.deadlines_s.append(deadline_s)
        return LedgerLine(MeterId(meter), 5, int(request.arguments["taken"]), 1, 0)

    async def missing(self, _request: Request, meter: str, _deadline_s: float) -> object:
        raise NotFoundError(f"No twin {meter}.", meter=meter)

    async def broken(self, _request: Request, _meter: str, _deadline_s: float) -> object:
        raise ZeroDivisionError

    async def endless(self, _request: Request, _meter: str, _deadline_s: float) -> object:
        try:
            await self.may_go_on.wait()
        except asyncio.CancelledError:
            self.was_cancelled.set()
            raise
        return None

    async def large(self, _request: Request, _meter: str, _deadline_s: float) -> object:
        return b"x" * 9_000_000

    async def start(self, bus: Bus, group: GroupId, max_concurrent: int = 1000) -> Service:
        handlers = {
            "ledger": self.ledger,
            "missing": self.missing,
            "broken": self.broken,
            "endless": self.endless,
            "large": self.large,
        }
        return await serve(bus, of_group(group, Kind.REQUEST), "twins", handlers, max_concurrent)


async def test_an_answer_is_typed_and_the_deadline_travels(
    connect_as: Connect, group: GroupId
) -> None:
    host = Host()
    service = await host.start(await connect_as(Role.TWIN_HOST), group)
    to = subject(group, Kind.REQUEST, METER)
    request = Request("ledger", {"taken": 5})
    answer = await ask(await connect_as(Role.API), to, request, 2.5, LedgerLine)
    assert answer == LedgerLine(METER, 5, 5, 1, 0)
    assert host.deadlines_s == [2.5]
    await service.stop()


async def test_each_request_is_answered_once_by_those_who_share_a_queue(
    connect_as: Connect, group: GroupId
) -> None:
    hosts = [Host(), Host()]
    services = [await host.start(await connect_as(Role.TWIN_HOST), group) for host in hosts]
    client = await connect_as(Role.CLIENT)
    to = subject(group, Kind.REQUEST, METER)
    answers = await asyncio.gather(
        *(ask(client, to, Request("ledger", {"taken": n}), 5, LedgerLine) for n in range(50))
    )
    assert [answer.taken for answer in answers] == list(range(50))
    assert sum(len(host.deadlines_s) for host in hosts) == 50
    for service in services:
        await service.stop()


async def test_errors_come_back_as_what_they_were(connect_as: Connect, group: GroupId) -> None:
    service = await Host().start(await connect_as(Role.TWIN_HOST), group)
    api = await connect_as(Role.API)
    to = subject(group, Kind.REQUEST, METER)
    with pytest.raises(NotFoundError, match=r"^No twin m1\.$") as missing:
        await ask(api, to, Request("missing"), 2, object)
    assert missing.value.facts == {"meter": "m1"}
    with pytest.raises(NotFoundError, match=r"no request 'usage'.*; there are broken, endless, la"):
        await ask(api, to, Request("usage"), 2, object)
    with pytest.raises(MeterTwinError, match="its log says why") as broken:
        await ask(api, to, Request("broken"), 2, object)
    assert broken.value.code == "internal"
    with pytest.raises(
        InvalidInputError, match=r"answer has 9\d+ bytes, a message carries 8388608"
    ):
        await ask(api, to, Request("large"), 5, object)
    with pytest.raises(InvalidInputError, match="exceeds the 8388608 bytes"):
        await ask(api, to, Request("ledger", {"taken": "x" * 9_000_000}), 2, object)
    with pytest.raises(WireError, match=r"Answer of .* is damaged"):
        await ask(api, to, Request("ledger", {"taken": 1}), 2, list[int])
    await service.stop()


async def test_nobody_there_is_told_at_once(connect_as: Connect, group: GroupId) -> None:
    to = subject(group, Kind.REQUEST, METER)
    with pytest.raises(UnavailableError, match=f"Nobody answers at {to}: the part that hosts it"):
        await ask(await connect_as(Role.API), to, Request("twin"), 60, object)


async def test_a_deadline_ends_both_the_waiting_and_the_work(
    connect_as: Connect, group: GroupId
) -> None:
    host = Host()
    service = await host.start(await connect_as(Role.TWIN_HOST), group)
    to = subject(group, Kind.REQUEST, METER)
    with pytest.raises(DeadlineError, match=r"endless at .* (answered|done) within 0.05 s"):
        await ask(await connect_as(Role.API), to, Request("endless"), 0.05, object)
    async with asyncio.timeout(5):
        await host.was_cancelled.wait()
    await service.stop()


async def test_a_busy_host_turns_away_at_once(connect_as: Connect, group: GroupId) -> None:
    host = Host()
    service = await host.start(await connect_as(Role.TWIN_HOST), group, max_concurrent=1)
    api = await connect_as(Role.API)
    to = subject(group, Kind.REQUEST, METER)
    first = asyncio.create_task(ask(api, to, Request("endless"), 30, object))
    await asyncio.sleep(0)
    with pytest.raises(UnavailableError, match="busy with 1 requests"):
        await ask(api, to, Request("endless"), 30, object)
    host.may_go_on.set()
    assert await first is None
    await service.stop()


async def test_a_subject_that_is_no_text_does_not_stop_a_service(
    connect_as: Connect, group: GroupId
) -> None:
    service = await Host().start(await connect_as(Role.TWIN_HOST), group)
    client = await connect_as(Role.CLIENT)
    octets = b"PUB mt.%s.request.\xff _INBOX_client.x 1\r\n?\r\n" % group.encode()
    await client.nc._send_command(octets)
    await client.nc.settle()
    to = subject(group, Kind.REQUEST, METER)
    answer = await ask(client, to, Request("ledger", {"taken": 1}), 5, LedgerLine)
    assert answer.taken == 1
    await service.stop()


async def test_other_versions_and_damage_are_answered(connect_as: Connect, group: GroupId) -> None:
    service = await Host().start(await connect_as(Role.TWIN_HOST), group)
    api = await connect_as(Role.API)
    to = subject(group, Kind.REQUEST, METER)
    for octets, family, words in (
        (b"\x92\x02\x80", WireVersionError, "version 2, this program speaks version 1"),
        (b"\xc1", WireError, "damaged"),
        (b"", WireError, "damaged"),
    ):
        message = await api.nc.request(to, octets, 2)
        with pytest.raises(InvalidInputError, match=words) as caught:
            decode_answer(message.data, object)
        assert caught.value.code == family.code
    await service.stop()


async def test_who_asks_during_a_hand_over_is_answered_by_the_next_host(
    connect_as: Connect, group: GroupId
) -> None:
    begun, asked = asyncio.Event(), Request("name")
    to = subject(group, Kind.REQUEST, "m1")

    async def slow(_request: Request, _meter: str, _deadline_s: float) -> str:
        begun.set()
        await asyncio.Event().wait()
        return "never"

    async def new(_request: Request, meter: str, deadline_s: float) -> str:
        assert 0 < deadline_s < 5.0
        return f"new host of {meter}"

    bus, client = await connect_as(Role.TWIN_HOST), await connect_as(Role.CLIENT)
    old_service = await serve(bus, of_group(group, Kind.REQUEST), f"twins-{group}", {"name": slow})
    first = asyncio.create_task(ask(client, to, asked, 5.0, str))
    await begun.wait()
    await old_service.hold(drain_s=0.05)
    second = asyncio.create_task(ask(client, to, asked, 5.0, str))
    await asyncio.sleep(0.05)
    other = await connect_as(Role.TWIN_HOST)
    await serve(other, of_group(group, Kind.REQUEST), f"twins-{group}", {"name": new})
    assert not first.done()
    assert await old_service.pass_on() == 2
    assert [await first, await second] == ["new host of m1"] * 2


async def test_a_hand_over_that_fails_leaves_nobody_without_an_answer(
    connect_as: Connect, group: GroupId
) -> None:
    async def name(_request: Request, meter: str, _deadline_s: float) -> str:
        return f"old host of {meter}"

    bus, client = await connect_as(Role.TWIN_HOST), await connect_as(Role.CLIENT)
    service = await serve(bus, of_group(group, Kind.REQUEST), "twins", {"name": name})
    await service.hold(drain_s=0.05)
    to = subject(group, Kind.REQUEST, "m1")
    waiting = asyncio.create_task(ask(client, to, Request("name"), 5.0, str))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    service.resume()
    assert await waiting == "old host of m1"


async def test_what_is_passed_on_finds_a_host_that_comes_later_also_the_same_one(
    connect_as: Connect, group: GroupId
) -> None:
    async def name(_request: Request, meter: str, _deadline_s: float) -> str:
        return f"host of {meter}"

    bus, client = await connect_as(Role.TWIN_HOST), await connect_as(Role.CLIENT)
    where, queue = of_group(group, Kind.REQUEST), f"twins-{group}"
    old_service = await serve(bus, where, queue, {"name": name})
    await old_service.hold(drain_s=0.05)
    to = subject(group, Kind.REQUEST, "m1")
    waiting = asyncio.create_task(ask(client, to, Request("name"), 5.0, str))
    await asyncio.sleep(0.05)
    assert await old_service.pass_on() == 1
    await asyncio.sleep(0.1)  # nobody serves
    assert not waiting.done()
    await serve(bus, where, queue, {"name": name})
    assert await waiting == "host of m1"
