"""`metertwin calendar`: the tariff calendar a meter follows, written and shown."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from metertwin.apps.tariff.activity_calendar import to_tables
from metertwin.apps.tariff.calendar import Calendar, Holiday
from metertwin.apps.tariff.calendar_text import CalendarOrder, calendar_from_plain
from metertwin.apps.tariff.documents import parse_tariff
from metertwin.apps.tariff.energy import EnergyCharge
from metertwin.cli.client import ApiClient
from metertwin.cli.commands.command import tell
from metertwin.cli.options import DEFAULT_STATE, JsonOption, StateOption
from metertwin.cli.show import console, moment, print_json
from metertwin.cli.tariff_grid import PeriodMarks, grids, legend
from metertwin.core.errors import InvalidInputError, NotFoundError

_DEADLINE_S = 30.0

calendar = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode="rich")


class CalendarFileError(NotFoundError):
    """The tariff's file cannot be read."""

    code = "cli.calendar_file"


class NoCalendarError(InvalidInputError):
    """The tariff has no calendar a meter could follow."""

    code = "cli.no_calendar"


@calendar.command()
def write(
    meter: Annotated[str, typer.Argument(help="The meter's id.")],
    *,
    tariff: Annotated[Path, typer.Option(help="The tariff, as docs/tariffs.md says.")],
    at: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"],
            help="When it takes over, with its zone: 2027-01-01T00:00+01:00; else at once.",
        ),
    ] = None,
    expires_in: Annotated[
        float, typer.Option(help="Seconds after which it must not happen any more.")
    ] = 300.0,
    key: Annotated[
        str | None, typer.Option(help="The command's id: the same key happens only once.")
    ] = None,
    state: StateOption = DEFAULT_STATE,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the meter's own answer.")] = False,
    json: JsonOption = False,
) -> None:
    """Have a meter count by a tariff's periods: period 1 into 1.8.1, period 2 into 1.8.2 ..."""
    wanted = _calendar_of(tariff)
    to_tables(wanted)
    body = {
        "kind": "write_calendar",
        "arguments": dict(CalendarOrder(wanted, at).arguments()),
        "expires_in_s": expires_in,
    }
    tell(meter, body, key=key, state=state, wait=wait, json=json)


@calendar.command()
def show(
    meter: Annotated[str, typer.Argument(help="The meter's id.")],
    *,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Read the calendar a meter follows, and show which rate holds when."""
    with ApiClient(state) as api:
        path = f"/v1/twins/{quote(meter, safe='')}/requests/activity_calendar"
        answer = api.send("POST", path, {"deadline_s": _DEADLINE_S})
    if json:
        print_json(answer)
        return
    followed = calendar_from_plain(answer["calendar"])
    console.print(f"Meter {meter} follows calendar {answer['name']!r}.", style="bold")
    if answer["activates_at"] is not None:
        console.print(f"Another one waits and takes over at {moment(answer['activates_at'])}.")
    rates = tuple(str(number) for number, _ in enumerate(followed.periods, 1))
    shown = replace(followed, periods=rates)
    marks = PeriodMarks.of(rates, [Decimal(-int(rate)) for rate in rates])
    console.print(legend(shown, marks))
    for grid in grids(shown, marks):
        console.print(grid)
    if followed.holidays:
        console.print(f"Holidays: {', '.join(_days(followed.holidays))}")


def _calendar_of(path: Path) -> Calendar:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CalendarFileError(f"{path} cannot be read: {error}.", path=str(path)) from error
    energy = parse_tariff(text, str(path)).energy
    if not isinstance(energy, EnergyCharge):
        raise NoCalendarError(
            f"{path} charges energy at a price series; a meter can follow calendars alone.",
            path=str(path),
        )
    return energy.calendar


def _days(holidays: tuple[Holiday, ...]) -> Iterator[str]:
    for holiday in holidays:
        year = "every year's " if holiday.year is None else f"{holiday.year}-"
        yield f"{year}{holiday.month:02}-{holiday.day:02}"
