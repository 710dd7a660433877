"""A calendar as plain values and as compact text, versioned: for commands, answers and files."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from metertwin.apps.tariff.activity_calendar import to_tables
from metertwin.apps.tariff.calendar import (
    Calendar,
    CalendarError,
    Holiday,
    MonthDay,
    Season,
    Switch,
)

CALENDAR_VERSION = 1
TEXT_MAX_CHARACTERS = 16_384


class _PlainSeason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    start: tuple[int, int]
    week: tuple[int, ...]
    holiday: int


class _PlainCalendar(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    periods: tuple[str, ...]
    days: tuple[tuple[tuple[int, int], ...], ...]
    seasons: tuple[_PlainSeason, ...]
    holidays: tuple[tuple[int, int, int | None], ...]


@dataclass(frozen=True, slots=True)
class CalendarOrder:
    """What the command write_calendar asks for.

    Attributes:
        calendar: The calendar the meter is to follow.
        activate_at: From when on; None: at once.
    """

    calendar: Calendar
    activate_at: datetime | None = None

    @classmethod
    def of(cls, arguments: Mapping[str, int | str]) -> "CalendarOrder":
        """Read a command's arguments, `calendar` and perhaps `activate_at`.

        Raises:
            CalendarError: They are not that, or no meter can hold the calendar.
        """
        unknown = set(arguments) - {"calendar", "activate_at"}
        text = arguments.get("calendar")
        if unknown or not isinstance(text, str):
            raise CalendarError(
                "write_calendar takes calendar, a calendar as text, and perhaps activate_at; "
                f"given: {', '.join(sorted(arguments)) or 'none'}."
            )
        calendar = calendar_from_text(text)
        to_tables(calendar)
        return cls(calendar, _moment(arguments.get("activate_at")))

    def arguments(self) -> dict[str, int | str]:
        """Return the command's arguments."""
        text: dict[str, int | str] = {"calendar": calendar_to_text(self.calendar)}
        if self.activate_at is not None:
            text["activate_at"] = self.activate_at.isoformat()
        return text


def calendar_to_plain(calendar: Calendar) -> dict[str, Any]:
    """Return a calendar as plain values.

    Days are lists of [minute of the day, position of the period], seasons name days by position,
    starts are [month, day], holidays [month, day, year or null].

    Example:
        >>> calendar_to_plain(Calendar.always("flat"))["days"]
        (((0, 0),),)
    """
    plain: dict[str, Any] = msgspec.to_builtins(_plain(calendar))
    return plain


def calendar_to_text(calendar: Calendar) -> str:
    """Return a calendar as compact JSON; the same calendar is always the same text."""
    return msgspec.json.encode(_plain(calendar)).decode()


def calendar_from_text(text: str) -> Calendar:
    """Read a calendar's text.

    Raises:
        CalendarError: It is too long, no JSON, of another version, or no calendar.
    """
    if len(text) > TEXT_MAX_CHARACTERS:
        raise CalendarError(
            f"A calendar's text has {len(text)} characters, {TEXT_MAX_CHARACTERS} is the most."
        )
    try:
        return calendar_from_plain(msgspec.json.decode(text))
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise CalendarError(f"A calendar's text is no JSON: {error}.") from error


def calendar_from_plain(plain: object) -> Calendar:
    """Read a calendar of plain values.

    Raises:
        CalendarError: They are of another version, or no calendar.
    """
    version = plain.get("version") if isinstance(plain, dict) else None
    if version != CALENDAR_VERSION:
        raise CalendarError(
            f"A calendar of version {version!r} cannot be read; this reads {CALENDAR_VERSION}."
        )
    try:
        read = msgspec.convert(plain, _PlainCalendar)
    except msgspec.ValidationError as error:
        raise CalendarError(f"What is given is no calendar: {error}.") from error
    return Calendar(
        read.periods,
        tuple(tuple(Switch(*switch) for switch in day) for day in read.days),
        tuple(
            Season(season.name, MonthDay(*season.start), season.week, season.holiday)
            for season in read.seasons
        ),
        tuple(Holiday(*holiday) for holiday in read.holidays),
    )


def _plain(calendar: Calendar) -> _PlainCalendar:
    return _PlainCalendar(
        CALENDAR_VERSION,
        calendar.periods,
        tuple(
            tuple((switch.minute_of_day, switch.period_index) for switch in day)
            for day in calendar.day_profiles
        ),
        tuple(
            _PlainSeason(
                season.name,
                (season.start.month, season.start.day),
                season.week,
                season.holiday_index,
            )
            for season in calendar.seasons
        ),
        tuple((holiday.month, holiday.day, holiday.year) for holiday in calendar.holidays),
    )


def _moment(text: int | str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise CalendarError(
            f"activate_at is {text!r}; it takes a time with its zone, such as "
            "2027-01-01T00:00:00+01:00."
        )
    return moment.astimezone(UTC)
