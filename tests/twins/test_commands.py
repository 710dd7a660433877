"""A command is judged once, answered the same way twice, and never hurts a protected home."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from metertwin.apps.tariff.calendar import Calendar, Switch
from metertwin.apps.tariff.calendar_text import CalendarOrder
from metertwin.core.clock import ManualClock
from metertwin.core.command import Command, CommandKind, CommandOutcome, CommandStatus
from metertwin.core.errors import UnavailableError
from metertwin.core.ids import CommandId, GroupId, MeterId
from metertwin.twins.commands import CommandDesk, CommandError, IdempotencyKeyError
from metertwin.twins.desired import (
    DISCONNECT_PATH,
    LIMIT_PATH,
    Desired,
    DesiredStateError,
    Reconciler,
    changed,
    checked_changes,
    is_met,
)
from metertwin.twins.group import TwinGroup, UnknownTwinError
from metertwin.twins.interlock import DisconnectInterlock
from metertwin.twins.settings import GroupSettings

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOME, DIALYSIS = MeterId("home"), MeterId("dialysis")


@dataclass
class Outbox:
    """Keeps what would go on the bus."""

    commands: list[Command] = field(default_factory=list)
    outcomes: list[CommandOutcome] = field(default_factory=list)

    async def send(self, command: Command, outcome: CommandOutcome) -> None:
        assert outcome.command == command.id
        self.outcomes.append(outcome)
        if outcome.status is CommandStatus.ACCEPTED:
            self.commands.append(command)


@dataclass
class Desk:
    outbox: Outbox
    desk: CommandDesk
    clock: ManualClock
    is_bus_away: bool = False

    async def keep_count(self) -> None:
        if self.is_bus_away:
            raise UnavailableError("The bus is away.")


@pytest.fixture
def at(clock: ManualClock) -> Desk:
    settings = GroupSettings(
        id=GroupId("g1"),
        meters=(HOME, DIALYSIS),
        protected_meters=(DIALYSIS,),
        disconnects_per_hour_count=2,
    )
    group, outbox = TwinGroup(settings), Outbox()
    interlock = DisconnectInterlock(settings, [])

    async def keep_count() -> None:
        await desk.keep_count()

    desk = Desk(outbox, CommandDesk(group, interlock, outbox, clock, keep_count), clock)
    return desk


def command(kind: CommandKind, identity: str = "c1", meter: MeterId = HOME) -> Command:
    return Command(
        id=CommandId(identity),
        meter=meter,
        group=GroupId("g1"),
        kind=kind,
        issued_by="test",
        issued_at=NOON,
        expires_at=NOON + timedelta(minutes=5),
    )


async def test_an_accepted_command_goes_out_with_the_owners_epoch(at: Desk) -> None:
    outcome = await at.desk.accept(command(CommandKind.RECONNECT), epoch=7)
    assert outcome.status is CommandStatus.ACCEPTED
    assert [sent.epoch for sent in at.outbox.commands] == [7]


async def test_a_repeated_id_gets_the_same_answer_and_goes_out_once(at: Desk) -> None:
    first = await at.desk.accept(command(CommandKind.RECONNECT), epoch=7)
    assert await at.desk.accept(command(CommandKind.RECONNECT), epoch=7) == first
    done = CommandOutcome(CommandId("c1"), HOME, CommandStatus.EFFECTED, NOON)
    at.desk.learn(done)
    assert await at.desk.accept(command(CommandKind.RECONNECT), epoch=7) == done
    assert len(at.outbox.commands) == 1


async def test_one_id_cannot_stand_for_two_commands(at: Desk) -> None:
    await at.desk.accept(command(CommandKind.RECONNECT), epoch=7)
    with pytest.raises(IdempotencyKeyError, match="c1 already stands for reconnect"):
        await at.desk.accept(command(CommandKind.SET_CLOCK), epoch=7)


async def test_an_expired_command_is_never_sent(at: Desk) -> None:
    at.clock.advance(300)
    outcome = await at.desk.accept(command(CommandKind.RECONNECT), epoch=7)
    assert outcome.status is CommandStatus.EXPIRED
    assert at.outbox.commands == []
    assert at.outbox.outcomes == [outcome]


async def test_a_protected_home_is_never_switched_off(at: Desk) -> None:
    outcome = await at.desk.accept(command(CommandKind.DISCONNECT, meter=DIALYSIS), epoch=7)
    assert outcome.status is CommandStatus.REFUSED
    assert "protected usage point" in outcome.reason
    assert at.outbox.commands == []


async def test_a_group_is_not_switched_off_faster_than_its_limit(at: Desk) -> None:
    statuses = [
        (await at.desk.accept(command(CommandKind.DISCONNECT, f"c{n}"), epoch=7)).status
        for n in range(3)
    ]
    assert statuses == [CommandStatus.ACCEPTED, CommandStatus.ACCEPTED, CommandStatus.REFUSED]
    at.clock.advance(3600)
    late = replace(command(CommandKind.DISCONNECT, "c9"), expires_at=NOON + timedelta(hours=2))
    assert (await at.desk.accept(late, epoch=7)).status is CommandStatus.ACCEPTED


async def test_a_disconnect_that_could_not_be_counted_was_not_accepted(at: Desk) -> None:
    at.is_bus_away = True
    for number in range(5):
        with pytest.raises(UnavailableError):
            await at.desk.accept(command(CommandKind.DISCONNECT, f"c{number}"), epoch=7)
    assert at.outbox.outcomes == []
    at.is_bus_away = False
    outcome = await at.desk.accept(command(CommandKind.DISCONNECT, "c0"), epoch=7)
    assert outcome.status is CommandStatus.ACCEPTED


async def test_arguments_must_fit_the_kind(at: Desk) -> None:
    with pytest.raises(CommandError, match="takes limit_w, given: none"):
        await at.desk.accept(command(CommandKind.SET_LIMIT), epoch=7)
    too_much = replace(command(CommandKind.SET_LIMIT), arguments={"limit_w": 2_000_000})
    with pytest.raises(CommandError, match="2000000 W for meter home is outside 0 to 1000000 W"):
        await at.desk.accept(too_much, epoch=7)
    with pytest.raises(UnknownTwinError):
        await at.desk.accept(command(CommandKind.RECONNECT, meter=MeterId("nobody")), epoch=7)


async def test_a_calendar_is_accepted_only_if_a_meter_can_hold_it(at: Desk) -> None:
    def ordered(calendar: Calendar, number: int) -> Command:
        arguments = CalendarOrder(calendar).arguments()
        return replace(command(CommandKind.WRITE_CALENDAR, f"w{number}"), arguments=arguments)

    outcome = await at.desk.accept(ordered(Calendar.always(), 1), epoch=7)
    assert outcome.status is CommandStatus.ACCEPTED
    day = tuple(Switch(60 * hour, hour) for hour in range(9))
    nine = Calendar(tuple("abcdefghi"), (day,), Calendar.always().seasons)
    with pytest.raises(CommandError, match=r"home: .* 9 periods, the meter holds 8"):
        await at.desk.accept(ordered(nine, 2), epoch=7)
    with pytest.raises(CommandError, match=r"write_calendar takes calendar, .* given: none"):
        await at.desk.accept(command(CommandKind.WRITE_CALENDAR), epoch=7)
    text = replace(command(CommandKind.SET_LIMIT), arguments={"limit_w": "much"})
    with pytest.raises(CommandError, match="Limit of much W for meter home"):
        await at.desk.accept(text, epoch=7)


def test_a_difference_is_commanded_once_and_again_after_a_failure() -> None:
    reconciler, wanted = Reconciler(GroupId("g1")), Desired(3, {DISCONNECT_PATH: "connected"})
    first = reconciler.next_command(HOME, wanted, DISCONNECT_PATH, NOON)
    assert first is not None
    assert (first.kind, first.id) == (
        CommandKind.RECONNECT,
        "desired-home-disconnect_control-3-1",
    )
    assert reconciler.next_command(HOME, wanted, DISCONNECT_PATH, NOON) is None
    failed = CommandOutcome(first.id, HOME, CommandStatus.FAILED, NOON, "no answer")
    reconciler.learn(HOME, failed)
    soon, later = NOON + timedelta(seconds=59), NOON + timedelta(seconds=60)
    assert reconciler.next_command(HOME, wanted, DISCONNECT_PATH, soon) is None
    second = reconciler.next_command(HOME, wanted, DISCONNECT_PATH, later)
    assert second is not None
    assert second.id.endswith("-3-2")


def test_an_answer_that_never_comes_does_not_block_for_ever() -> None:
    reconciler, wanted = Reconciler(GroupId("g1")), Desired(1, {LIMIT_PATH: 3000})
    first = reconciler.next_command(HOME, wanted, LIMIT_PATH, NOON)
    assert first is not None
    assert first.arguments == {"limit_w": 3000}
    assert reconciler.next_command(HOME, wanted, LIMIT_PATH, first.expires_at) is not None


def test_a_new_version_is_commanded_at_once() -> None:
    reconciler = Reconciler(GroupId("g1"))
    off, on = (Desired(v, {DISCONNECT_PATH: s}) for v, s in ((1, "disconnected"), (2, "connected")))
    assert reconciler.next_command(HOME, off, DISCONNECT_PATH, NOON) is not None
    again = reconciler.next_command(HOME, on, DISCONNECT_PATH, NOON)
    assert again is not None
    assert again.kind is CommandKind.RECONNECT


def test_wrong_wishes_are_all_named() -> None:
    with pytest.raises(DesiredStateError, match=r"disconnect_control='open', colour='red'"):
        checked_changes(HOME, {"disconnect_control": "open", "colour": "red", "limit_w": 5})
    with pytest.raises(DesiredStateError, match="limit_w=True"):
        checked_changes(HOME, {"limit_w": True})


def test_changes_merge_and_count_versions() -> None:
    first = changed(None, checked_changes(HOME, {"limit_w": 5, "disconnect_control": "connected"}))
    second = changed(first, checked_changes(HOME, {"limit_w": None}))
    assert (first.version, second.version) == (1, 2)
    assert second.values == {"disconnect_control": "connected"}


def test_a_wish_is_met_by_what_the_meter_reports() -> None:
    assert is_met(DISCONNECT_PATH, "connected", 1, 0)
    assert not is_met(DISCONNECT_PATH, "connected", 0, 0)
    assert is_met(LIMIT_PATH, 3000, 3, 3)  # 3 x 10^3 W
    assert not is_met(LIMIT_PATH, 3000, None, 0)
