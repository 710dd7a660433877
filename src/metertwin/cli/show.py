"""How commands show things to people: tables, ages, JSON."""

import sys
from collections.abc import Iterable, Sequence

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

console = Console()
_STATUS_STYLES = {
    "in_step": "green",
    "up": "green",
    "yes": "green",
    "effected": "green",
    "accepted": "cyan",
    "stale": "yellow",
    "waiting": "yellow",
    "unreachable": "yellow",
    "last_known": "yellow",
    "down": "red",
    "no": "red",
    "failed": "red",
    "refused": "red",
    "expired": "red",
}


def print_json(value: object) -> None:
    """Print a value as indented JSON, at once, for a reader at the other end of a pipe."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
    sys.stdout.flush()


def print_json_line(value: object) -> None:
    """Print a value as one line of JSON, at once, for a reader at the other end of a pipe."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def table(title: str, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Return a table; numbers stand right, known states have their colour."""
    result = Table(title=Text(title), title_justify="left", header_style="bold")
    kept = [list(row) for row in rows]
    for column, heading in enumerate(headings):
        numeric = any(isinstance(row[column], int | float) for row in kept)
        is_state = any(str(row[column]) in _STATUS_STYLES for row in kept)
        # What a row is about must be readable in full: people copy it into the next command. How
        # it stands as well: they look for it.
        # Other columns fold where the terminal is narrow; nothing is cut off.
        result.add_column(
            heading,
            justify="right" if numeric else "left",
            no_wrap=column == 0 or is_state,
            overflow="fold",
        )
    for row in kept:
        result.add_row(*(_cell(value) for value in row))
    return result


def age(age_s: float | None) -> str:
    """Return an age for people.

    Example:
        >>> age(4.2), age(300), age(7500.0), age(None)
        ('4 s', '5 min', '2 h 05 min', '-')
    """
    if age_s is None:
        return "-"
    if age_s < 120:
        return f"{age_s:.0f} s"
    minutes = int(age_s // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def moment(text: str | None) -> str:
    """Return an ISO 8601 UTC time for a narrow column, to the second.

    Example:
        >>> moment("2026-03-29T12:00:00.123456Z"), moment(None)
        ('2026-03-29 12:00:00', '-')
    """
    return "-" if text is None else text[:19].replace("T", " ")


def _cell(value: object) -> Text:
    if value is None:
        return Text("-", style="dim")
    if isinstance(value, bool):
        return _cell("yes" if value else "no")
    if isinstance(value, float):
        return Text(f"{value:,.1f}")
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return Text(text, style=_STATUS_STYLES.get(text, ""))
