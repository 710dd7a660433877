"""`metertwin history METER OBIS`: a register's past, on screen or into a file."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import msgspec
import typer
from rich.progress import Progress

from metertwin.cli.client import ApiClient
from metertwin.cli.options import DEFAULT_STATE, StateOption
from metertwin.cli.show import console, moment, table
from metertwin.core.errors import UnavailableError


class Format(StrEnum):
    """Forms in which a history is given."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    ARROW = "arrow"


_MEDIA_TYPES = {
    Format.TABLE: "application/json",
    Format.CSV: "text/csv",
    Format.JSON: "application/json",
    Format.ARROW: "application/vnd.apache.arrow.stream",
}
_TIMES = frozenset({"captured_at", "interval_start", "since"})
_NOT_SHOWN = frozenset({"integer", "received_at", "sequence"})  # --format csv has them


class OutputError(UnavailableError):
    """The output cannot be written."""

    code = "cli.output"


def history(
    meter: Annotated[str, typer.Argument(help="The meter's id.")],
    obis: Annotated[str, typer.Argument(help="The register, for example 1.8.0.")],
    *,
    start: Annotated[str | None, typer.Option(help="First moment; default 24 h ago.")] = None,
    end: Annotated[str | None, typer.Option(help="First moment not included.")] = None,
    every: Annotated[int | None, typer.Option(min=1, help="Window in s; needs --how.")] = None,
    how: Annotated[
        str | None, typer.Option(help="Of --every: mean, last (default), min, max or gain.")
    ] = None,
    period: Annotated[
        int | None, typer.Option(min=0, help="Series: capture period in s, 0 for single reads.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Readings at most.")] = 100_000,
    form: Annotated[Format, typer.Option("--format", help="Form of the answer.")] = Format.TABLE,
    out: Annotated[Path | None, typer.Option(help="File to write instead of the screen.")] = None,
    state: StateOption = DEFAULT_STATE,
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Show or export the readings of one register."""
    form = Format.JSON if json else form
    if every is None and how is not None:
        raise typer.BadParameter("--how is for windows; give their length with --every.")
    if every is not None and how is None:
        how = "last"
    if form is Format.ARROW and out is None and sys.stdout.isatty():
        raise typer.BadParameter("--format arrow is binary; give a file with --out.")
    parameters = {
        "start": start,
        "end": end,
        "every_s": every,
        "how": how,
        "period_s": period,
        "limit": limit,
    }
    path = f"/v1/twins/{quote(meter, safe='')}/history/{quote(obis, safe='')}"
    with Progress(transient=True, disable=not sys.stderr.isatty()) as progress:
        progress.add_task(f"Reading the history of {meter}", total=None)
        with ApiClient(state) as api:
            octets = api.get_bytes(path, parameters, _MEDIA_TYPES[form])
    if out is not None:
        _write(out, octets)
    elif form is Format.TABLE:
        _show(octets)
    else:
        sys.stdout.buffer.write(octets)


def _write(out: Path, octets: bytes) -> None:
    try:
        out.write_bytes(octets)
    except OSError as error:
        raise OutputError(f"{out} cannot be written: {error.strerror}.", path=str(out)) from error
    typer.echo(f"Wrote {len(octets):,} bytes to {out}.", err=True)


def _show(octets: bytes) -> None:
    series = msgspec.json.decode(octets)
    columns = {
        name: [moment(text) for text in column] if name in _TIMES else column
        for name, column in series["columns"].items()
        if name not in _NOT_SHOWN
    }
    title = f"{series['obis']} of {series['meter']} in {series['unit'] or 'numbers'}, times in UTC"
    rows = zip(*columns.values(), strict=True)
    console.print(table(title, [name.replace("_", " ") for name in columns], rows))
    console.print(f"{series['count']:,} rows")
