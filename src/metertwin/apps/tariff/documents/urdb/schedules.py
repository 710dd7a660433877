"""URDB's schedules, 12 months by 24 hours for weekdays and weekends, as a tariff calendar."""

from collections.abc import Sequence
from itertools import pairwise

from metertwin.apps.tariff.calendar import Calendar, MonthDay, Season, Switch
from metertwin.apps.tariff.documents.scalars import MONTHS
from metertwin.apps.tariff.documents.urdb.structures import read_index
from metertwin.core.documents.place import Place

Rows = tuple[tuple[int, ...], ...]


def read_schedule(place: Place, period_count: int) -> Rows:
    """Read 12 rows of 24 periods, each below `period_count` as in `read_row`."""
    rows = place.items("12 months, January first")
    if len(rows) != 12:
        raise place.wrong(f"The schedule has {len(rows)} months; give 12.")
    return tuple(read_row(row, 24, period_count) for row in rows)


def read_row(place: Place, size: int, period_count: int) -> tuple[int, ...]:
    """Read a row of periods, each below `period_count`; 0: any, as prices could not be read."""
    items = place.items("periods")
    if len(items) != size:
        raise place.wrong(f"The row has {len(items)} periods; give {size}.")
    periods = tuple(read_index(item) for item in items)
    if period_count and not set(periods) <= set(range(period_count)):
        raise place.wrong(
            f"Period {max(periods)} is not among the {period_count} periods with prices."
        )
    return periods


def calendar_of(weekday_rows: Rows, weekend_rows: Rows, names: Sequence[str]) -> Calendar:
    """Return the calendar of two schedules; months alike, one after the other, are one season.

    URDB does not say how holidays are billed: here they are days like others.

    Args:
        weekday_rows: Position in `names` of each month and hour, Monday to Friday.
        weekend_rows: The same, Saturday and Sunday.
        names: Of the periods.
    """
    profiles: dict[tuple[int, ...], int] = {}
    for row in (*weekday_rows, *weekend_rows):
        profiles.setdefault(row, len(profiles))
    months = list(zip(weekday_rows, weekend_rows, strict=True))
    firsts = [0] + [number for number in range(1, 12) if months[number] != months[number - 1]]
    if len(firsts) > 1 and months[0] == months[11]:
        firsts = firsts[1:]  # the year's last season goes on into the next year
    seasons = []
    for first, after in pairwise([*firsts, firsts[0] + 12]):
        week = (profiles[weekday_rows[first]],) * 5 + (profiles[weekend_rows[first]],) * 2
        seasons.append(Season(_months(first, after - 1), MonthDay(first + 1, 1), week, week[6]))
    return Calendar(tuple(names), tuple(map(_switches, profiles)), tuple(seasons))


def _months(first: int, last: int) -> str:
    start, end = MONTHS[first].capitalize(), MONTHS[last % 12].capitalize()
    return start if start == end else f"{start} to {end}"


def _switches(hours: Sequence[int]) -> tuple[Switch, ...]:
    return tuple(
        Switch(hour * 60, period)
        for hour, period in enumerate(hours)
        if hour == 0 or period != hours[hour - 1]
    )
