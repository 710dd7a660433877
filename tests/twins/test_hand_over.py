"""A group goes from one host to another: one owner at each moment, nothing lost, nobody refused."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from tests.twins.hosting import Site

from metertwin.bus.credentials import Role
from metertwin.bus.messages import Request, encode
from metertwin.bus.ownership import (
    SupersededError,
    claim,
    current_epoch,
    current_holder,
    hand_over,
    twins_key,
)
from metertwin.bus.publish import Publisher
from metertwin.bus.subjects import COMMAND_STREAM, Kind, of_group, subject
from metertwin.bus.tail import StreamTail
from metertwin.core.command import CommandOutcome, CommandStatus
from metertwin.core.errors import ConflictError, NotFoundError, UnavailableError
from metertwin.core.ids import CommandId, LotId, MeterId
from metertwin.core.twin import LedgerLine
from metertwin.twins.control import HostControl
from metertwin.twins.host import TwinHost
from metertwin.twins.owned import NotHostedError
from metertwin.twins.settings import GroupSettings, TwinHostSettings

IMPORT, POWER = 0, 1
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@contextlib.asynccontextmanager
async def next_host(site: Site, name: str = "host-2") -> AsyncIterator[TwinHost]:
    """A second host that knows the group and takes it only when it is handed over."""
    group = GroupSettings(id=site.group, meters=(MeterId("a"), MeterId("b")))
    settings = TwinHostSettings(name=name, groups=(), guests=(group,), checkpoint_every_s=0.05)
    bus = await site.connect(Role.TWIN_HOST)
    async with Publisher(bus) as publisher:
        host = TwinHost(settings, bus, site.clock, publisher)
        task = asyncio.create_task(host.run())
        try:
            yield host
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def _guest(host: TwinHost) -> GroupSettings:
    return host.settings.guests[0]


async def test_a_group_moves_with_its_readings_its_ledger_and_what_is_wanted(site: Site) -> None:
    async with site.host() as (first, _), next_host(site) as second:
        await site.publish(("a", 1, [(POWER, 1, 0), (POWER, 2, 1)]))
        await site.until_received(2)
        await site.ask("desired", "a", dict, arguments={"changes": {"limit_w": 3000}})
        epoch = await first.hand_over(site.group, "host-2")
        hosted = await second.take(_guest(second))
        assert hosted.epoch > epoch
        assert await first.pass_on(site.group) == 0
        await site.publish(("a", 3, [(POWER, 3, 2)]))
        lines = await site.until_received(3)
        assert lines[0] == LedgerLine(MeterId("a"), 3, 3, 0, 0)
        told = await site.ask("twin", "a", dict)
        assert (told["epoch"], told["desired"]) == (hosted.epoch, {"limit_w": 3000})
        assert (await site.ask("host", "_", dict))["host"] == "host-2"


async def test_nobody_who_asks_during_the_move_is_refused(site: Site) -> None:
    async with site.host() as (first, _), next_host(site) as second:
        await site.publish(("a", 1, [(POWER, 7, 0)]))
        await site.until_received(1)
        answered: list[str] = []
        is_over = asyncio.Event()

        async def ask_on() -> None:
            while not is_over.is_set():
                answered.append((await site.ask("host", "_", dict))["host"])

        asking = [asyncio.create_task(ask_on()) for _ in range(8)]
        hosts = [first, second]
        for turn in range(6):
            giver, taker = hosts[turn % 2], hosts[(turn + 1) % 2]
            settings = _guest(second)
            await giver.hand_over(site.group, taker.settings.name)
            await asyncio.sleep(0.02)
            await taker.take(settings)
            await giver.pass_on(site.group)
            await asyncio.sleep(0.05)
        is_over.set()
        await asyncio.gather(*asking)  # raises whatever one of them was told
        assert {"host-1", "host-2"} == set(answered)


async def test_a_host_that_gave_a_group_away_can_write_nothing_of_it(site: Site) -> None:
    async with site.host() as (first, _), next_host(site) as second:
        await site.publish(("a", 1, [(POWER, 1, 0)]))
        await site.until_received(1)
        zombie = first.hosted[site.group]
        epoch = await first.hand_over(site.group, "host-2")
        await second.take(_guest(second))
        zombie.apps.has_news = True
        with pytest.raises(SupersededError, match="may write nothing more"):
            await zombie.save()
        with pytest.raises(UnavailableError, match="is being handed over"):
            await zombie.check_owner()
        with pytest.raises(SupersededError, match="may not hand it over"):
            await hand_over(first.bus, twins_key(site.group), zombie.epoch, "host-3")
        assert await first.hand_over(site.group, "host-2") == epoch  # it finds itself done
        await first.pass_on(site.group)
        with pytest.raises(NotHostedError, match="does not own group"):
            await first.hand_over(site.group, "host-2")
        assert await current_holder(second.bus, twins_key(site.group)) == "host-2"


async def test_a_host_that_starts_again_takes_back_what_it_was_given(site: Site) -> None:
    async with site.host() as (first, _):
        await site.publish(("a", 1, [(POWER, 1, 0)]))
        await site.until_received(1)
        await first.hand_over(site.group, "host-2")
        # The one it was given to was not there: it comes, and is the owner.
        async with next_host(site) as second:
            async with asyncio.timeout(5):
                while site.group not in second.hosted:  # noqa: ASYNC110 - the product's state
                    await asyncio.sleep(0.01)
            await first.pass_on(site.group)
            assert (await site.ask("host", "_", dict))["host"] == "host-2"
    async with next_host(site) as second, site.host() as (first, _):
        assert (list(first.hosted), list(second.hosted)) == ([], [site.group])


async def test_a_hand_over_that_cannot_be_written_leaves_the_group_where_it_is(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site.host() as (first, _):
        await site.publish(("a", 1, [(POWER, 1, 0)]))
        await site.until_received(1)
        hosted = first.hosted[site.group]
        epoch = await current_epoch(first.bus, twins_key(site.group))

        async def no_disk(_checkpoint: object) -> None:
            raise UnavailableError("The bus did not answer saving the checkpoint.")

        with monkeypatch.context() as broken:
            broken.setattr(type(hosted.checkpoints), "save", lambda _store, each: no_disk(each))
            with pytest.raises(UnavailableError, match="did not answer saving"):
                await first.hand_over(site.group, "host-2")
        assert await current_epoch(first.bus, twins_key(site.group)) == epoch
        await site.publish(("a", 2, [(POWER, 2, 1)]))
        lines = await site.until_received(2)
        assert lines[0].taken == 2


async def test_a_command_under_way_moves_and_its_end_is_known_at_the_next_host(site: Site) -> None:
    # The tests share a server, which takes one id for one message.
    name = CommandId(f"moved-{site.group}")
    arguments: dict[str, object] = {"id": name, "kind": "reconnect", "issued_by": "test"}
    async with site.host() as (first, _), next_host(site) as second:
        await site.ask("command", "a", CommandOutcome, arguments=arguments)
        await first.hand_over(site.group, "host-2")
        # The gateway answers while nobody hosts the group.
        done = CommandOutcome(name, MeterId("a"), CommandStatus.EFFECTED, NOON)
        async with Publisher(site.gateway) as publisher:
            to = subject(site.group, Kind.OUTCOME, "a")
            await publisher.publish(to, encode(done), f"{name}:effected")
        hosted = await second.take(_guest(second))
        await first.pass_on(site.group)
        assert hosted.desk.answer(name) == done
        # Asked again under its id it is not done again.
        again = await site.ask("command", "a", CommandOutcome, arguments=arguments)
        assert again == done
        recorder = await site.connect(Role.RECORDER)
        tail = StreamTail(recorder, COMMAND_STREAM, subjects=[of_group(site.group, Kind.COMMAND)])
        commands = [message async for batch in tail.until_now() for message in batch]
        await tail.close()
        assert len(commands) == 1


async def test_the_fleet_is_told_what_a_host_does_and_cannot(site: Site) -> None:
    async with site.host() as (first, _):
        control = HostControl("host-1", [first])
        taken = await control.take(Request("take", {"group": site.group}), "host-1", 5.0)
        assert (taken.group, taken.host) == (LotId(site.group), "host-1")
        given = await control.hand_over(
            Request("hand_over", {"group": site.group, "to": "host-2"}), "host-1", 5.0
        )
        assert given.epoch > taken.epoch
        standing = await control.standing(Request("standing"), "host-1", 5.0)
        assert (standing.owned, standing.known) == ([], [LotId(site.group)])
        with pytest.raises(NotFoundError, match="was never told of group 'other'"):
            await control.take(Request("take", {"group": "other"}), "host-1", 5.0)


async def test_what_was_fetched_ahead_is_what_is_taken(site: Site) -> None:
    async with site.host(checkpoint_s=0.0) as (first, _), next_host(site) as second:
        await site.publish(("a", 1, [(POWER, 1, 0), (POWER, 2, 1)]))
        await site.until_received(2)
        await second.prepare(_guest(second))
        await site.publish(("a", 3, [(POWER, 3, 2)]))  # after it got ready
        await site.until_received(3)
        await first.hand_over(site.group, "host-2")
        await second.take(_guest(second))
        await first.pass_on(site.group)
        assert (await site.until_received(3))[0] == LedgerLine(MeterId("a"), 3, 3, 0, 0)


async def test_readings_that_come_while_a_group_goes_to_and_fro_are_all_applied(site: Site) -> None:
    turns_count = 6
    published_count = 0
    async with site.host(checkpoint_s=0.05) as (first, _), next_host(site) as second:
        hosts, turn = [first, second], 0

        async def read_on() -> None:
            nonlocal published_count
            while turn < turns_count:
                published_count += 1
                await site.publish(("a", published_count, [(POWER, published_count, turn)]))

        reading = asyncio.create_task(read_on())
        while turn < turns_count:
            giver, taker = hosts[turn % 2], hosts[(turn + 1) % 2]
            await giver.hand_over(site.group, taker.settings.name)
            # Time in which the giver's reader runs on over what is the taker's.
            await asyncio.sleep(0.02)
            await taker.take(_guest(second))
            await giver.pass_on(site.group)
            turn += 1
        await reading
        assert published_count > turns_count
        lines = await site.until_received(published_count)
        assert lines[0] == LedgerLine(MeterId("a"), published_count, published_count, 0, 0)


async def test_a_group_that_comes_back_misses_nothing_that_passed_meanwhile(site: Site) -> None:
    async with site.host() as (first, _):
        given = await first.hand_over(site.group, "host-2")
        await site.publish(("a", 1, [(POWER, 1, 0), (POWER, 2, 1)]))  # it is passed over here
        await asyncio.sleep(0.3)  # longer than a fetch takes
        await hand_over(first.bus, twins_key(site.group), given, "host-1")
        await first.take(first.settings.groups[0])
        await site.publish(("a", 3, [(POWER, 3, 2)]))  # within the fetch under way
        lines = await site.until_received(3)
        assert lines[0] == LedgerLine(MeterId("a"), 3, 3, 0, 0)


async def test_a_group_comes_back_with_those_who_wait_for_it(site: Site) -> None:
    async with site.host() as (first, _):
        given = await first.hand_over(site.group, "host-2")
        waiting = asyncio.create_task(site.ask("host", "_", dict))
        await asyncio.sleep(0.05)
        await hand_over(first.bus, twins_key(site.group), given, "host-1")
        await first.take(first.settings.groups[0])
        assert (await waiting)["host"] == "host-1"
        for _ in range(10):  # no door that was left open holds any of them
            assert (await site.ask("host", "_", dict))["host"] == "host-1"


async def test_an_order_is_carried_to_its_end_when_nobody_waits_for_it(site: Site) -> None:
    async with site.host() as (first, _), next_host(site) as second:
        for ordered in (
            first.hand_over(site.group, "host-2"),
            second.take(_guest(second)),
            first.pass_on(site.group),
        ):
            order = asyncio.create_task(ordered)
            await asyncio.sleep(0.002)  # begun
            order.cancel()
            await asyncio.sleep(0.1)
        assert (list(first.hosted), list(second.hosted)) == ([], [site.group])
        assert (await site.ask("host", "_", dict))["host"] == "host-2"


async def test_two_hosts_of_one_name_do_not_take_a_group_from_each_other(site: Site) -> None:
    async with site.host() as (before, _), site.host() as (after, _):
        async with asyncio.timeout(5):
            while before.hosted:  # noqa: ASYNC110 - the product's state
                await asyncio.sleep(0.02)
        epoch = after.hosted[site.group].epoch
        await asyncio.sleep(1.5)  # longer than from one look at the claims to the next
        assert await current_epoch(after.bus, twins_key(site.group)) == epoch
        assert (await site.ask("host", "_", dict))["epoch"] == epoch


async def test_a_host_whose_place_was_taken_writes_nothing_more(site: Site) -> None:
    async with site.host() as (before, _):
        zombie = before.hosted[site.group]
        await claim(before.bus, twins_key(site.group), "host-1")  # as a process in its place does
        command: dict[str, object] = {"id": "z1", "kind": "reconnect", "issued_by": "test"}
        with pytest.raises(ConflictError, match="was taken over by epoch"):
            await site.ask("command", "a", CommandOutcome, arguments=command)
        with pytest.raises(SupersededError, match="may write nothing more"):
            await zombie.want(MeterId("a"), {"limit_w": 1})
        assert zombie.apps.is_closed
        assert zombie.desired.states == {}
