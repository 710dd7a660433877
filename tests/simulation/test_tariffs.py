"""Energies go to the tariff that the calendar in force says in the meters' local time."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from metertwin.cosem.calendar_tables import (
    TARIFF_SCRIPTS,
    CalendarTables,
    DatePattern,
    DayAction,
    DayProfile,
    SeasonProfile,
    SpecialDay,
    WeekProfile,
)
from metertwin.cosem.errors import ServiceError
from metertwin.simulation.columns import Energy
from metertwin.simulation.tariffs import TariffCalendar, day_and_night
from metertwin.simulation.world import World

UTC_ZONE = ZoneInfo("UTC")
MakeWorld = Callable[..., World]
Run = Callable[[World, float], World]


def day(number: int, *switches: tuple[float, int]) -> DayProfile:
    """A day of (hour, tariff)."""
    actions = [DayAction(round(3600 * hour), TARIFF_SCRIPTS, to) for hour, to in switches]
    return DayProfile(number, tuple(actions))


TABLES = CalendarTables(
    b"four",
    (
        SeasonProfile(b"winter", DatePattern(month=10, day=1), b"w"),
        SeasonProfile(b"summer", DatePattern(month=4, day=1), b"s"),
    ),
    (WeekProfile(b"w", (1,) * 5 + (2, 2)), WeekProfile(b"s", (3,) * 7)),
    (
        day(1, (0, 3), (6, 2), (17, 1), (21, 3)),  # a workday in winter
        day(2, (9.5, 2), (23, 3)),  # begins with what the evening before ended with
        day(3, (0, 4), (12, 1), (13, 4)),  # summer
    ),
    (
        SpecialDay(1, DatePattern(2026, 3, 30), 2),
        SpecialDay(2, DatePattern(month=12, day=25), 2),
        SpecialDay(3, DatePattern(2026, 7, 15), 2),  # the evening before ends with 4, not with 3
    ),
)


def quarters_of(world: World, run: Run, row: int, end: datetime) -> list[int]:
    """Let time pass; return how many quarters of an hour counted into each tariff."""
    counted = world.columns.energy_uwh
    quarters = [0] * 4
    while world.now < end:
        before = counted[:, row].copy()
        run(world, 900)
        gained = counted[:, row] - before
        sums = gained[4:8].sum(), gained[8:12].sum()
        assert sums == (gained[Energy.IMPORT], gained[Energy.EXPORT])
        (tariffs,) = (gained[4:8] + gained[8:12]).nonzero()
        quarters[int(tariffs[0])] += 1
        assert len(tariffs) == 1
    return quarters


@pytest.mark.parametrize(
    ("start", "end", "wanted"),
    [
        # Berlin, Friday 27 March 13:00 to Tuesday 0:00. Friday: 13-17 2, 17-21 1, 21-24 3.
        # Saturday: 0-9:30 3, 9:30-23 2, 23-24 3. Sunday likewise, an hour of 3 less as summer
        # time begins. Monday is special and is like them: in quarters, 1: 16, 2: 16 + 3 x 54,
        # 3: 12 + 3 x 42 - 4.
        (
            datetime(2026, 3, 27, 12, tzinfo=UTC),
            datetime(2026, 3, 30, 22, tzinfo=UTC),
            [16, 178, 134, 0],
        ),
        # Sunday 25 October, which has 25 hours: an hour of 3 more, 3: 42 + 4, 2: 54.
        (
            datetime(2026, 10, 24, 22, tzinfo=UTC),
            datetime(2026, 10, 25, 23, tzinfo=UTC),
            [0, 54, 46, 0],
        ),
        # The last day of winter, a Tuesday, and 1 April: 1: 16 + 4, 2: 44, 3: 36, 4: 92.
        (
            datetime(2026, 3, 30, 22, tzinfo=UTC),
            datetime(2026, 4, 1, 22, tzinfo=UTC),
            [20, 44, 36, 92],
        ),
    ],
)
def test_quarters_are_counted_where_they_belong_by_hand(
    make_world: MakeWorld, run: Run, start: datetime, end: datetime, wanted: list[int]
) -> None:
    world = make_world(start=start, step_s=900, meter_count=2, group_size=2)
    world.calendars.append(TariffCalendar(TABLES))
    world.columns.calendar[1] = 1
    assert quarters_of(world, run, 1, end) == wanted
    others = world.columns.energy_uwh[:, 0]
    assert others[4:6].sum() == others[Energy.IMPORT]


def test_meters_of_several_calendars_share_a_batch(make_world: MakeWorld, run: Run) -> None:
    world = make_world(step_s=900)
    world.calendars.append(TariffCalendar(TABLES))
    world.columns.calendar[::2] = 1
    run(world, 2 * 86_400)
    counted = world.columns.energy_uwh
    assert (counted[4:8].sum(axis=0) == counted[Energy.IMPORT]).all()
    assert (counted[8:12].sum(axis=0) == counted[Energy.EXPORT]).all()
    assert (counted[4:7, :20:2] > 0).all()
    assert (counted[6:8, 1::2] == 0).all()


def test_a_meters_tables_mean_what_a_walk_through_the_day_says() -> None:
    calendar = TariffCalendar(TABLES)
    starts_s = np.arange(0, 400 * 86_400, 1800) + int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    found = calendar.at(starts_s, UTC_ZONE)
    walked, tariff = [], 3
    for moment in (datetime.fromtimestamp(each, UTC) for each in starts_s.tolist()):
        profile = TABLES.days[_day_id(moment.date()) - 1]
        second = moment.hour * 3600 + moment.minute * 60
        tariff = next(
            (a.script_number for a in profile.actions if a.second_of_day == second), tariff
        )
        walked.append(tariff)
    assert found.tolist() == walked


def _day_id(on: date) -> int:
    if on in {date(2026, 3, 30), date(2026, 7, 15)} or (on.month, on.day) == (12, 25):
        return 2
    if 4 <= on.month < 10:
        return 3
    return 2 if on.weekday() >= 5 else 1


@pytest.mark.parametrize(
    ("pattern", "on", "is_on"),
    [
        (DatePattern(), date(2026, 3, 30), True),
        (DatePattern(2026, 3, 30), date(2027, 3, 30), False),
        (DatePattern(month=2, day=0xFE), date(2028, 2, 29), True),
        (DatePattern(month=2, day=0xFE), date(2028, 2, 28), False),
        (DatePattern(day=0xFD), date(2026, 12, 30), True),
        (DatePattern(weekday_number=7), date(2026, 3, 29), True),
        (DatePattern(weekday_number=1), date(2026, 3, 29), False),
        (DatePattern(month=0xFE), date(2026, 3, 29), False),
    ],
)
def test_a_date_with_wildcards_is_on_the_days_it_says(
    pattern: DatePattern, on: date, *, is_on: bool
) -> None:
    assert pattern.is_on(on) is is_on
    assert DatePattern.read(pattern.to_octets()) == pattern


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"days": (day(1, (0, 5)), *TABLES.days[1:])}, "script 5 of .* it has scripts 1 to 4"),
        ({"days": TABLES.days[:2]}, "a week b's' or days of it that are not there"),
        ({"weeks": TABLES.weeks[:1]}, "a week b's' or days of it that are not there"),
        ({"seasons": ()}, "no season, or a day without a switch"),
        ({"days": (*TABLES.days, DayProfile(9, ()))}, "no season, or a day without a switch"),
        ({"seasons": TABLES.seasons * 7}, "14 seasons; it takes 12"),
        ({"special_days": TABLES.special_days * 22}, "66 special days; it takes 64"),
        ({"name": b"n" * 33}, "33 octets in a name; it takes 32"),
    ],
)
def test_what_a_simulated_meter_cannot_do_it_refuses(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ServiceError, match=message):
        TariffCalendar(replace(TABLES, **change))


def test_special_days_of_another_calendar_change_nothing() -> None:
    moments = [datetime(2026, 1, 5, tzinfo=UTC) + timedelta(hours=n) for n in range(48)]
    starts_s = np.array([int(moment.timestamp()) for moment in moments])
    special = SpecialDay(1, DatePattern(2026, 1, 6), 7)
    with_special = replace(day_and_night(), special_days=(special,))
    plain = TariffCalendar(day_and_night()).at(starts_s, UTC_ZONE)
    assert (TariffCalendar(with_special).at(starts_s, UTC_ZONE) == plain).all()
