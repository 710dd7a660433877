"""Which tariff is in force: the calendars the meters follow, read from their own COSEM tables.

Decided by local time alone, day by day: a special day goes before the week, the week before the
next season's, and what a day switches on lasts over midnight until the next day switches.
"""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from metertwin.cosem.apdu.enumerations import ActionResult
from metertwin.cosem.calendar_tables import (
    TARIFF_SCRIPTS,
    CalendarTables,
    DatePattern,
    DayAction,
    DayProfile,
    SeasonProfile,
    WeekProfile,
)
from metertwin.cosem.errors import ServiceError
from metertwin.simulation.local_clock import offsets_min

Ints = NDArray[np.int64]

TARIFFS_MAX = 4
SEASONS_MAX = 12
DAYS_MAX = 24
SWITCHES_MAX = 24
SPECIAL_DAYS_MAX = 64
NAME_MAX_OCTETS = 32

_DAY_S = 86_400
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_ANY_DAY = DatePattern()


class TariffCalendar:
    """One calendar, in the meters' local time.

    Args:
        tables: What the meter holds; special days of unknown day ids change nothing.

    Raises:
        ServiceError: It needs more than a simulated meter has, or does not fit together.
    """

    def __init__(self, tables: CalendarTables) -> None:
        _check_sizes(tables)
        self.tables = tables
        self._days = {day.day_id: day for day in tables.days}
        weeks = {week.name: week for week in tables.weeks}
        self._seasons: list[tuple[tuple[int, int], WeekProfile]] = []
        for season in tables.seasons:
            week = weeks.get(season.week_name)
            if week is None or not set(week.day_ids) <= set(self._days):
                raise _refused(f"a week {season.week_name!r} or days of it that are not there")
            self._seasons.append((_start_of(season, len(tables.seasons)), week))
        self._seasons.sort(key=lambda each: each[0])
        self._switches: dict[int, tuple[Ints, NDArray[np.uint8]]] = {}

    def at(self, starts_s: Ints, zone: ZoneInfo) -> NDArray[np.uint8]:
        """Return the tariff at each moment, given in s since 1970 UTC."""
        minutes, _ = offsets_min(zone, starts_s)
        local_s = starts_s + 60 * minutes
        days = local_s // _DAY_S
        tariffs = np.empty(len(starts_s), np.uint8)
        for day in np.unique(days).tolist():
            here = days == day
            times, order = self._switches_of(day)
            tariffs[here] = order[np.searchsorted(times, local_s[here] % _DAY_S, "right") - 1]
        return tariffs

    def _switches_of(self, number: int) -> tuple[Ints, NDArray[np.uint8]]:
        """Return seconds and tariffs of a local day, counted from 1970, the first at midnight."""
        known = self._switches.get(number)
        if known is None:
            day = date.fromordinal(_EPOCH_DAY + number)
            actions = self._profile(day).actions
            before = self._profile(day - timedelta(days=1)).actions[-1].script_number
            times = [0, *(action.second_of_day for action in actions)]
            order = [before, *(action.script_number for action in actions)]
            known = self._switches[number] = (np.array(times), np.array(order, np.uint8))
        return known

    def _profile(self, day: date) -> DayProfile:
        for special in self.tables.special_days:
            if special.date.is_on(day) and special.day_id in self._days:
                return self._days[special.day_id]
        begun = [week for start, week in self._seasons if start <= (day.month, day.day)]
        week = begun[-1] if begun else self._seasons[-1][1]
        return self._days[week.day_ids[day.weekday()]]


def day_and_night() -> CalendarTables:
    """Return tables of tariff 1 from 6 to 22 o'clock and tariff 2 at night."""
    switches = ((0, 2), (6 * 3600, 1), (22 * 3600, 2))
    return CalendarTables(
        b"day and night",
        (SeasonProfile(b"all", _ANY_DAY, b"week"),),
        (WeekProfile(b"week", (1,) * 7),),
        (DayProfile(1, tuple(DayAction(at_s, TARIFF_SCRIPTS, rate) for at_s, rate in switches)),),
    )


def _start_of(season: SeasonProfile, season_count: int) -> tuple[int, int]:
    start = season.start
    if start == _ANY_DAY and season_count == 1:
        return (1, 1)
    if start.year is None and start.weekday_number is None and start.month and start.day:
        return (start.month, start.day)
    raise _refused(f"a season that starts on {start}; it takes a month and a day of every year")


def _check_sizes(tables: CalendarTables) -> None:
    switches_count = max((len(day.actions) for day in tables.days), default=0)
    names = (tables.name, *(season.name for season in tables.seasons))
    sizes = {
        "seasons": (len(tables.seasons), SEASONS_MAX),
        "days": (len(tables.days), DAYS_MAX),
        "switches on one day": (switches_count, SWITCHES_MAX),
        "special days": (len(tables.special_days), SPECIAL_DAYS_MAX),
        "octets in a name": (max(len(name) for name in names), NAME_MAX_OCTETS),
    }
    for what, (size, most) in sizes.items():
        if size > most:
            raise _refused(f"{size} {what}; it takes {most}")
    if not tables.seasons or not all(day.actions for day in tables.days):
        raise _refused("no season, or a day without a switch")
    for action in (action for day in tables.days for action in day.actions):
        if action.script_table != TARIFF_SCRIPTS or not 1 <= action.script_number <= TARIFFS_MAX:
            raise _refused(
                f"script {action.script_number} of {action.script_table}; it has "
                f"scripts 1 to {TARIFFS_MAX} of {TARIFF_SCRIPTS}"
            )


def _refused(what: str) -> ServiceError:
    return ServiceError(
        f"The simulated meter refuses a calendar with {what}.", result=ActionResult.OTHER_REASON
    )
