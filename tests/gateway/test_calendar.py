"""A tariff's calendar by command into a meter, and by request out of it, over the real bus."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from metertwin.apps.tariff.calendar import Calendar, Holiday, MonthDay, Season, Switch
from metertwin.apps.tariff.calendar_meaning import meaning
from metertwin.apps.tariff.calendar_text import CalendarOrder, calendar_from_plain
from metertwin.bus.connection import Bus
from metertwin.bus.credentials import Role
from metertwin.bus.messages import Request, encode
from metertwin.bus.ownership import claim, twins_key
from metertwin.bus.requests import ask
from metertwin.bus.subjects import Kind, subject
from metertwin.core.command import Arguments, Command, CommandKind, CommandOutcome, CommandStatus
from metertwin.core.ids import CommandId, GroupId, MeterId
from metertwin.gateway.durable import publish_until_stored
from metertwin.gateway.reads import CalendarAnswer, ReadAnswer
from metertwin.simulation.event_log import MeterEvent

Scene = Any  # of conftest, which cannot be imported
Connect = Callable[[Role], Awaitable[Bus]]

# The scene begins at 13:00 in Berlin, on Saturday 28 March 2026.
DAY = (Switch(0, 2), Switch(13 * 60 + 15, 0), Switch(13 * 60 + 30, 1), Switch(20 * 60, 2))
CALENDAR = Calendar(
    ("peak", "flat", "valley"),
    (DAY, (Switch(0, 2),), (Switch(0, 1),)),
    (
        Season("summer", MonthDay(4, 1), (1,) * 7, 2),
        Season("winter", MonthDay(10, 1), (2,) * 5 + (1, 2), 0),
    ),
    (Holiday(3, 28), Holiday(5, 1), Holiday(4, 6, 2026)),
)


@dataclass
class Commander:
    """A twin host that owns the group, commands its meters and reads through to them."""

    bus: Bus
    scene: Scene
    group: GroupId
    epoch: int
    sent: list[Command] = field(default_factory=list)

    async def write(self, meter: MeterId, arguments: Arguments) -> CommandOutcome:
        """Send write_calendar; return what became of it."""
        now = self.scene.clock.now()
        command = Command(
            id=CommandId(f"{self.group}-c{len(self.sent)}"),
            meter=meter,
            group=self.group,
            kind=CommandKind.WRITE_CALENDAR,
            issued_by="test",
            issued_at=now,
            expires_at=now + timedelta(minutes=5),
            arguments=arguments,
            epoch=self.epoch,
        )
        self.sent.append(command)
        to = subject(self.group, Kind.COMMAND, meter)
        await publish_until_stored(self.bus, to, encode(command), command.id)
        outcomes: list[CommandOutcome] = self.scene.published.outcomes
        await self.scene.until(
            lambda: any(each.command == command.id for each in outcomes), "the command's end"
        )
        return next(each for each in outcomes if each.command == command.id)

    async def calendar(self, meter: MeterId) -> Calendar:
        """Read the calendar the meter follows."""
        to = subject(self.group, Kind.READ, meter)
        answer = await ask(self.bus, to, Request("activity_calendar"), 5.0, CalendarAnswer)
        assert (answer.meter, answer.read_at) == (meter, self.scene.clock.now())
        return calendar_from_plain(answer.calendar)

    async def energies_wh(self, meter: MeterId) -> list[int]:
        """Read the energy of all tariffs and of tariffs 1 to 4."""
        found = []
        for tariff in range(5):
            request = Request("read_register", {"obis": f"1-0:1.8.{tariff}"})
            to = subject(self.group, Kind.READ, meter)
            answer = await ask(self.bus, to, request, 5.0, ReadAnswer)
            found.append(answer.readings[0].integer)
        return found


@pytest.fixture
async def commander(scene: Scene, connect_as: Connect, group: GroupId) -> Commander:
    bus = await connect_as(Role.TWIN_HOST)
    return Commander(bus, scene, group, await claim(bus, twins_key(group), "host-1"))


def activations_count(street: Any) -> int:  # noqa: ANN401 - a Street
    _, codes = street.simulation.world.events.read(0)
    return int((codes == MeterEvent.CALENDAR_ACTIVATED).sum())


async def test_a_calendar_is_written_read_back_followed_and_not_written_twice(
    scene: Scene, commander: Commander
) -> None:
    street = await scene.street(1)
    meter = street.entries[0].id
    await scene.gateway(street.entries)
    arguments = CalendarOrder(CALENDAR).arguments()
    outcome = await commander.write(meter, arguments)
    assert outcome.status is CommandStatus.EFFECTED, outcome
    assert meaning(await commander.calendar(meter)) == meaning(CALENDAR)
    again = await commander.write(meter, arguments)
    assert again.reason == "the meter was in this state already"
    assert activations_count(street) == 1

    # Until 13:15 the meter counts into rate 3, then a quarter of an hour each into 1 and 2.
    rates = []
    for _ in range(3):
        before = await commander.energies_wh(meter)
        scene.clock.advance(900)
        await street.settle()
        after = await commander.energies_wh(meter)
        gained = [new - old for new, old in zip(after, before, strict=True)]
        rates.append([rate for rate in range(1, 5) if gained[rate]])
        assert abs(sum(gained[1:]) - gained[0]) <= 2  # each register shows whole Wh
    assert rates == [[3], [1], [2]]


async def test_what_is_no_calendar_fails_with_the_reason_and_touches_nothing(
    scene: Scene, commander: Commander
) -> None:
    street = await scene.street(1)
    meter = street.entries[0].id
    await scene.gateway(street.entries)
    await scene.polled(street.entries, 1)
    before = await commander.calendar(meter)
    five = tuple(Switch(60 * hour, hour) for hour in range(5))
    for arguments, reason in (
        ({}, "takes calendar, a calendar as text, and perhaps activate_at; given: none"),
        ({"calendar": "[]"}, "A calendar of version None cannot be read; this reads 1"),
        (
            CalendarOrder(Calendar(tuple("abcde"), (five,), Calendar.always().seasons)).arguments(),
            "The calendar does not fit the meter: 5 periods, the meter holds 4",
        ),
    ):
        outcome = await commander.write(meter, arguments)
        assert outcome.status is CommandStatus.FAILED
        assert reason in outcome.reason
    assert meaning(await commander.calendar(meter)) == meaning(before)
    assert activations_count(street) == 0


async def test_a_meter_that_refuses_keeps_its_calendar_and_takes_the_next(
    scene: Scene, commander: Commander
) -> None:
    street = await scene.street(1)
    meter = street.entries[0].id
    await scene.gateway(street.entries)
    days = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(65)]
    many = tuple(Holiday(day.month, day.day) for day in days)  # the meter holds 64
    order = CalendarOrder(replace(CALENDAR, holidays=many))
    outcome = await commander.write(meter, order.arguments())
    assert outcome.status is CommandStatus.FAILED
    assert "0-0:11.0.0" in outcome.reason
    assert activations_count(street) == 0
    outcome = await commander.write(meter, CalendarOrder(CALENDAR).arguments())
    assert outcome.status is CommandStatus.EFFECTED
    assert meaning(await commander.calendar(meter)) == meaning(CALENDAR)


async def test_an_answer_that_is_lost_is_made_good_by_looking(
    scene: Scene, commander: Commander
) -> None:
    street = await scene.street(1)
    relay, entry = await scene.wire(street.entries[0])
    await scene.gateway((entry,))
    await scene.polled((entry,), 1)
    relay.mode = "lose_action"  # the calendar is activated and nobody hears of it

    async def hear_again() -> None:
        await scene.until(lambda: relay.mode == "silent", "the loss")
        relay.mode = "pass"

    arguments = CalendarOrder(CALENDAR).arguments()
    outcome, _ = await asyncio.gather(commander.write(entry.id, arguments), hear_again())
    assert outcome.status is CommandStatus.EFFECTED
    assert activations_count(street) == 1
