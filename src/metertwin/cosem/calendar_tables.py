"""A meter's tariff tables as values: what the activity calendar and the special days table hold.

Layouts as in the DLMS UA Blue Book, classes 20 and 11. A day's actions are in force until the next
one, over midnight too; a special day goes before the week.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Self

from metertwin.core.obis import Obis
from metertwin.cosem.data import Data, array, octets, structure, uint8, uint16
from metertwin.cosem.errors import DecodeError

TARIFF_SCRIPTS = Obis(0, 0, 10, 0, 100, 255)
"""The script table whose script n makes energy count into rate n."""

_UNSPECIFIED, _UNSPECIFIED_YEAR = 0xFF, 0xFFFF
_LAST_OF_MONTH, _SECOND_LAST_OF_MONTH = 0xFE, 0xFD
_MIDNIGHT, _NO_DEVIATION = bytes(4), b"\x80\x00\xff"
_DATE_OCTETS, _TIME_OCTETS, _DATE_TIME_OCTETS = 5, 4, 12
_HOURS, _MINUTES = 24, 60
_WEEK = 7


@dataclass(frozen=True, slots=True)
class DatePattern:
    """A COSEM date; what is None holds for every year, month, day or weekday.

    Attributes:
        month: 1 to 12; 0xFD and 0xFE stand for the ends of summer time.
        day: 1 to 31; 0xFE is the last day of the month, 0xFD the one before.
        weekday_number: 1, Monday, to 7.
    """

    year: int | None = None
    month: int | None = None
    day: int | None = None
    weekday_number: int | None = None

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Return the date of five octets.

        Raises:
            DecodeError: There are not five.
        """
        if len(raw) != _DATE_OCTETS:
            raise DecodeError(f"A date has {_DATE_OCTETS} octets, here are {len(raw)}.")
        year = int.from_bytes(raw[:2])
        rest = [None if octet == _UNSPECIFIED else octet for octet in raw[2:]]
        return cls(None if year == _UNSPECIFIED_YEAR else year, *rest)

    def to_octets(self) -> bytes:
        """Return the five octets."""
        year = _UNSPECIFIED_YEAR if self.year is None else self.year
        rest = (self.month, self.day, self.weekday_number)
        return year.to_bytes(2) + bytes(_UNSPECIFIED if part is None else part for part in rest)

    def is_on(self, day: date) -> bool:
        """Whether a day is one of those; the ends of summer time are none."""
        next_month = (day.replace(day=1) + timedelta(days=31)).replace(day=1)
        from_the_end = {1: _LAST_OF_MONTH, 2: _SECOND_LAST_OF_MONTH}.get((next_month - day).days)
        return (
            self.year in {None, day.year}
            and self.month in {None, day.month}
            and self.day in {None, day.day, from_the_end}
            and self.weekday_number in {None, day.isoweekday()}
        )


@dataclass(frozen=True, slots=True)
class SeasonProfile:
    """From this day on a week holds, until the next season begins."""

    name: bytes
    start: DatePattern
    week_name: bytes


@dataclass(frozen=True, slots=True)
class WeekProfile:
    """The day profiles of Monday to Sunday, 7 ids."""

    name: bytes
    day_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DayAction:
    """A script that runs at a second of the local day."""

    second_of_day: int
    script_table: Obis
    script_number: int


@dataclass(frozen=True, slots=True)
class DayProfile:
    """What is run on a kind of day."""

    day_id: int
    actions: tuple[DayAction, ...]


@dataclass(frozen=True, slots=True)
class SpecialDay:
    """Days that follow a day profile whatever their weekday."""

    index: int
    date: DatePattern
    day_id: int


@dataclass(frozen=True, slots=True)
class CalendarTables:
    """One calendar of class 20, and the special days of class 11 that go with it."""

    name: bytes
    seasons: tuple[SeasonProfile, ...]
    weeks: tuple[WeekProfile, ...]
    days: tuple[DayProfile, ...]
    special_days: tuple[SpecialDay, ...] = ()

    @classmethod
    def read(cls, attributes: Sequence[Data], entries: Data) -> Self:
        """Return the tables that attributes hold.

        Args:
            attributes: Name, seasons, weeks and days: attributes 2 to 5 of class 20, or 6 to 9.
            entries: Attribute 2 of class 11.

        Raises:
            DecodeError: They are not built as the Blue Book says.
        """
        name, seasons, weeks, days = attributes
        return cls(
            name.octets(),
            tuple(_read_season(season) for season in seasons.elements()),
            tuple(_read_week(week) for week in weeks.elements()),
            tuple(_read_day(day) for day in days.elements()),
            read_special_days(entries),
        )

    def attributes(self) -> tuple[Data, Data, Data, Data]:
        """Return name, seasons, weeks and days as COSEM values."""
        return (
            octets(self.name),
            array(*[_season(season) for season in self.seasons]),
            array(*[_week(week) for week in self.weeks]),
            array(*[_day(day) for day in self.days]),
        )

    def entries(self) -> Data:
        """Return the special days as a COSEM value."""
        return array(
            *[
                structure(uint16(each.index), octets(each.date.to_octets()), uint8(each.day_id))
                for each in self.special_days
            ]
        )


def read_special_days(entries: Data) -> tuple[SpecialDay, ...]:
    """Return the special days that attribute 2 of class 11 holds.

    Raises:
        DecodeError: It is not built as the Blue Book says.
    """
    return tuple(_read_special_day(entry) for entry in entries.elements())


def _season(season: SeasonProfile) -> Data:
    start = season.start.to_octets() + _MIDNIGHT + _NO_DEVIATION
    return structure(octets(season.name), octets(start), octets(season.week_name))


def _read_season(data: Data) -> SeasonProfile:
    name, start, week_name = _members(data, "season", 3)
    raw = start.octets()
    if len(raw) != _DATE_TIME_OCTETS:
        raise DecodeError(f"A season's start has {_DATE_TIME_OCTETS} octets, not {len(raw)}.")
    if not set(raw[_DATE_OCTETS : _DATE_OCTETS + 3]) <= {0, _UNSPECIFIED}:
        raise DecodeError(f"A season starts within a day, at {raw.hex()}; it must at midnight.")
    return SeasonProfile(name.octets(), DatePattern.read(raw[:_DATE_OCTETS]), week_name.octets())


def _week(week: WeekProfile) -> Data:
    return structure(octets(week.name), *[uint8(day_id) for day_id in week.day_ids])


def _read_week(data: Data) -> WeekProfile:
    name, *day_ids = _members(data, "week", 1 + _WEEK)
    return WeekProfile(name.octets(), tuple(day_id.integer() for day_id in day_ids))


def _day(day: DayProfile) -> Data:
    return structure(uint8(day.day_id), array(*[_action(action) for action in day.actions]))


def _read_day(data: Data) -> DayProfile:
    day_id, actions = _members(data, "day", 2)
    read = sorted(map(_read_action, actions.elements()), key=lambda each: each.second_of_day)
    return DayProfile(day_id.integer(), tuple(read))


def _action(action: DayAction) -> Data:
    hour, minute = divmod(action.second_of_day // 60, 60)
    return structure(
        octets(bytes((hour, minute, action.second_of_day % 60, 0))),
        octets(action.script_table.to_bytes()),
        uint16(action.script_number),
    )


def _read_action(data: Data) -> DayAction:
    start, script, number = _members(data, "action of a day", 3)
    raw, script_name = start.octets(), script.octets()
    if len(raw) != _TIME_OCTETS or len(script_name) != len(Obis._fields):
        raise DecodeError(
            f"An action of a day has start {raw.hex()} and script {script_name.hex()}; the first "
            "has 4 octets, the second 6."
        )
    hour, minute, second = [0 if octet == _UNSPECIFIED else octet for octet in raw[:3]]
    if raw[0] >= _HOURS or minute >= _MINUTES or second >= _MINUTES:
        raise DecodeError(f"An action starts at {raw.hex()}, which is no time of a day.")
    second_of_day = 3600 * hour + 60 * minute + second
    return DayAction(second_of_day, Obis.from_bytes(script_name), number.integer())


def _read_special_day(data: Data) -> SpecialDay:
    index, pattern, day_id = _members(data, "special day", 3)
    return SpecialDay(index.integer(), DatePattern.read(pattern.octets()), day_id.integer())


def _members(data: Data, what: str, wanted_count: int) -> tuple[Data, ...]:
    members = data.elements()
    if len(members) != wanted_count:
        raise DecodeError(f"A {what} has {wanted_count} members, here are {len(members)}.")
    return members
