"""Which period takes over another's credit in kWh, as seasons and tariffs change.

It is the one that holds at the same time of a working day. NREL's SAM asks at the same four times.
"""

from datetime import date

from metertwin.apps.tariff.calendar import Calendar
from metertwin.apps.tariff.schedule import period_at, weekday_profile_index

_MINUTES = (0, 5 * 60, 11 * 60, 17 * 60)


def heir_of(calendar: Calendar, period_index: int, before: date, first: date) -> int:
    """Return which period of the month from `first` on takes a period's credit of `before`.

    It is the one that holds, on working days, when the old one held at midnight, else at 05:00,
    11:00 or 17:00; a period that held at none of these keeps its credit itself.
    """
    time = time_of(calendar, period_index, before)
    return holder_of(calendar, time, first) if time else period_index


def time_of(calendar: Calendar, period_index: int, first: date) -> int:
    """Return at which of the four times, from 1, a period of a month holds first; 0: at none."""
    profile = weekday_profile_index(calendar, first)
    holders = [period_at(calendar, profile, minute) for minute in _MINUTES]
    return holders.index(period_index) + 1 if period_index in holders else 0


def holder_of(calendar: Calendar, time_index: int, first: date) -> int:
    """Return the period of a month that holds at one of the four times; 0 counts as the first."""
    minute = _MINUTES[max(time_index, 1) - 1]
    return period_at(calendar, weekday_profile_index(calendar, first), minute)
