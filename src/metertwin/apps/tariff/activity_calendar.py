"""A tariff's calendar as a meter's activity calendar and special days, and back.

Period n of the calendar is rate n + 1 of the meter, whose energy its registers 1.8.n+1 count. Names
of periods stay behind: a meter has none. What comes back has the same `meaning`, which is what
tells whether a meter holds a calendar.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import MAXYEAR, MINYEAR
from hashlib import sha256

from metertwin.apps.tariff.calendar import (
    Calendar,
    CalendarError,
    Holiday,
    MonthDay,
    Season,
    Switch,
)
from metertwin.apps.tariff.calendar_meaning import season_on
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

_RATES_MAX = 255  # what a column of periods can tell apart
_ANY_DAY = DatePattern()
_FINGERPRINT_DIGITS = 8
_SUNDAY = 6


class MeterCalendarError(CalendarError):
    """A meter cannot hold a calendar, or holds one that no tariff calendar can say."""

    code = "input.meter_calendar"


@dataclass(frozen=True, slots=True)
class CalendarLimits:
    """The largest calendar a meter is trusted to hold; a smaller meter refuses by itself.

    Attributes:
        rates_count: Periods.
        seasons_count: Seasons.
        days_count: Kinds of day.
        switches_count: Switches on one day.
        special_days_count: Holidays.
        name_octets: Length of a season's name in UTF-8.
    """

    rates_count: int = 8
    seasons_count: int = 12
    days_count: int = 32
    switches_count: int = 24
    special_days_count: int = 128
    name_octets: int = 32


USUAL_LIMITS = CalendarLimits()


def to_tables(calendar: Calendar, limits: CalendarLimits = USUAL_LIMITS) -> CalendarTables:
    """Return the tables that make a meter follow a calendar.

    The calendar's name is a fingerprint of the tables, so that meters can be compared by it.

    Raises:
        MeterCalendarError: It needs more than the limits; every limit exceeded is named.

    Example:
        >>> tables = to_tables(Calendar.always())
        >>> tables.weeks, tables.days[0].actions[0].script_number
        ((WeekProfile(name=b'1', day_ids=(1, 1, 1, 1, 1, 1, 1)),), 1)
    """
    holidays = sorted(set(calendar.holidays), key=_by_date)
    used = {index for season in calendar.seasons for index in season.week}
    used |= {_holiday_index(calendar, holiday) for holiday in holidays}
    day_ids = {index: day_id for day_id, index in enumerate(sorted(used), 1)}
    _check_limits(calendar, limits, sorted(used), holidays)
    tables = CalendarTables(
        b"",
        tuple(_season_profile(number, each) for number, each in enumerate(calendar.seasons, 1)),
        tuple(
            WeekProfile(_week_name(number), tuple(day_ids[index] for index in season.week))
            for number, season in enumerate(calendar.seasons, 1)
        ),
        tuple(
            DayProfile(day_id, tuple(_action(switch) for switch in calendar.day_profiles[index]))
            for index, day_id in day_ids.items()
        ),
        tuple(
            SpecialDay(
                number,
                DatePattern(holiday.year, holiday.month, holiday.day),
                day_ids[_holiday_index(calendar, holiday)],
            )
            for number, holiday in enumerate(holidays, 1)
        ),
    )
    fingerprint = sha256(repr(tables).encode()).hexdigest()[:_FINGERPRINT_DIGITS]
    return replace(tables, name=fingerprint.encode())


def from_tables(tables: CalendarTables) -> Calendar:
    """Return the calendar a meter follows; its periods are called "rate 1", "rate 2" ...

    Special days of one season that follow several day profiles make several seasons of it.

    Raises:
        MeterCalendarError: The tables do not fit together, or say what a calendar cannot: seasons
            of one year, days told by weekday, other scripts than rates, switches within a minute.
        CalendarError: Seasons or switches are missing, repeated or on days that do not exist.
    """
    places = {day.day_id: place for place, day in enumerate(tables.days)}
    if len(places) < len(tables.days):
        raise MeterCalendarError("The meter's calendar has two day profiles of the same id.")
    lasts = {day.actions[-1].script_number for day in tables.days if day.actions}
    profiles = tuple(_switches(day, lasts) for day in tables.days)
    special_days = _special_places(tables.special_days, places)
    weeks = {week.name: week for week in tables.weeks}
    seasons = sorted(
        (_season(each, weeks, places, len(tables.seasons)) for each in tables.seasons),
        key=lambda season: season.start,
    )
    rates_count = max((s.period_index for profile in profiles for s in profile), default=0) + 1
    return Calendar(
        tuple(f"rate {number}" for number in range(1, rates_count + 1)),
        profiles,
        _with_holidays(seasons, special_days),
        tuple(
            Holiday(month, day, special.date.year)
            for special in tables.special_days
            for month, day in [_month_day(special)]
        ),
    )


def _check_limits(
    calendar: Calendar, limits: CalendarLimits, used: Sequence[int], holidays: Sequence[Holiday]
) -> None:
    names = [(season.name, len(season.name.encode())) for season in calendar.seasons]
    switches_count = max(len(calendar.day_profiles[index]) for index in used)
    sizes = {
        "periods": (len(calendar.periods), limits.rates_count),
        "seasons": (len(calendar.seasons), limits.seasons_count),
        "kinds of day": (len(used), limits.days_count),
        "switches on one day": (switches_count, limits.switches_count),
        "holidays": (len(holidays), limits.special_days_count),
    }
    problems = [
        f"{size} {what}, the meter holds {most}"
        for what, (size, most) in sizes.items()
        if size > most
    ]
    problems += [
        f"season name {name!r} of {size} octets, the meter holds {limits.name_octets}"
        for name, size in names
        if size > limits.name_octets
    ]
    years = [holiday.year for holiday in holidays if holiday.year is not None]
    problems += [
        f"a holiday in the year {year}" for year in years if not MINYEAR <= year <= MAXYEAR
    ]
    if problems:
        raise MeterCalendarError(f"The calendar does not fit the meter: {'; '.join(problems)}.")


def _season_profile(number: int, season: Season) -> SeasonProfile:
    start = DatePattern(None, season.start.month, season.start.day)
    return SeasonProfile(season.name.encode(), start, _week_name(number))


def _week_name(number: int) -> bytes:
    return str(number).encode()


def _action(switch: Switch) -> DayAction:
    return DayAction(60 * switch.minute_of_day, TARIFF_SCRIPTS, switch.period_index + 1)


def _holiday_index(calendar: Calendar, holiday: Holiday) -> int:
    return season_on(calendar, holiday.month, holiday.day).holiday_index


def _by_date(holiday: Holiday) -> tuple[int, int, int]:
    return (holiday.month, holiday.day, holiday.year or 0)


def _switches(day: DayProfile, lasts: set[int]) -> tuple[Switch, ...]:
    """Return a day's switches from midnight on.

    Before its first action a day has the last rate of the day before; `lasts` are those of all
    days, so it is known only where they agree.
    """
    actions = day.actions
    if actions and actions[0].second_of_day:
        if len(lasts) > 1:
            raise MeterCalendarError(
                f"Day profile {day.day_id} of the meter begins at second "
                f"{actions[0].second_of_day}, and the days before it end with rates "
                f"{sorted(lasts)}: what holds from midnight cannot be told."
            )
        actions = (DayAction(0, TARIFF_SCRIPTS, *lasts), *actions)
    for action in actions:
        is_rate = action.script_table == TARIFF_SCRIPTS and 1 <= action.script_number <= _RATES_MAX
        if not is_rate or action.second_of_day % 60:
            raise MeterCalendarError(
                f"Day profile {day.day_id} of the meter runs script {action.script_number} of "
                f"{action.script_table} at second {action.second_of_day}; a tariff calendar has "
                f"scripts 1 to {_RATES_MAX} of {TARIFF_SCRIPTS}, at whole minutes."
            )
    return tuple(Switch(action.second_of_day // 60, action.script_number - 1) for action in actions)


def _season(
    profile: SeasonProfile,
    weeks: Mapping[bytes, WeekProfile],
    places: Mapping[int, int],
    season_count: int,
) -> Season:
    start = profile.start
    if start == _ANY_DAY and season_count == 1:
        start = DatePattern(month=1, day=1)
    if start.year is not None or start.weekday_number is not None:
        raise MeterCalendarError(f"A season of the meter starts on {start}, not in every year.")
    week = weeks.get(profile.week_name)
    if week is None:
        raise MeterCalendarError(f"The meter's calendar has no week {profile.week_name!r}.")
    days = tuple(_place_of(day_id, places) for day_id in week.day_ids)
    name = profile.name.decode("utf-8", "replace")
    return Season(name, MonthDay(start.month or 0, start.day or 0), days, days[_SUNDAY])


def _special_places(
    special_days: Sequence[SpecialDay], places: Mapping[int, int]
) -> dict[MonthDay, int]:
    """Return the day profile of each special day, the same in every year."""
    found: dict[MonthDay, int] = {}
    for special in special_days:
        month_day = MonthDay(*_month_day(special))
        place = _place_of(special.day_id, places)
        if found.setdefault(month_day, place) != place:
            raise MeterCalendarError(
                f"The meter's special day {month_day.month:02}-{month_day.day:02} follows "
                "different day profiles in different years, which a tariff calendar cannot say."
            )
    return found


def _month_day(special: SpecialDay) -> tuple[int, int]:
    day = special.date
    if day.month is None or day.day is None or day.weekday_number is not None:
        raise MeterCalendarError(
            f"The meter's special day {special.index} is on {day}; a tariff calendar has holidays "
            "on a day of a month."
        )
    return day.month, day.day


def _place_of(day_id: int, places: Mapping[int, int]) -> int:
    place = places.get(day_id)
    if place is None:
        raise MeterCalendarError(
            f"The meter's calendar names day profile {day_id}; it has {sorted(places)}."
        )
    return place


def _with_holidays(
    seasons: Sequence[Season], special_days: Mapping[MonthDay, int]
) -> tuple[Season, ...]:
    """Return the seasons with their holiday profile, cut where it changes within one."""
    by_start = {season.start: season for season in seasons}
    if not by_start or len(by_start) < len(seasons):
        return tuple(seasons)  # which no calendar has, and it says why
    known: set[MonthDay] = set()
    # From the first season on, round the year: what is before its start belongs to the last one.
    for month_day in sorted(special_days, key=lambda day: (day < seasons[0].start, day)):
        starts = [start for start in by_start if start <= month_day] or list(by_start)
        start = max(starts)
        season = by_start[start]
        place = special_days[month_day]
        if start in known and season.holiday_index != place:
            start = month_day
            season = replace(season, start=start)
        by_start[start] = replace(season, holiday_index=place)
        known.add(start)
    return tuple(by_start[start] for start in sorted(by_start))
