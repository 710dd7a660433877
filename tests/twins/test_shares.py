"""A group cut into shares: each with a host of its own, and nobody who asks has to know."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from tests.twins.hosting import Site

from metertwin.bus.buckets import keys_of_stream
from metertwin.bus.credentials import Role
from metertwin.bus.messages import Request, decode_command
from metertwin.bus.ownership import current_epoch, current_holder, lots_claimed, twins_key
from metertwin.bus.publish import Publisher
from metertwin.bus.subjects import OWNERS_BUCKET
from metertwin.core.command import CommandKind, CommandOutcome, CommandStatus
from metertwin.core.errors import ConflictError, InvalidInputError, UnavailableError
from metertwin.core.ids import GroupId, MeterId, lot_of
from metertwin.core.twin import LedgerLine, TwinDocument
from metertwin.twins.apps.objections import Objection
from metertwin.twins.control import HostControl
from metertwin.twins.group import CutOtherwiseError, check_cut
from metertwin.twins.host import TwinHost
from metertwin.twins.settings import AppGrant, GroupSettings, TwinHostSettings

POWER = 0
METERS = tuple(map(MeterId, "abcde"))


def _shares(site: Site, size: int, apps: tuple[AppGrant, ...] = ()) -> tuple[GroupSettings, ...]:
    return GroupSettings(id=site.group, meters=METERS, apps=apps, twins_per_container=size).shares()


@contextlib.asynccontextmanager
async def _host(
    site: Site,
    name: str,
    groups: tuple[GroupSettings, ...],
    guests: tuple[GroupSettings, ...] = (),
) -> AsyncIterator[TwinHost]:
    settings = TwinHostSettings(name=name, groups=groups, guests=guests, checkpoint_every_s=0.05)
    bus = await site.connect(Role.TWIN_HOST)
    async with Publisher(bus) as publisher:
        host = TwinHost(settings, bus, site.clock, publisher)
        task = asyncio.create_task(host.run())
        try:
            async with asyncio.timeout(10):
                while len(host.hosted) < len(groups) and not task.done():  # noqa: ASYNC110 - no event tells
                    await asyncio.sleep(0.01)
            if task.done():
                task.result()
            yield host
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@contextlib.asynccontextmanager
async def _cut(
    site: Site, size: int, apps: tuple[AppGrant, ...] = ()
) -> AsyncIterator[list[TwinHost]]:
    """Run a host for each share."""
    async with contextlib.AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(_host(site, f"host-{share.share}", (share,)))
            for share in _shares(site, size, apps)
        ]


async def test_each_share_takes_its_own_of_what_comes_for_all(site: Site) -> None:
    async with _cut(site, 2) as hosts:
        await site.publish(*((str(meter), 1, [(POWER, n, 0.0)]) for n, meter in enumerate(METERS)))
        lines = await site.until_received(5)
        assert lines == [LedgerLine(meter, 1, 1, 0, 0) for meter in METERS]
        held = [list(next(iter(host.hosted.values())).group.columns.meters) for host in hosts]
        assert held == [["a", "b"], ["c", "d"], ["e"]]
        twin = await site.ask("twin", "d", TwinDocument)
        assert twin.meter == "d"


async def test_a_host_may_have_several_shares_each_where_it_is_in_the_stream(site: Site) -> None:
    first, second, third = _shares(site, 2)
    async with _host(site, "host-1", (first,)), _host(site, "host-2", (second, third)) as rest:
        await site.publish(("a", 1, [(POWER, 1, 0)]), ("c", 1, [(POWER, 2, 0)]))
        await site.until_received(2)
        await site.publish(
            ("d", 1, [(POWER, 3, 0)]), ("e", 1, [(POWER, 4, 0)]), ("b", 1, [(0, 1, 0)])
        )
        assert [line.taken for line in await site.until_received(5)] == [1, 1, 1, 1, 1]
        assert rest.refused_count == 0
    async with _host(site, "host-1", (first,)), _host(site, "host-2", (second, third)):
        await site.publish(("e", 2, [(POWER, 5, 1)]))
        lines = {line.meter: line for line in await site.until_received(6)}
        assert lines[MeterId("e")] == LedgerLine(MeterId("e"), 2, 2, 0, 0)
        assert lines[MeterId("a")] == LedgerLine(MeterId("a"), 1, 1, 0, 0)


async def test_what_is_damaged_is_refused_once_not_once_a_share(site: Site) -> None:
    async with _host(site, "host-1", _shares(site, 1)) as host:
        to = f"mt.{site.group}.reading._"
        async with Publisher(site.gateway) as publisher:
            await publisher.publish(to, b"no message", f"{site.group}:damage")
        await site.publish(("a", 1, [(POWER, 1, 0)]))
        await site.until_received(1)
        assert host.refused_count == 1


async def test_a_page_of_the_group_goes_over_its_shares(site: Site) -> None:
    async with _cut(site, 2):
        every: list[str] = []
        for offset in range(0, 7, 3):
            page = await site.ask("twins", "_", dict, {"offset": offset, "limit": 3})
            assert page["total"] == 5
            every += [item["meter"] for item in page["items"]]
        assert every == list(METERS)
        with pytest.raises(InvalidInputError, match="limit 1 to 1000"):
            await site.ask("twins", "_", dict, {"limit": 0})


async def test_how_a_group_stands_is_how_its_shares_stand(site: Site) -> None:
    async with _cut(site, 2):
        await site.publish(*((str(meter), 1, [(POWER, 1, 0.0)]) for meter in METERS))
        await site.until_received(5)
        facts = await site.ask("host", "_", dict)
        assert (facts["group"], facts["twins"], facts["in_step"]) == (site.group, 5, 5)
        assert [each["host"] for each in facts["shares"]] == ["host-1", "host-2", "host-3"]
        assert [each["twins"] for each in facts["shares"]] == [2, 2, 1]
        one = await site.ask("host", "_2", dict)
        assert (one["share"], one["shares_count"], one["twins"]) == (2, 3, 2)


async def test_a_meter_is_answered_by_its_share_while_another_is_away(site: Site) -> None:
    first, second, third = _shares(site, 2)
    async with _host(site, "host-1", (first,)), _host(site, "host-3", (third,)):
        assert (await site.ask("twin", "e", TwinDocument)).meter == "e"
        with pytest.raises(UnavailableError, match=f"Share {second.lot} has no host that answers"):
            await site.ask("ledger", "_", list[LedgerLine])
        with pytest.raises(UnavailableError, match="Nobody answers"):
            await site.ask("twin", "c", TwinDocument)


async def test_a_request_of_one_meter_asked_of_the_group_is_told_so(site: Site) -> None:
    async with _cut(site, 3):
        with pytest.raises(InvalidInputError, match="twin is asked of one meter"):
            await site.ask("twin", "_", dict)
        with pytest.raises(InvalidInputError, match="host is asked of the whole group"):
            await site.ask("host", "a", dict)


async def test_a_share_goes_to_another_host_and_misses_nothing(site: Site) -> None:
    first, second, _ = _shares(site, 2)
    async with (
        _host(site, "host-1", (first,)),
        _host(site, "host-3", _shares(site, 2)[2:]),
        _host(site, "host-2", (second,)) as host_2,
        _host(site, "host-9", (), (second,)) as host_9,
    ):
        giver, taker = host_2, host_9
        turns_count, published_count, turn = 4, 0, 0

        async def read_on() -> None:
            nonlocal published_count
            while turn < turns_count:
                published_count += 1
                runs = [
                    (str(meter), published_count, [(POWER, 1, float(turn))]) for meter in METERS
                ]
                await site.publish(*runs)

        async def ask_on() -> int:
            asked_count = 0
            while turn < turns_count:
                facts = await site.ask("host", "_", dict)  # waits, and is never refused
                assert facts["twins"] == 5
                asked_count += 1
            return asked_count

        reading, asking = asyncio.create_task(read_on()), asyncio.create_task(ask_on())
        while turn < turns_count:
            await giver.hand_over(second.lot, taker.settings.name)
            await taker.take(second)
            await giver.pass_on(second.lot)
            giver, taker, turn = taker, giver, turn + 1
        await reading
        assert await asking > 0
        lines = await site.until_received(5 * published_count)
        assert {(line.received, line.missing, line.duplicate) for line in lines} == {
            (published_count, 0, 0)
        }
        assert await current_holder(giver.bus, twins_key(lot_of(site.group, 1))) == "host-1"


async def test_a_share_that_was_given_is_taken_back_when_its_host_starts_again(site: Site) -> None:
    _, second, _ = _shares(site, 2)
    async with (
        _host(site, "host-2", (second,)) as giver,
        _host(site, "host-9", (), (second,)) as taker,
    ):
        await giver.hand_over(second.lot, "host-9")
        await taker.take(second)
        await giver.pass_on(second.lot)
    async with _host(site, "host-9", (), (second,)) as taker, asyncio.timeout(10):
        while second.lot not in taker.hosted:  # noqa: ASYNC110 - the product's state
            await asyncio.sleep(0.01)
        assert (await site.ask("host", "_2", dict))["host"] == "host-9"


async def test_who_speaks_for_the_group_may_move_while_it_is_asked(site: Site) -> None:
    first, second = _shares(site, 3)
    async with (
        _host(site, "host-1", (first,)) as giver,
        _host(site, "host-9", (), (first,)) as taker,
        _host(site, "host-2", (second,)),
    ):
        asking = [asyncio.create_task(site.ask("host", "_", dict)) for _ in range(20)]
        await giver.hand_over(first.lot, "host-9")
        asking += [asyncio.create_task(site.ask("host", "_", dict)) for _ in range(20)]
        await taker.take(first)
        await giver.pass_on(first.lot)
        assert [(await each)["twins"] for each in asking] == [5] * 40


async def test_a_command_is_its_share_owners(site: Site) -> None:
    async with _cut(site, 2) as hosts:
        arguments = {"id": f"{site.group}-1", "kind": CommandKind.SET_LIMIT, "issued_by": "test"}
        sent = await site.gateway.nc.subscribe(f"mt.{site.group}.command.*")
        await site.gateway.nc.flush()
        told = await site.ask(
            "command", "c", CommandOutcome, {**arguments, "arguments": {"limit_w": 1000}}
        )
        assert told.status is CommandStatus.ACCEPTED
        message = await sent.next_msg(timeout=5)
        assert message.subject.endswith(".command.c")
        epoch = await current_epoch(hosts[1].bus, twins_key(lot_of(site.group, 2)))
        command = decode_command(message.data)
        assert (command.share, command.epoch) == (2, epoch)


@pytest.mark.usefixtures("counting_app")
async def test_what_an_app_is_asked_of_the_group_each_share_answers(site: Site) -> None:
    counting = AppGrant("counting", grants=(CommandKind.DISCONNECT,))
    async with _cut(site, 2, (counting,)) as hosts:
        answer = await site.ask("set_count_limit", "_", dict, {"limit_wh": 3})
        assert [each["share"] for each in answer["shares"]] == [1, 2, 3]
        facts = await site.ask("host", "_", dict)
        (app,) = facts["apps"]
        assert (app["standing"], app["tally"]["request_count"]) == ("running", 3)
        host = next(iter(hosts[1].hosted.values()))
        host.apps.apps[0].refuse("for the test")
        (app,) = (await site.ask("host", "_", dict))["apps"]
        assert (app["standing"], app["reason"]) == ("refused", "for the test")


@pytest.mark.usefixtures("counting_app")
async def test_an_app_that_only_some_shares_have_is_told_as_such(site: Site) -> None:
    counting = AppGrant("counting", grants=(CommandKind.DISCONNECT,))
    first, _ = _shares(site, 3, (counting,))
    _, second = _shares(site, 3)
    async with _host(site, "host-1", (first,)), _host(site, "host-2", (second,)):
        facts = await site.ask("host", "_", dict)
        (app,) = facts["apps"]
        assert (facts["twins"], app["name"], app["standing"], app["reason"]) == (
            *(5, "counting", "refused"),
            "Only 1 of 2 shares have it.",
        )


@pytest.mark.usefixtures("counting_app")
async def test_an_app_of_a_share_may_ask_a_rollout_to_wait(site: Site) -> None:
    config = {"not_now": ["counting a heavy hour", 90]}
    counting = AppGrant("counting", grants=(CommandKind.DISCONNECT,), config=config)
    async with _cut(site, 2, (counting,)) as hosts:
        for share, host in enumerate(hosts, start=1):
            request = Request("objections", {"group": lot_of(site.group, share)})
            control = HostControl(host.settings.name, [host])
            said = await control.objections(request, host.settings.name, 5.0)
            assert said.objections == (Objection("counting", "counting a heavy hour", 90.0),)


@pytest.mark.usefixtures("counting_app")
async def test_an_app_that_must_see_all_is_refused_in_a_share(site: Site) -> None:
    config = {"needs_whole_group": True}
    counting = AppGrant("counting", grants=(CommandKind.DISCONNECT,), config=config)
    async with _cut(site, 4, (counting,)):
        (app,) = (await site.ask("host", "_", dict))["apps"]
        assert app["standing"] == "refused"
        assert "must see all twins of group" in app["reason"]


async def test_a_group_is_not_cut_otherwise_than_it_was(site: Site) -> None:
    async with _cut(site, 2):
        await site.publish(*((str(meter), 1, [(POWER, 1, 0.0)]) for meter in METERS))
        await site.until_received(5)
    with pytest.raises(CutOtherwiseError, match="shall be whole and was cut into 3 shares"):
        async with _host(site, "host-1", _shares(site, 0)):
            pass
    with pytest.raises(CutOtherwiseError, match="cut into 2 shares and was cut into 3 shares"):
        async with _host(site, "host-1", _shares(site, 4)[:1]):
            pass
    finer = _shares(site, 1)[0]
    with pytest.raises(ConflictError, match=r"has a past with 1 twins, b among them"):
        async with _host(site, "host-1", (), (finer,)) as host:
            await host.take(finer)


def test_growing_by_a_share_is_no_other_cut() -> None:
    of_four = GroupSettings(id=GroupId("g"), meters=METERS[:4], twins_per_container=2).shares()
    of_five = GroupSettings(id=GroupId("g"), meters=METERS, twins_per_container=2).shares()
    assert len(of_five) == len(of_four) + 1
    for share in of_five:
        check_cut(share, [each.lot for each in of_four])
    with pytest.raises(CutOtherwiseError, match="shall be cut into 3 shares and was whole"):
        check_cut(of_five[0], [lot_of(GroupId("g"), 0)])


async def test_how_a_group_is_cut_is_found_however_the_bucket_is_looked_at(site: Site) -> None:
    async with _cut(site, 2) as hosts:
        claimed = [lot_of(site.group, share) for share in (1, 2, 3)]
        assert await lots_claimed(hosts[0].bus, site.group) == claimed
        owners = await hosts[0].bus.js.key_value(OWNERS_BUCKET)
        # What is asked where the library missed all keys; see `keys_under`.
        assert {f"twins.{lot}" for lot in claimed} <= {*await keys_of_stream(owners, "twins.")}
