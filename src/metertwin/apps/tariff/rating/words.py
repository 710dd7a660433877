"""Numbers and hours as a customer reads them."""

from decimal import Decimal
from functools import lru_cache
from itertools import groupby

from metertwin.apps.tariff.calendar import MINUTES_PER_DAY, Calendar, Season
from metertwin.apps.tariff.schedule import period_at

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def number(value: Decimal, digits_min: int = 0) -> str:
    """Return a number without needless zeros.

    Example:
        >>> number(Decimal("12.500")), number(Decimal("12.5"), 2), number(Decimal("1E+2"))
        ('12.5', '12.50', '100')
    """
    return f"{tidy(value, digits_min):f}"


def tidy(value: Decimal, digits_min: int = 0) -> Decimal:
    """Return the same value with no more zeros behind the point than `digits_min` asks for."""
    text = f"{value:f}"
    whole, _, behind = text.partition(".")
    behind = behind.rstrip("0").ljust(digits_min, "0")
    return Decimal(f"{whole}.{behind}" if behind else whole)


@lru_cache(maxsize=1024)
def period_hours(calendar: Calendar, period_index: int) -> str:
    """Return when a period holds, for example `Mon-Fri 07:00-20:00`; empty if it always does."""
    seasons = [(s.name, _season_hours(calendar, s, period_index)) for s in calendar.seasons]
    told = [(name, hours) for name, hours in seasons if hours]
    if len(calendar.periods) == 1 or not told:
        return ""
    if len({hours for _, hours in told}) == 1 and len(told) == len(seasons):
        return told[0][1]
    by_hours: dict[str, list[str]] = {}
    for name, hours in told:
        by_hours.setdefault(hours, []).append(name)
    return "; ".join(f"{' and '.join(names)}: {hours}" for hours, names in by_hours.items())


def _season_hours(calendar: Calendar, season: Season, period_index: int) -> str:
    days = [_day_hours(calendar, profile, period_index) for profile in season.week]
    if calendar.holidays:
        days.append(_day_hours(calendar, season.holiday_index, period_index))
    groups = [
        (hours, [at for at, _ in group])
        for hours, group in groupby(enumerate(days[:7]), key=lambda day: day[1])
    ]
    told = [f"{_day_names(at)} {hours}" for hours, at in groups if hours]
    if len(days) == 8 and days[7] and not (len(groups) == 1 and days[7] == days[0]):
        told.append(f"holidays {days[7]}")
    return ", ".join(told)


def _day_names(days: list[int]) -> str:
    if len(days) == 7:
        return "daily"
    return _DAYS[days[0]] if len(days) == 1 else f"{_DAYS[days[0]]}-{_DAYS[days[-1]]}"


def _day_hours(calendar: Calendar, profile: int, period_index: int) -> str:
    switches = calendar.day_profiles[profile]
    ends = [*(s.minute_of_day for s in switches[1:]), MINUTES_PER_DAY]
    spans: list[tuple[int, int]] = []
    for switch, end in zip(switches, ends, strict=True):
        if period_at(calendar, profile, switch.minute_of_day) != period_index:
            continue
        if spans and spans[-1][1] == switch.minute_of_day:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((switch.minute_of_day, end))
    return " and ".join(f"{_clock(start)}-{_clock(end)}" for start, end in spans)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
