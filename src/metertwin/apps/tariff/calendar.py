"""When which price holds: seasons, weekdays, holidays and the switches of a day, in local time.

Built like a meter's activity calendar (season -> week -> day profile -> switches, and special
days), so that a tariff can be written into a meter and read back.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from metertwin.core.errors import InvalidInputError

MINUTES_PER_DAY = 1440
_DAYS_OF_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class CalendarError(InvalidInputError):
    """A tariff calendar that leaves a moment without a period, or names what is not there."""

    code = "input.tariff_calendar"


@dataclass(frozen=True, slots=True, order=True)
class MonthDay:
    """A day of every year, month 1 to 12, day 1 to 31; 29 February is there in leap years only."""

    month: int
    day: int

    def __post_init__(self) -> None:
        if not (1 <= self.month <= 12 and 1 <= self.day <= _DAYS_OF_MONTH[self.month - 1]):
            raise CalendarError(f"{self.month:02}-{self.day:02} is no day of a year.")


@dataclass(frozen=True, slots=True, order=True)
class Holiday:
    """A day that counts as a holiday: in one year, or with `year` None in every year."""

    month: int
    day: int
    year: int | None = None

    def __post_init__(self) -> None:
        MonthDay(self.month, self.day)


@dataclass(frozen=True, slots=True)
class Switch:
    """From this minute of the local day on, this period holds, until the next switch."""

    minute_of_day: int
    period_index: int


@dataclass(frozen=True, slots=True)
class Season:
    """Part of the year, from `start` (included) to the start of the next season.

    Attributes:
        name: For people.
        start: First day.
        week: Day profile of Monday to Sunday, 7 indices.
        holiday_index: Day profile of holidays.
    """

    name: str
    start: MonthDay
    week: tuple[int, ...]
    holiday_index: int


@dataclass(frozen=True, slots=True)
class Calendar:
    """Which period holds at each moment of local time.

    Attributes:
        periods: Names of the periods; a switch names one by its index.
        day_profiles: Switches of each kind of day, ascending, the first at minute 0. Minutes are
            those of the wall clock: on the day summer time ends, 02:30 comes twice and has the
            same period both times.
        seasons: At least one, by ascending start; before the first start the last one holds.
        holidays: Days that take the season's holiday profile.
    """

    periods: tuple[str, ...]
    day_profiles: tuple[tuple[Switch, ...], ...]
    seasons: tuple[Season, ...]
    holidays: tuple[Holiday, ...] = ()

    def __post_init__(self) -> None:
        problems = [*self._profile_problems(), *self._season_problems()]
        if not self.periods or len(set(self.periods)) != len(self.periods):
            problems.append(f"periods {list(self.periods)} are empty or repeated")
        if problems:
            raise CalendarError("; ".join(problems) + ".")

    @classmethod
    def always(cls, period: str = "all") -> "Calendar":
        """Return the calendar in which one period holds at all times."""
        season = Season("all year", MonthDay(1, 1), (0,) * 7, 0)
        return cls((period,), ((Switch(0, 0),),), (season,))

    def _profile_problems(self) -> Sequence[str]:
        problems = []
        for number, switches in enumerate(self.day_profiles):
            minutes = [switch.minute_of_day for switch in switches]
            if not minutes or minutes[0] != 0 or sorted(set(minutes)) != minutes:
                problems.append(
                    f"day profile {number} switches at minutes {minutes}; begin at 0 and ascend"
                )
            if minutes and not minutes[-1] < MINUTES_PER_DAY:
                problems.append(f"day profile {number} switches at minute {minutes[-1]} of 1440")
            unknown = {s.period_index for s in switches} - set(range(len(self.periods)))
            if unknown:
                problems.append(f"day profile {number} names periods {sorted(unknown)} not there")
        return problems

    def _season_problems(self) -> Sequence[str]:
        problems = []
        starts = [season.start for season in self.seasons]
        if not starts or sorted(set(starts)) != starts:
            problems.append("seasons must be there, each with its own start, by ascending start")
        for season in self.seasons:
            used = {*season.week, season.holiday_index}
            if len(season.week) != 7 or not used <= set(range(len(self.day_profiles))):
                problems.append(
                    f"season {season.name} names day profiles {sorted(used)} for "
                    f"{len(season.week)} weekdays; name 7, each 0 to {len(self.day_profiles) - 1}"
                )
        return problems
