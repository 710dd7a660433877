"""With its link cut an edge is shown in the cloud by its last values, as old, and wishes wait."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.bus.sites import EDGE, EDGE_GROUP, HUB, two_sites
from tests.twins.edge_and_cloud import DIALYSIS, HOME, EdgeAndCloud

from metertwin.bus.credentials import Role
from metertwin.bus.messages import Request, decode_outcome
from metertwin.bus.requests import ask, serve
from metertwin.bus.subjects import COMMAND_STREAM, Kind, of_group, subject
from metertwin.bus.tail import StreamTail
from metertwin.core.batch import ReadingBatch
from metertwin.core.clock import ManualClock
from metertwin.core.errors import InvalidInputError, NotFoundError, UnavailableError
from metertwin.core.twin import AnswerSource, RegisterAnswer, TwinDocument, TwinStatus, UsageNow
from metertwin.fleet.local.link import LinkState
from metertwin.twins.known_desired import KnownDesired
from metertwin.twins.site_watch import SiteWatch
from metertwin.twins.wish_courier import WishCourier
from metertwin.twins.wishes import WishStore

IMPORT, POWER = 0, 1


@pytest.fixture
async def world(
    tmp_path: Path, clock: ManualClock, make_batch: Callable[..., ReadingBatch]
) -> AsyncIterator[EdgeAndCloud]:
    async with two_sites(tmp_path) as sites:
        yield EdgeAndCloud(sites, clock, make_batch)


async def test_the_cloud_shows_last_values_with_their_age_and_the_edge_goes_on(
    world: EdgeAndCloud,
) -> None:
    async with world.edge_host(), world.stand_in():
        await world.publish(("a", 1, [(POWER, 512, 0), (IMPORT, 9000, 0)]))
        await world.until_stand_in_received(2)
        await world.sites.link.set(LinkState.CUT)
        world.clock.advance(40)
        told = await world.ask_stand_in("twin", HOME, TwinDocument)
        assert (told.status, told.age_s) == (TwinStatus.UNREACHABLE, 40.0)
        assert told.reported["1-0:1.7.0*255"].integer == 512
        usage = await world.ask_stand_in("usage_now", HOME, UsageNow)
        assert usage.source is AnswerSource.LAST_KNOWN
        assert usage.power_import.age_s == 40.0
        page = await world.ask_stand_in("twins")
        assert [each["status"] for each in page["items"]] == ["unreachable"] * 2
        assert (await world.ask_stand_in("host"))["in_step"] == 0
        assert (await world.ask_stand_in("twins", arguments={"status": "in_step"}))["total"] == 0
        # Clients at the edge notice nothing.
        await world.publish(("a", 3, [(POWER, 600, 41)]))

        async def is_applied() -> bool:
            lines = await world.ask_owner(world.sites.edge, "ledger")
            return bool(lines[0]["taken"] == 3)

        await world.until(is_applied)
        at_edge = await world.ask_owner(world.sites.edge, "usage_now", HOME)
        assert (at_edge["power_import"]["integer"], at_edge["source"]) == (600, "twin")
        again = await world.ask_stand_in("usage_now", HOME, UsageNow)
        assert again.power_import.integer == 512
        await world.sites.link.set(LinkState.WHOLE)
        await world.until_stand_in_received(3)


async def test_a_value_older_than_allowed_is_refused_and_the_site_named(
    world: EdgeAndCloud,
) -> None:
    async with world.edge_host(), world.stand_in():
        await world.publish(("a", 1, [(POWER, 512, 0)]))
        await world.until_stand_in_received(1)
        await world.sites.link.set(LinkState.CUT)
        await world.until_reached(is_reached=False)
        world.clock.advance(40)
        arguments: dict[str, object] = {"obis": "1-0:1.7.0*255"}
        told = await world.ask_stand_in("read_register", HOME, RegisterAnswer, arguments, 60)
        assert (told.source, told.reading.age_s) == (AnswerSource.LAST_KNOWN, 40.0)
        with pytest.raises(UnavailableError) as refused:
            await world.ask_stand_in("read_register", HOME, RegisterAnswer, arguments, 30)
        assert refused.value.code == "unavailable.stale_value"
        assert str(refused.value) == (
            "Meter a's value is 40 s old, at most 30 s was asked for, and reading the meter "
            "failed: Site edge1, where group e1 is at home, cannot be reached since 2026-06-01 "
            "12:00:00 UTC."
        )
        with pytest.raises(NotFoundError, match="There is no request 'command'"):
            await world.ask_stand_in("command", HOME)


async def test_a_stand_in_that_starts_again_goes_on_from_its_checkpoint(
    world: EdgeAndCloud,
) -> None:
    async with world.edge_host():
        async with world.stand_in() as first:
            await world.publish(("a", 1, [(POWER, 512, 0)]))
            await world.until_stand_in_received(1)
            sequence = first.groups[EDGE_GROUP].group.stream_sequence
        await world.publish(("a", 2, [(POWER, 600, 1)]))
        async with world.stand_in() as second:
            await world.until_stand_in_received(2)
            known = second.groups[EDGE_GROUP].group
            assert known.ledger_lines()[0].duplicate == 0
            assert known.stream_sequence > sequence > 0


async def test_wishes_wait_through_a_restart_and_merge_when_the_edge_is_back(
    world: EdgeAndCloud,
) -> None:
    async with world.edge_host():
        async with world.stand_in() as stand_in:
            await world.publish(("a", 1, [(POWER, 1, 0)]), ("b", 1, [(POWER, 1, 0)]))
            await world.until_stand_in_received(2)
            first = await world.ask_stand_in(
                "desired", HOME, arguments={"changes": {"limit_w": 4000}, "by": "control room"}
            )
            assert first == {"version": 1, "desired": {"limit_w": 4000}, "kept": {}, "note": ""}

            async def is_known() -> bool:
                document = await world.ask_stand_in("twin", HOME, TwinDocument)
                return bool(document.desired == {"limit_w": 4000})

            await world.until(is_known)
            await world.sites.link.set(LinkState.CUT)
            await world.until_reached(is_reached=False)
            changes = {"limit_w": 5000, "disconnect_control": "connected"}
            kept = await world.ask_stand_in(
                "desired", HOME, arguments={"changes": changes, "by": "control room"}
            )
            assert (kept["desired"], kept["kept"]) == ({"limit_w": 4000}, changes)
            assert kept["note"].startswith("Kept, not yet at the meter's site. Site edge1, where")
            await world.ask_stand_in(
                "desired", DIALYSIS, arguments={"changes": {"disconnect_control": "disconnected"}}
            )
            shown = await world.ask_stand_in("twin", HOME, TwinDocument)
            assert shown.wishes == changes
            assert (await world.ask_stand_in("host"))["wishes"] == 3
            await world.kill(stand_in)
        # At the edge somebody decides otherwise, knowing nothing of the wish.
        at_edge = {"changes": {"limit_w": 3000}, "by": "fitter"}
        await world.ask_owner(world.sites.edge, "desired", HOME, at_edge)
        async with world.stand_in():
            shown = await world.ask_stand_in("twin", HOME, TwinDocument)
            assert (shown.wishes, shown.desired) == (changes, {"limit_w": 4000})
            await world.sites.link.set(LinkState.WHOLE)
            await _until_merged(world)
            owner = await world.ask_owner(world.sites.edge, "twin", HOME)
            assert owner["desired"] == {"limit_w": 3000, "disconnect_control": "connected"}

            async def agrees() -> bool:
                document = await world.ask_stand_in("twin", HOME, TwinDocument)
                return bool(document.desired == owner["desired"] and not document.wishes)

            await world.until(agrees)
        conflicts = [e for e in await world.events(world.sites.edge) if "conflict" in e.name]
        assert [each.detail.split("; ")[1] for each in conflicts] == [
            "3000 holds: the lower limit wins, any limit over none."
        ]
        # The hub has it as well: both sites can read it.
        await world.sites.until_stored(world.sites.hub, "EVENTS", 1)
        assert [e for e in await world.events(world.sites.hub) if "conflict" in e.name] == conflicts
        # A protected home that was wished dark is wanted dark and never switched off.
        await _until_refused(world)


async def _until_merged(world: EdgeAndCloud) -> None:
    async def are_merged() -> bool:
        return bool((await world.ask_stand_in("host"))["wishes"] == 0)

    await world.until(are_merged)


async def _until_refused(world: EdgeAndCloud) -> None:
    recorder = await world.sites.connect(world.sites.edge, Role.RECORDER)
    tail = StreamTail(recorder, COMMAND_STREAM, subjects=[f"mt.{EDGE_GROUP}.*.{DIALYSIS}"])
    told = [m async for messages in tail.until_now() for m in messages]
    await tail.close()
    # Refused by the twin, so no command went to the gateway.
    assert {message.subject.split(".")[2] for message in told} == {"outcome"}
    assert "protected usage point" in decode_outcome(told[0].data).reason


async def test_what_cannot_be_wanted_is_refused_at_once_and_not_kept(world: EdgeAndCloud) -> None:
    async with world.stand_in():
        await world.sites.link.set(LinkState.CUT)
        with pytest.raises(InvalidInputError, match="cannot take limit_w=-5"):
            await world.ask_stand_in("desired", HOME, arguments={"changes": {"limit_w": -5}})
        with pytest.raises(NotFoundError, match="no twin of meter zz"):
            await world.ask_stand_in("desired", "zz", arguments={"changes": {"limit_w": 5}})
        assert (await world.ask_stand_in("host"))["wishes"] == 0


async def test_of_two_processes_one_stands_in_and_the_other_takes_over(
    world: EdgeAndCloud,
) -> None:
    async with world.stand_in() as first:
        await world.sites.link.set(LinkState.CUT)
        await world.ask_stand_in("desired", HOME, arguments={"changes": {"limit_w": 5000}})
        async with world.stand_in() as second:  # as during a rollout
            assert (list(first.groups), list(second.groups)) == ([EDGE_GROUP], [])
            await world.kill(first)

            async def took_over() -> bool:
                told = await world.ask_stand_in("host")
                return bool(second.groups and told["wishes"] == 1)

            await world.until(took_over)


async def test_nothing_newer_overtakes_a_wish_that_waits(world: EdgeAndCloud) -> None:
    asked: list[object] = []

    async def note(request: Request, _meter: str, _deadline_s: float) -> object:
        asked.append(request.arguments["changes"])
        return {"version": 1, "desired": {}}

    here = await world.sites.connect(world.sites.hub, Role.TWIN_HOST)
    there = await world.sites.connect(world.sites.hub, Role.TWIN_HOST, EDGE)
    watch = SiteWatch(EDGE, there, world.clock)
    assert await watch.look()
    known = await KnownDesired.open(here, there, (EDGE_GROUP,))
    wishes = await WishStore.open(here, (EDGE_GROUP,))
    # Not running: what waits stays.
    courier = WishCourier(here, watch, known, wishes, world.clock, HUB)
    place = (EDGE_GROUP, HOME)
    await courier.want(place, {"limit_w": 5000}, "control room", "", 2.0)
    at_edge = await world.sites.connect(world.sites.edge, Role.TWIN_HOST)
    to = of_group(EDGE_GROUP, Kind.REQUEST)
    await serve(at_edge, to, "owner", {"desired": note, "merge_desired": note})
    other = (EDGE_GROUP, DIALYSIS)

    async def is_asked() -> bool:
        told = await courier.want(other, {"limit_w": 1}, "control room", "", 2.0)
        await wishes.drop(other, wishes.of(other))
        return not told.kept

    await world.until(is_asked)
    newer = await courier.want(place, {"limit_w": 6000}, "control room", "", 2.0)
    assert newer.kept == {"limit_w": 6000}
    assert {"limit_w": 6000} not in asked
    # Another process reads it as it was kept.
    again = await WishStore.open(here, (EDGE_GROUP,))
    assert again.of(place) == wishes.of(place)


async def test_last_values_are_served_at_the_cloud_alone(world: EdgeAndCloud) -> None:
    async def forged(_request: Request, _meter: str, _deadline_s: float) -> str:
        return "forged at the edge"

    at_edge = await world.sites.connect(world.sites.edge, Role.TWIN_HOST)
    for kind in (Kind.LAST_KNOWN, Kind.REQUEST):
        await serve(at_edge, of_group(EDGE_GROUP, kind), "forger", {"twin": forged})
    client = await world.sites.connect(world.sites.hub, Role.CLIENT)

    async def has_crossed() -> bool:
        to = subject(EDGE_GROUP, Kind.REQUEST, HOME)
        return bool(await ask(client, to, Request("twin"), 2.0, str))

    await world.until(has_crossed)
    to = subject(EDGE_GROUP, Kind.LAST_KNOWN, HOME)
    with pytest.raises(UnavailableError, match="Nobody answers"):
        await ask(client, to, Request("twin"), 2.0, str)
