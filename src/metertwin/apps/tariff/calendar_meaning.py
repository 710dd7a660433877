"""What a calendar says, whatever it is called and however it is cut into profiles."""

from itertools import product
from typing import TypeAlias

from metertwin.apps.tariff.calendar import Calendar, Season, Switch

Meaning: TypeAlias = tuple[object, ...]


def season_on(calendar: Calendar, month: int, day: int) -> Season:
    """Return the season a day of every year lies in."""
    begun = [s for s in calendar.seasons if (s.start.month, s.start.day) <= (month, day)]
    return begun[-1] if begun else calendar.seasons[-1]


def meaning(calendar: Calendar) -> Meaning:
    """Return a value; calendars that have it in common have the same period at every minute.

    Example:
        >>> from metertwin.apps.tariff.calendar import MonthDay
        >>> day = (Switch(0, 0), Switch(360, 0))  # the second switch changes nothing
        >>> flat = Calendar(("flat",), (day,), (Season("", MonthDay(5, 1), (0,) * 7, 0),))
        >>> meaning(flat) == meaning(Calendar.always())
        True
    """
    profiles = [_changes(profile) for profile in calendar.day_profiles]
    years: dict[tuple[int, int], set[int | None]] = {}
    for holiday in calendar.holidays:
        years.setdefault((holiday.month, holiday.day), set()).add(holiday.year)
    days: list[tuple[object, ...]] = []
    # The 30 February and its like are in all calendars alike, and tell nothing.
    for month, day in product(range(1, 13), range(1, 32)):
        season = season_on(calendar, month, day)
        week = tuple(profiles[index] for index in season.week)
        of = years.get((month, day), set())
        in_years = () if None in of else tuple(sorted(year for year in of if year is not None))
        days.append((week, in_years, profiles[season.holiday_index] if of else None))
    return tuple(days)


def _changes(profile: tuple[Switch, ...]) -> tuple[Switch, ...]:
    """Return a profile without switches to the period that holds already."""
    changes = profile[:1]
    for switch in profile[1:]:
        if switch.period_index != changes[-1].period_index:
            changes += (switch,)
    return changes
