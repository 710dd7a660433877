"""When prices hold, as an engineer writes it: kinds of day with times, seasons with kinds of day.

days:
  workday:
    22:00-07:00: low          # past midnight: the day's first and last hours
    07:00-22:00: high
  restday:
    00:00-24:00: low
seasons:
  - name: all year
    from: 01-01
    weekdays: workday
    weekend: restday          # holidays are like Sunday unless they are given
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from metertwin.apps.tariff.calendar import (
    MINUTES_PER_DAY,
    Calendar,
    CalendarError,
    Holiday,
    MonthDay,
    Season,
    Switch,
)
from metertwin.apps.tariff.documents.scalars import read_holiday, read_month_day
from metertwin.core.documents.place import Place, suggestion
from metertwin.core.documents.scalars import read_name, shown

CALENDAR_KEYS = ("days", "seasons", "holidays")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAY_KEYS = {
    "every_day": range(7),
    "weekdays": range(5),
    "weekend": range(5, 7),
    **{name: range(index, index + 1) for index, name in enumerate(WEEKDAYS)},
}
SEASON_KEYS = ("name", "from", *DAY_KEYS, "holidays")
_RANGE = re.compile(r"([0-9]{1,2}):([0-9]{2}) ?- ?([0-9]{1,2}):([0-9]{2})")


@dataclass(frozen=True, slots=True)
class _Span:
    """A part of a day in which a period holds; minutes of the day."""

    start: int
    end: int
    period_index: int


def read_calendar(place: Place, periods: Sequence[str]) -> Calendar:
    """Read a calendar whose periods are named elsewhere."""
    parts = place.fields(CALENDAR_KEYS, ("days", "seasons"))
    holidays: list[Holiday] = []
    names: dict[str, tuple[Switch, ...] | None] = {}
    seasons: list[Season] = []
    if "days" in parts:
        with place.part():
            for name, day in parts["days"].entries("kinds of day").items():
                names[name] = None
                with place.part():
                    names[name] = _read_day(day, periods)
    if "seasons" in parts and names:
        with place.part():
            seasons = parts["seasons"].each("seasons", lambda p: _read_season(p, list(names)))
    if "holidays" in parts:
        with place.part():
            holidays = parts["holidays"].each("holidays", read_holiday)
    place.finish()
    profiles = tuple(switches for switches in names.values() if switches is not None)
    try:
        return Calendar(
            tuple(periods),
            profiles,
            tuple(sorted(seasons, key=lambda season: season.start)),
            tuple(holidays),
        )
    except CalendarError as error:
        raise place.wrong(str(error)) from error


def _read_day(place: Place, periods: Sequence[str]) -> tuple[Switch, ...]:
    spans: list[_Span] = []
    for text, period in place.entries("times such as 07:00-22:00 with their period").items():
        with place.part():
            spans += _read_spans(period, text, periods)
    place.finish()
    spans.sort(key=lambda span: (span.start, span.end))
    end = 0
    for span in [*spans, _Span(MINUTES_PER_DAY, MINUTES_PER_DAY, 0)]:
        if span.start > end:
            raise place.wrong(f"No period holds from {clock(end)} to {clock(span.start)}.")
        if span.start < end:
            raise place.wrong(f"Two periods hold from {clock(span.start)} on; times must not meet.")
        end = span.end
    return tuple(Switch(span.start, span.period_index) for span in spans)


def _read_spans(place: Place, times: str, periods: Sequence[str]) -> list[_Span]:
    name = place.text("the name of a period")
    if name not in periods:
        raise place.wrong(f"Period {shown(name)} has no price{suggestion(name, periods)}.")
    match = _RANGE.fullmatch(times)
    hours_and_minutes = [int(group) for group in match.groups()] if match else [99, 0, 0, 0]
    start = hours_and_minutes[0] * 60 + hours_and_minutes[1]
    end = hours_and_minutes[2] * 60 + hours_and_minutes[3]
    is_clock = max(hours_and_minutes[1], hours_and_minutes[3]) < 60 and end <= MINUTES_PER_DAY
    if not is_clock or start >= MINUTES_PER_DAY or start == end:
        raise place.wrong(f"{shown(times)} are no times; write from and to, as in 07:00-22:00.")
    index = periods.index(name)
    if start < end:
        return [_Span(start, end, index)]
    late = _Span(start, MINUTES_PER_DAY, index)
    return [_Span(0, end, index), late] if end > 0 else [late]


def _read_season(place: Place, days: Sequence[str]) -> Season:
    parts = place.fields(SEASON_KEYS, ("name", "from"))
    name, start = "", MonthDay(1, 1)
    if "name" in parts:
        with place.part():
            name = parts["name"].text("a name")
    if "from" in parts:
        with place.part():
            start = read_month_day(parts["from"])
    week: dict[int, int] = {}
    for key in [key for key in parts if key in DAY_KEYS]:
        with place.part():
            profile_index = _read_kind(parts[key], days)
            for weekday in DAY_KEYS[key]:
                if weekday in week:
                    raise parts[key].wrong(f"{WEEKDAYS[weekday]} is given twice in this season.")
                week[weekday] = profile_index
    holiday_index = week.get(6, 0)
    if "holidays" in parts:
        with place.part():
            holiday_index = _read_kind(parts["holidays"], days)
    place.finish()
    missing = [name for index, name in enumerate(WEEKDAYS) if index not in week]
    if missing:
        raise place.wrong(
            f"No kind of day is given for {', '.join(missing)}; give weekdays and weekend, "
            "every_day, or each by name."
        )
    return Season(name, start, tuple(week[index] for index in range(7)), holiday_index)


def _read_kind(place: Place, days: Sequence[str]) -> int:
    name = read_name(place)
    if name not in days:
        raise place.wrong(f"{shown(name)} is none of the kinds of day{suggestion(name, days)}.")
    return days.index(name)


def calendar_to_plain(calendar: Calendar) -> dict[str, object]:
    """Return a calendar as the mapping `read_calendar` reads."""
    names = _day_names(calendar)
    plain: dict[str, object] = {
        "days": {
            name: _day_to_plain(calendar.periods, switches)
            for name, switches in zip(names, calendar.day_profiles, strict=True)
        },
        "seasons": [_season_to_plain(season, names) for season in calendar.seasons],
    }
    if calendar.holidays:
        plain["holidays"] = [_holiday_text(holiday) for holiday in calendar.holidays]
    return plain


def _day_names(calendar: Calendar) -> list[str]:
    """Return a name for each kind of day: where it is first used, told apart by a number."""
    names: list[str] = []
    for index in range(len(calendar.day_profiles)):
        uses = [
            f"{season.name} {label}".replace("_", " ") if len(calendar.seasons) > 1 else label
            for season in calendar.seasons
            for label, used in _kinds(season)
            if used == index
        ]
        name = uses[0] if uses else "not used"
        names.append(name if name and name not in names else f"{name} {index + 1}")
        while names[-1] in names[:-1]:
            names[-1] += "+"
    return names


def _kinds(season: Season) -> list[tuple[str, int]]:
    """Return which keys say a season's kinds of day, the fewest that do."""
    week = season.week
    if len(set(week)) == 1:
        kinds = [("every_day", week[0])]
    else:
        workdays = [("weekdays", week[0])] if len(set(week[:5])) == 1 else []
        restdays = [("weekend", week[5])] if week[5] == week[6] else []
        kinds = workdays or list(zip(WEEKDAYS[:5], week[:5], strict=True))
        kinds += restdays or list(zip(WEEKDAYS[5:], week[5:], strict=True))
    return (
        kinds if season.holiday_index == week[6] else [*kinds, ("holidays", season.holiday_index)]
    )


def _day_to_plain(periods: Sequence[str], switches: Sequence[Switch]) -> dict[str, str]:
    ends = [switch.minute_of_day for switch in switches[1:]] + [MINUTES_PER_DAY]
    return {
        f"{clock(switch.minute_of_day)}-{clock(end)}": periods[switch.period_index]
        for switch, end in zip(switches, ends, strict=True)
    }


def _season_to_plain(season: Season, names: Sequence[str]) -> dict[str, object]:
    start = f"{season.start.month:02}-{season.start.day:02}"
    kinds = {key: names[index] for key, index in _kinds(season)}
    return {"name": season.name, "from": start, **kinds}


def _holiday_text(holiday: Holiday) -> str:
    year = "" if holiday.year is None else f"{holiday.year:04}-"
    return f"{year}{holiday.month:02}-{holiday.day:02}"


def clock(minute_of_day: int) -> str:
    """Return a minute of the day as a clock shows it.

    Example:
        >>> clock(0), clock(450), clock(1440)
        ('00:00', '07:30', '24:00')
    """
    return f"{minute_of_day // 60:02}:{minute_of_day % 60:02}"
