"""A tariff's periods over the year in the terminal: months by hours, coloured by price."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.text import Text

from metertwin.apps.tariff.calendar import Calendar, Season

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "holidays")
_HEAT = ("#1a9850", "#91cf60", "#d9ef8b", "#fee08b", "#fc8d59", "#d73027")
_LABEL_SIZE = 8
_CELL_MINUTES = 30


@dataclass(frozen=True, slots=True)
class PeriodMarks:
    """How each period of a calendar is drawn: a letter, and a style by its price."""

    letters: Sequence[str]
    styles: Sequence[str]

    @classmethod
    def of(cls, periods: Sequence[str], amounts: Sequence[Decimal]) -> "PeriodMarks":
        """Return marks that tell periods apart without colour, too; `amounts` are their prices."""
        letters: list[str] = []
        for name in periods:
            wanted = [c for c in name.upper() if c.isascii() and c.isalnum()]
            spare = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
            letters.append(next((c for c in [*wanted, *spare] if c not in letters), "?"))
        ladder = sorted(set(amounts))
        steps = max(len(ladder) - 1, 1)
        heats = [_HEAT[ladder.index(amount) * (len(_HEAT) - 1) // steps] for amount in amounts]
        return cls(letters, [f"black on {heat}" for heat in heats])


def grids(calendar: Calendar, marks: PeriodMarks) -> Iterator[RenderableType]:
    """Yield one grid for each kind of day that differs from others in some month."""
    rows = _rows(calendar)
    by_look: dict[tuple[int, ...], list[str]] = {}
    for index, day in enumerate(_DAYS):
        look = tuple((*season.week, season.holiday_index)[index] for _, season in rows)
        by_look.setdefault(look, []).append(day)
    for look, days in by_look.items():
        yield Group(
            Text(_together(days), style="bold"),
            _header(),
            *(
                _row(label, calendar, profile_index, marks)
                for (label, _), profile_index in zip(rows, look, strict=True)
            ),
            Text(),
        )


def legend(calendar: Calendar, marks: PeriodMarks) -> Text:
    """Return which letter is which period."""
    text = Text("Two letters an hour, each the period at its half-hour's start:")
    for name, letter, style in zip(calendar.periods, marks.letters, marks.styles, strict=True):
        text.append("  ").append(letter, style).append(f" {name}")
    return text


def _rows(calendar: Calendar) -> list[tuple[str, Season]]:
    """Return a row for each month's first day and each season that begins within a month."""
    starts = {(month, 1) for month in range(1, 13)}
    starts |= {(season.start.month, season.start.day) for season in calendar.seasons}
    rows = []
    for month, day in sorted(starts):
        begun = [s for s in calendar.seasons if (s.start.month, s.start.day) <= (month, day)]
        label = _MONTHS[month - 1] if day == 1 else f"{_MONTHS[month - 1]} {day:2}"
        rows.append((label, begun[-1] if begun else calendar.seasons[-1]))
    return rows


def _together(days: Sequence[str]) -> str:
    """Return days for a title.

    Example:
        >>> _together(["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "holidays"])
        'Monday to Friday, holidays'
    """
    first = _DAYS.index(days[0])
    run = [day for day, known in zip(days, _DAYS[first:7], strict=False) if day == known]
    if len(run) < 3:
        return ", ".join(days)
    return ", ".join([f"{run[0]} to {run[-1]}", *days[len(run) :]])


def _header() -> Text:
    hours = "".join(f"{hour:02}" + " " * 4 for hour in range(0, 24, 3))
    return Text(" " * _LABEL_SIZE + hours, style="dim")


def _row(label: str, calendar: Calendar, profile_index: int, marks: PeriodMarks) -> Text:
    text = Text(label.ljust(_LABEL_SIZE))
    switches = calendar.day_profiles[profile_index]
    for minute in range(0, 1440, _CELL_MINUTES):
        period = [s.period_index for s in switches if s.minute_of_day <= minute][-1]
        text.append(marks.letters[period], marks.styles[period])
    return text
