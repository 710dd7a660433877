"""A tariff's calendar into a simulated meter and back, over real sockets and bytes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from metertwin.apps.tariff.activity_calendar import MeterCalendarError, from_tables, to_tables
from metertwin.apps.tariff.calendar import Calendar, Holiday, MonthDay, Season, Switch
from metertwin.apps.tariff.calendar_meaning import meaning
from metertwin.apps.tariff.calendar_text import CalendarOrder
from metertwin.core.clock import ManualClock
from metertwin.core.command import CommandKind
from metertwin.core.obis import Obis
from metertwin.cosem.calendar_tables import CalendarTables
from metertwin.meters.dlms import DlmsLink
from metertwin.meters.entry import MeterEntry
from metertwin.meters.errors import AnswerError, MeterLinkError
from metertwin.meters.model import ModelCache
from metertwin.meters.port import Effect
from metertwin.simulation.config import Security, SimulationConfig
from metertwin.simulation.event_log import MeterEvent
from metertwin.simulation.serving import Simulation, serve
from metertwin.simulation.tariffs import day_and_night

START = datetime(2026, 3, 27, 12, tzinfo=UTC)
WORKDAY = (Switch(0, 2), Switch(6 * 60, 1), Switch(17 * 60, 0), Switch(21 * 60, 2))
WEEKEND = (Switch(0, 2), Switch(9 * 60 + 30, 1))
CALENDAR = Calendar(
    ("peak", "flat", "valley"),
    (WORKDAY, WEEKEND, (Switch(0, 2),)),
    (
        Season("summer", MonthDay(4, 1), (1,) * 7, 2),
        Season("winter", MonthDay(10, 1), (0,) * 5 + (1, 1), 1),
    ),
    (Holiday(12, 25), Holiday(5, 1), Holiday(3, 28, 2026)),
)
FORMER = from_tables(day_and_night())


class CuttingWire:
    """A relay in front of a meter that ends after some questions."""

    def __init__(self, port: int) -> None:
        self._meter_port = port
        self.left_count = 1_000_000
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await asyncio.gather(*self._tasks)
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there, back = await asyncio.open_connection("127.0.0.1", self._meter_port)
        try:
            while self.left_count and (question := await reader.read(65_536)):
                self.left_count -= 1
                back.write(question)
                header = await there.readexactly(8)
                answer = header + await there.readexactly(int.from_bytes(header[6:8], "big"))
                if self.left_count:  # the last question is heard and its answer is not
                    writer.write(answer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._tasks.discard(task)
            back.close()
            writer.close()


class Bench:
    """One meter of a served street, a way to it, and a clock."""

    def __init__(self, simulation: Simulation, clock: ManualClock, wire: CuttingWire) -> None:
        self.simulation, self.clock, self.wire = simulation, clock, wire
        self.models = ModelCache()

    @property
    def calendar(self) -> Calendar:
        """What the meter really follows."""
        return from_tables(self.tables)

    @property
    def tables(self) -> CalendarTables:
        """Its tables."""
        world = self.simulation.world
        return world.calendars[int(world.columns.calendar[0])].tables

    def logged_count(self) -> int:
        _, codes = self.simulation.world.events.read(0)
        return int((codes == MeterEvent.CALENDAR_ACTIVATED).sum())

    @contextlib.asynccontextmanager
    async def link(self) -> AsyncIterator[DlmsLink]:
        address = self.simulation.meters[0]
        entry = msgspec.convert(
            {
                "id": "m1",
                "group": "g1",
                "host": "127.0.0.1",
                "port": self.wire.port,
                "client_sap": address.client_sap,
                "server_sap": address.server_sap,
                "zone": "Europe/Berlin",
            },
            MeterEntry,
        )
        link = DlmsLink(entry, (Obis.parse("1-0:1.8.0"),), self.models, 5.0)
        await link.open()
        try:
            yield link
        finally:
            await link.close()

    async def write(self, calendar: Calendar, activate_at: datetime | None = None) -> Effect:
        arguments = CalendarOrder(calendar, activate_at).arguments()
        async with self.link() as link:
            return await link.execute(CommandKind.WRITE_CALENDAR, arguments, self.clock.now())

    async def settle(self, to: datetime) -> None:
        """Let time pass; return when the street has reached it."""
        self.clock.advance((to - self.clock.now()).total_seconds())
        async with asyncio.timeout(30.0):
            while self.simulation.lag_s >= 1:  # noqa: ASYNC110 - the street moves in its own task
                await asyncio.sleep(0.01)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    clock = ManualClock(START)
    config = SimulationConfig(
        meter_count=1,
        step_s=60,
        has_transformer_meters=False,
        security=Security.NONE,
        is_secret_random=False,
    )
    simulation = await serve(config, clock)
    wire = CuttingWire(simulation.meters[0].port)
    await wire.start()
    yield Bench(simulation, clock, wire)
    await wire.stop()
    await simulation.close()


async def test_a_calendar_is_written_read_back_and_not_written_twice(bench: Bench) -> None:
    async with bench.link() as link:
        before = await link.read_calendar()
        assert meaning(before.calendar) == meaning(FORMER)
        assert (before.name, before.activates_at) == ("day and night", None)
        arguments = CalendarOrder(CALENDAR).arguments()
        assert not await link.is_so(CommandKind.WRITE_CALENDAR, arguments, START)
        first = await link.execute(CommandKind.WRITE_CALENDAR, arguments, START)
        again = await link.execute(CommandKind.WRITE_CALENDAR, arguments, START)
        assert await link.is_so(CommandKind.WRITE_CALENDAR, arguments, START)
        shown = await link.read_calendar()
    name = to_tables(CALENDAR).name.decode()
    assert first == Effect(was_so_before=False, detail=f"calendar {name}")
    assert again.was_so_before
    assert bench.logged_count() == 1
    assert meaning(shown.calendar) == meaning(bench.calendar) == meaning(CALENDAR)
    assert shown.calendar.periods == ("rate 1", "rate 2", "rate 3")
    assert [season.name for season in shown.calendar.seasons] == ["summer", "winter"]
    assert shown.name == name


async def test_a_meter_cut_off_anywhere_follows_one_of_both_and_is_finished_by_repeating(
    bench: Bench,
) -> None:
    for asked_count in range(2, 40):
        bench.wire.left_count = asked_count
        try:
            await bench.write(CALENDAR)
        except MeterLinkError:
            bench.wire.left_count = 1_000_000
            now = from_tables(replace(bench.tables, special_days=()))
            assert meaning(now) in (meaning(FORMER), meaning(replace(CALENDAR, holidays=())))
        else:
            break
        await bench.write(CALENDAR)
        assert meaning(bench.calendar) == meaning(CALENDAR)
        await bench.write(FORMER)
        assert meaning(bench.calendar) == meaning(FORMER)
    assert asked_count > 12  # it was cut in the middle of everything


async def test_a_calendar_waits_for_its_time(bench: Bench) -> None:
    at = datetime(2026, 3, 27, 18, 20, tzinfo=UTC)
    without_holiday = replace(CALENDAR, holidays=CALENDAR.holidays[:2])
    effect = await bench.write(without_holiday, at)
    assert not effect.was_so_before
    assert (await bench.write(without_holiday, at)).was_so_before
    async with bench.link() as link:
        shown = await link.read_calendar()
    assert shown.activates_at == at
    assert meaning(replace(shown.calendar, holidays=())) == meaning(FORMER)
    await bench.settle(at - timedelta(minutes=5))
    assert bench.logged_count() == 0
    await bench.settle(at)
    await bench.settle(at + timedelta(minutes=5))
    assert bench.logged_count() == 1
    assert meaning(bench.calendar) == meaning(without_holiday)
    assert (await bench.write(without_holiday, at)).was_so_before


async def test_a_calendar_for_now_withdraws_the_one_that_waits(bench: Bench) -> None:
    at = START + timedelta(hours=5)
    other = replace(CALENDAR, holidays=CALENDAR.holidays[:2])
    await bench.write(other, at)
    assert not (await bench.write(FORMER)).was_so_before
    await bench.settle(at + timedelta(hours=1))
    assert meaning(bench.calendar) == meaning(FORMER)


async def test_no_half_written_calendar_takes_over_when_a_time_comes(bench: Bench) -> None:
    swapped = (Switch(0, 1), Switch(6 * 60, 2), Switch(17 * 60, 0))
    months = (MonthDay(5, 1), MonthDay(11, 1))
    later = tuple(
        replace(season, start=start) for season, start in zip(CALENDAR.seasons, months, strict=True)
    )
    waiting = Calendar(CALENDAR.periods, (swapped, *CALENDAR.day_profiles[1:]), later)
    wanted = replace(CALENDAR, holidays=())
    for asked_count in range(4, 40):
        await bench.write(FORMER)
        await bench.write(waiting, bench.clock.now() + timedelta(minutes=10))
        bench.wire.left_count = asked_count
        with contextlib.suppress(MeterLinkError):
            await bench.write(wanted)
            break
        bench.wire.left_count = 1_000_000
        await bench.settle(bench.clock.now() + timedelta(minutes=15))
        assert meaning(bench.calendar) in [meaning(each) for each in (FORMER, waiting, wanted)]
    assert asked_count > 12


async def test_special_days_that_would_be_felt_too_early_are_refused(bench: Bench) -> None:
    with pytest.raises(MeterCalendarError, match="2026-03-28 is a special day before the calend"):
        await bench.write(CALENDAR, datetime(2026, 4, 2, tzinfo=UTC))
    async with bench.link() as link:
        assert (await link.read_calendar()).activates_at is None


async def test_what_the_meter_has_no_registers_for_is_refused_before_anything_is_written(
    bench: Bench,
) -> None:
    day = tuple(Switch(60 * hour, hour) for hour in range(5))
    five = Calendar(tuple("abcde"), (day,), Calendar.always().seasons)
    with pytest.raises(MeterCalendarError, match="5 periods, the meter holds 4"):
        await bench.write(five)
    assert bench.simulation.world.columns.calendar[0] == 0


async def test_a_refusal_of_the_meter_leaves_calendar_and_special_days_in_force(
    bench: Bench,
) -> None:
    await bench.write(CALENDAR)
    # 25 kinds of day, each switching at another minute; the meter holds 24.
    days = tuple((Switch(0, 0), Switch(60 + number, 1)) for number in range(25))
    weeks = [tuple(range(first, first + 7)) for first in (0, 7, 14, 18)]
    seasons = tuple(
        Season(str(month), MonthDay(month, 1), week, 0) for month, week in enumerate(weeks, 1)
    )
    many = Calendar(("day", "night"), days, seasons, (Holiday(8, 1),))
    with pytest.raises(AnswerError, match=r"Meter m1: .* 0-0:13\.0\.0"):
        await bench.write(many)
    assert meaning(bench.calendar) == meaning(CALENDAR)
    # 65 holidays are too many for the meter: its calendar stays as it was.
    moments = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(65)]
    holidays = tuple(Holiday(each.month, each.day) for each in moments)
    with pytest.raises(AnswerError, match=r"0-0:11\.0\.0"):
        await bench.write(replace(FORMER, holidays=holidays))
    assert meaning(bench.calendar) == meaning(CALENDAR)
    assert (await bench.write(CALENDAR)).was_so_before
