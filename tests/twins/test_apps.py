"""Apps on a twin host on a real bus: shown intervals, asked, granted, and never said twice."""

import asyncio

import msgspec
import pytest
from msgspec.structs import replace
from tests.twins.conftest import NOON
from tests.twins.hosting import Site

from metertwin.bus.credentials import Role
from metertwin.bus.subjects import COMMAND_STREAM, Kind, of_group
from metertwin.bus.tail import StreamTail
from metertwin.core.clock import to_us
from metertwin.core.command import CommandKind
from metertwin.core.errors import InvalidInputError, NotFoundError, UnavailableError
from metertwin.core.event import EventSource
from metertwin.twins.settings import AppGrant, GroupSettings

pytestmark = pytest.mark.usefixtures("counting_app")

PROFILE = 2
QUARTER_S = 900.0
COUNTING = AppGrant("counting", grants=(CommandKind.DISCONNECT,), config={"limit_wh": 500})


def quarters(*integers: int, first: int = 0) -> list[tuple[int, int, float]]:
    """Return captures a quarter of an hour apart, the first one `first` quarters after noon."""
    return [(PROFILE, each, (first + at) * QUARTER_S) for at, each in enumerate(integers)]


async def commands(site: Site) -> list[str]:
    recorder = await site.connect(Role.RECORDER)
    tail = StreamTail(recorder, COMMAND_STREAM, subjects=[of_group(site.group, Kind.COMMAND)])
    found = [message.data async for messages in tail.until_now() for message in messages]
    await tail.close()
    return [data.decode(errors="replace") for data in found]


async def standing(site: Site, name: str = "counting") -> dict[str, object]:
    facts = await site.ask("host", "_", dict[str, object])
    apps = facts["apps"]
    assert isinstance(apps, list)
    found = next(app for app in apps if app["name"] == name)
    assert isinstance(found, dict)
    return found


async def test_an_app_is_shown_intervals_and_answers(site: Site) -> None:
    async with site.host(apps=(COUNTING,)):
        await site.publish(("a", 1, quarters(1000, 1100, 1400)))
        await site.until_received(3)
        # 1100 - 1000 + 1400 - 1100 = 400 Wh in two quarters of an hour
        answer = await site.ask("counted", "a", dict[str, object])
        assert (answer["energy"], answer["quarters"]) == ("0.4", 2)


async def test_what_an_app_concludes_is_published_once_and_complete(site: Site) -> None:
    async with site.host(apps=(COUNTING,)):
        await site.publish(("a", 1, quarters(1000, 1100, 1700)))
        await site.until_received(3)
        outputs, events = await site.kept()
    first, second = outputs
    assert (first.app, first.app_version, first.meter) == ("counting", "1.0.0", "a")
    assert (first.at, first.value["energy"]) == (NOON, "0.1")
    assert second.value["energy"] == "0.6"
    (event,) = events
    assert (event.source, event.name, event.meter) == (EventSource.TWIN, "heavy_quarter", "a")
    assert event.code < -(2**30)
    assert event.detail == "600 Wh"


async def test_a_granted_proposal_becomes_a_command_of_the_app(site: Site) -> None:
    async with site.host(apps=(COUNTING,)):
        await site.publish(("a", 1, quarters(1000, 1700)))
        await site.until_received(2)
        await until(site, "proposal_count", 1)
        async with asyncio.timeout(10):
            while not (sent := await commands(site)):  # noqa: ASYNC110 - the stream's
                await asyncio.sleep(0.01)
        (command,) = sent
        assert "app:counting" in command
        assert "disconnect" in command


async def test_a_late_and_a_corrected_capture_change_what_was_counted(site: Site) -> None:
    async with site.host(apps=(COUNTING,)):
        await site.publish(("a", 1, [*quarters(1000), *quarters(1300, first=2)]))
        await site.until_received(2)
        with pytest.raises(NotFoundError, match="Nothing was counted"):
            await site.ask("counted", "a", dict[str, object])
        await site.publish(("a", 3, quarters(1100, first=1)))  # late: two intervals at once
        await site.until_received(3)
        answer = await site.ask("counted", "a", dict[str, object])
        assert (answer["energy"], answer["quarters"]) == ("0.3", 2)
        await site.publish(("a", 4, quarters(1200, first=1)))  # corrected: both change
        await site.until_received(4)
        assert (await site.ask("counted", "a", dict[str, object]))["energy"] == "0.3"
        outputs, _ = await site.kept()
    said = [(to_us(each.at) - to_us(NOON), each.revision, each.value["energy"]) for each in outputs]
    assert said == [
        (0, 0, "0.1"),
        (900_000_000, 0, "0.2"),
        (0, 1, "0.2"),
        (900_000_000, 1, "0.1"),
    ]


async def test_a_changing_request_is_durable_before_its_answer(site: Site) -> None:
    async with site.host(apps=(COUNTING,)) as (host, _):
        answer = await site.ask("set_count_limit", "_", dict[str, int], {"limit_wh": 7})
        assert answer == {"before": 500, "limit_wh": 7}
        saved = await host.hosted[site.group].checkpoints.bucket.get(f"twins.{site.group}.head")
        assert saved.value
        outputs, _ = await site.kept()
        assert [(each.meter, each.name, each.value) for each in outputs] == [
            (None, "limit", {"limit_wh": 7})
        ]


async def test_a_changing_request_that_fails_changes_nothing(site: Site) -> None:
    async with site.host(apps=(COUNTING,)):
        await site.ask("set_count_limit", "_", dict, {"limit_wh": 7})
        with pytest.raises(InvalidInputError, match="10001 Wh; 10000 is the most"):
            await site.ask("set_count_limit", "_", dict, {"limit_wh": 10_001})
        answer = await site.ask("set_count_limit", "_", dict[str, int], {"limit_wh": 8})
        assert answer == {"before": 7, "limit_wh": 8}
        assert (await standing(site))["standing"] == "running"


async def test_requests_of_apps_are_checked_like_the_hosts_own(site: Site) -> None:
    async with site.host(apps=(COUNTING,)):
        with pytest.raises(InvalidInputError, match=r"no argument colour. It takes none"):
            await site.ask("counted", "a", dict, {"colour": "red"})
        with pytest.raises(InvalidInputError, match=r"set_count_limit do not fit: .*`int`"):
            await site.ask("set_count_limit", "_", dict, {"limit_wh": "many"})
        with pytest.raises(InvalidInputError, match="asked of the whole group"):
            await site.ask("set_count_limit", "a", dict, {"limit_wh": 1})
        with pytest.raises(InvalidInputError, match="asked of one meter"):
            await site.ask("counted", "_", dict)
        with pytest.raises(NotFoundError, match="no twin of meter x9"):
            await site.ask("counted", "x9", dict)
        with pytest.raises(NotFoundError, match=r"counted, .*energy_over, .*set_count_limit"):
            await site.ask("count", "a", dict)


async def test_history_comes_from_the_window_where_it_reaches(site: Site) -> None:
    async with site.host(apps=(COUNTING,)):
        await site.publish(("a", 1, quarters(1000, 1100, 1400)))
        await site.until_received(3)
        span: dict[str, object] = {"start": "2026-06-01T12:00:00Z", "end": "2026-06-01T12:30:00Z"}
        assert await site.ask("energy_over", "a", dict, span) == {"energy_wh": 400, "known": 2}
        span["start"] = "2026-05-01T00:00:00Z"
        with pytest.raises(UnavailableError, match="Nobody answers"):  # there is no recorder
            await site.ask("energy_over", "a", dict, span)


async def test_an_app_without_its_grants_is_left_out_and_says_why(site: Site) -> None:
    ungranted = replace(COUNTING, grants=())
    ghost = AppGrant("ghost")
    async with site.host(apps=(ungranted, ghost, AppGrant("unheard_of"))):
        await site.publish(("a", 1, quarters(1000, 1100)))
        await site.until_received(2)
        with pytest.raises(UnavailableError, match=r"needs to command disconnect, the site grants"):
            await site.ask("counted", "a", dict)
        assert (await standing(site))["standing"] == "refused"
        assert "ModuleNotFoundError" in str((await standing(site, "ghost"))["reason"])
        reason = str((await standing(site, "unheard_of"))["reason"])
        assert "No installed package has an app 'unheard_of'; there are counting, ghost" in reason


async def test_a_command_an_app_was_not_granted_is_refused_and_told(site: Site) -> None:
    sly = replace(COUNTING, config={"limit_wh": 500, "propose": "reconnect"})
    async with site.host(apps=(sly,)):
        await site.publish(("a", 1, quarters(1000, 1700)))
        await site.until_received(2)
        await until(site, "refused_count", 1)
        assert await commands(site) == []
        _, events = await site.kept()
    refused = next(event for event in events if event.name == "app_command_refused")
    assert "proposed to reconnect meter a (too much)" in refused.detail
    assert "was granted disconnect" in refused.detail


async def test_a_broken_app_leaves_the_group_and_the_others_alone(site: Site) -> None:
    broken = replace(COUNTING, config={"break_at": 1})
    async with site.host(apps=(broken,)):
        await site.publish(("a", 1, quarters(1000, 1100)))
        await site.until_received(2)
        await site.publish(("b", 1, quarters(1000, 1100)))
        lines = await site.until_received(4)
        assert [line.taken for line in lines] == [2, 2]
        with pytest.raises(UnavailableError, match=r"broke in on_intervals: ZeroDivisionError"):
            await site.ask("counted", "a", dict)
        found = await standing(site)
        assert found["standing"] == "failed"
        tally = found["tally"]
        assert isinstance(tally, dict)
        assert tally["error_count"] == 1


async def test_a_state_of_another_version_waits_for_it(site: Site) -> None:
    newer = replace(COUNTING, config={"limit_wh": 500, "version": "2.0.0"})
    async with site.host(apps=(COUNTING,)):
        await site.publish(("a", 1, quarters(1000, 1100)))
        await site.until_received(2)
    async with site.host(apps=(newer,), checkpoint_s=0.0) as (host, _):
        with pytest.raises(UnavailableError, match=r"Version 1.0.0 wrote this state, 2.0.0"):
            await site.ask("counted", "a", dict)
        await site.publish(("a", 3, quarters(1300, first=2)))
        await site.until_received(3)
        async with asyncio.timeout(10):
            while not host.hosted[site.group].is_saved:  # noqa: ASYNC110 - polls a host
                await asyncio.sleep(0.01)
    async with site.host():  # without the app for a while
        pass
    async with site.host(apps=(COUNTING,)):
        answer = await site.ask("counted", "a", dict[str, object])
        while answer["quarters"] == 1:  # what it missed meanwhile is shown to it
            answer = await site.ask("counted", "a", dict[str, object])
        assert (answer["energy"], answer["quarters"]) == ("0.3", 2)


async def test_a_superseded_hosts_apps_do_nothing_more(site: Site) -> None:
    async with site.host(apps=(COUNTING,), checkpoint_s=0.0) as (first, _):
        await site.publish(("a", 1, quarters(1000, 1100)))
        await site.until_received(2)
        zombie = first.hosted[site.group]
        async with site.host(apps=(COUNTING,), checkpoint_s=0.0):
            await site.publish(("a", 3, quarters(1300, first=2)))
            async with asyncio.timeout(10):
                while site.group in first.hosted:  # noqa: ASYNC110 - polls a host
                    await asyncio.sleep(0.01)
            calls = zombie.apps.apps[0].tally.call_count
            zombie.apps.on_applied()
            site.clock.advance(120)
            zombie.apps.on_time()
            await zombie.carry_out()
            assert zombie.apps.is_closed
            assert zombie.apps.apps[0].tally.call_count == calls
            with pytest.raises(UnavailableError, match="taken over by another host"):
                zombie.apps.open_view(zombie.apps.apps[0])
            answer = await site.ask("counted", "a", dict[str, object])
            assert answer["quarters"] == 2


async def test_time_wakes_an_app_once_a_minute(site: Site) -> None:
    async with site.host(apps=(COUNTING,)) as (host, _):
        await site.publish(("a", 1, quarters(1000, 1100)))
        await site.until_received(2)
        hosted = host.hosted[site.group].apps
        app = hosted.apps[0].at_work()
        hosted.on_time()
        before = app.wake_count  # type: ignore[attr-defined] # the app of this folder
        hosted.on_time()
        assert app.wake_count == before  # type: ignore[attr-defined]
        site.clock.advance(60)
        hosted.on_time()
        assert app.wake_count == before + 1  # type: ignore[attr-defined]


async def until(site: Site, what: str, count: int) -> None:
    async with asyncio.timeout(10):
        while True:
            tally = (await standing(site))["tally"]
            assert isinstance(tally, dict)
            if tally[what] >= count:
                return
            await asyncio.sleep(0.01)


async def test_an_odd_question_breaks_its_answer_and_not_the_app(site: Site) -> None:
    async with site.host(apps=(COUNTING,)):
        await site.publish(("a", 1, quarters(1000, 1100)))
        await site.until_received(2)
        span: dict[str, object] = {"start": "2026-06-01T12:00:00Z", "end": "2026-06-01T12:15:00Z"}
        odd = {**span, "divide_by": 0}
        with pytest.raises(UnavailableError, match=r"in answering energy_over: ZeroDivisionError"):
            await site.ask("energy_over", "a", dict, odd)
        assert await site.ask("energy_over", "a", dict, span) == {"energy_wh": 100, "known": 1}
        assert (await standing(site))["standing"] == "running"


async def test_an_app_that_breaks_while_it_changes_is_stopped(site: Site) -> None:
    async with site.host(apps=(COUNTING,)):
        with pytest.raises(UnavailableError, match=r"It broke in set_count_limit: .*negative"):
            await site.ask("set_count_limit", "_", dict, {"limit_wh": -1})
        with pytest.raises(UnavailableError, match="not at work"):
            await site.ask("counted", "a", dict)


async def test_names_of_requests_are_unique_on_a_host(site: Site) -> None:
    clashing = replace(COUNTING, config={"also_answers": "usage_now"})
    async with site.host(apps=(clashing, COUNTING)):
        found = await standing(site)
        assert found["standing"] == "refused"
        assert "would answer usage_now, which others answer" in str(found["reason"])
        assert (await site.ask("host", "_", dict[str, object]))["twins"] == 2


def test_a_sites_file_grants_apps() -> None:
    octets = b"""{"id": "g1", "apps": [{"name": "tariff", "grants": ["set_limit"],
        "config": {"zone": "Europe/Berlin"}}]}"""
    (grant,) = msgspec.json.decode(octets, type=GroupSettings).apps
    assert grant == AppGrant("tariff", "", (CommandKind.SET_LIMIT,), {"zone": "Europe/Berlin"})
    with pytest.raises(msgspec.ValidationError, match="unknown field `grant`"):
        msgspec.json.decode(
            b'{"id": "g1", "apps": [{"name": "t", "grant": []}]}', type=GroupSettings
        )


@pytest.mark.parametrize(
    ("odd", "why"),
    [("value", "Encoding objects of type"), ("meter", "Meter id 'a.b' is not"), ("at", "no zone")],
)
async def test_an_app_that_says_what_cannot_be_sent_is_stopped_and_nothing_else(
    site: Site, odd: str, why: str
) -> None:
    async with site.host(apps=(replace(COUNTING, config={"says_odd": odd}),)):
        await site.publish(("a", 1, quarters(1000, 1100)))
        assert (await site.until_received(2))[0].taken == 2
        found = await standing(site)
        assert found["standing"] == "failed"
        assert why in str(found["reason"])
