"""`metertwin usage`: usage files shown, converted, billed, and exported from a site."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated
from urllib.parse import quote
from zoneinfo import ZoneInfo

import typer

from metertwin.apps.tariff.bill import Bill
from metertwin.apps.tariff.documents import parse_tariff
from metertwin.apps.tariff.rating import Contract
from metertwin.cli.client import ApiClient
from metertwin.cli.options import DEFAULT_STATE, JsonOption, StateOption
from metertwin.cli.show import console, print_json, table
from metertwin.cli.usage_files import (
    UsageForm,
    UsagePathError,
    read_prices,
    read_usage,
    usage_octets,
    write_usage,
    zone_named,
)
from metertwin.cli.usage_rating import RatedFile, bill_of_month, rated_file
from metertwin.cli.usage_view import usage_plain, usage_renderables
from metertwin.core.ids import meter_id

usage = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode="rich")

FileArgument = Annotated[Path, typer.Argument(help="A Green Button or CSV file.")]
ZoneOption = Annotated[
    str | None,
    typer.Option(help="Zone of days and months, and of CSV times without offset; IANA name."),
]
_MEDIA_TYPES = {UsageForm.GREENBUTTON: "application/atom+xml", UsageForm.CSV: "text/csv"}


@usage.command()
def show(file: FileArgument, *, zone: ZoneOption = None, json: JsonOption = False) -> None:
    """Show what is in a usage file: series, months, gaps, the shape of the day, bills."""
    told = read_usage(file, zone_named(zone))
    whose = told.zone or ZoneInfo("UTC")
    if json:
        print_json(usage_plain(told, whose))
        return
    for renderable in usage_renderables(told, whose):
        console.print(renderable)


@usage.command()
def convert(
    file: FileArgument,
    *,
    to: Annotated[UsageForm, typer.Option(help="Form to write.")],
    out: Annotated[Path, typer.Option(help="File to write.")],
    zone: ZoneOption = None,
) -> None:
    """Write a usage file in another form; what does not go along is said."""
    told = read_usage(file, zone_named(zone))
    notes = list(told.notes)
    notes += [f"Left out {each.title or each.meter}: {each.reason}." for each in told.others]
    if to is UsageForm.CSV and told.bills:
        notes.append(f"Left out {len(told.bills)} bills: CSV tells energies.")
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    write_usage(out, usage_octets(told, to))


@usage.command()
def rate(
    file: FileArgument,
    *,
    tariff: Annotated[Path, typer.Option(help="A tariff, as docs/tariffs.md says.")],
    month: Annotated[str | None, typer.Option(help="Only this month, YYYY-MM, in full.")] = None,
    meter: Annotated[str | None, typer.Option(help="Which meter of a file of several.")] = None,
    contracted_kva: Annotated[
        str | None, typer.Option("--contracted-kva", help="For tariffs that ask for it.")
    ] = None,
    declared_kw: Annotated[
        str | None, typer.Option("--declared-kw", help="For tariffs that ask for it.")
    ] = None,
    prices: Annotated[
        Path | None, typer.Option(help="Prices of a real-time tariff: CSV, price_per_kwh or _mwh.")
    ] = None,
    zone: ZoneOption = None,
    json: JsonOption = False,
) -> None:
    """Bill a customer's file with a tariff, gaps estimated and doubts told."""
    wanted = None if month is None else _month(month)
    terms = parse_tariff(_text_of(tariff), str(tariff))
    whose = zone_named(zone) or ZoneInfo(terms.zone)
    told = read_usage(file, whose)
    notes = list(told.notes)
    series = None
    if prices is not None:
        series, more = read_prices(prices, terms.currency, whose)
        notes += more
    contract = Contract(
        _decimal("--contracted-kva", contracted_kva), _decimal("--declared-kw", declared_kw)
    )
    owner = None if meter is None else meter_id(meter)
    rated = rated_file(told, terms, contract, owner, series)
    bills = rated.bills if wanted is None else [bill_of_month(rated, wanted)]
    if json:
        print_json({"bills": bills, "notes": [*notes, *rated.notes]})
        return
    _show_bills(rated, bills, is_detailed=wanted is not None or len(bills) == 1)
    for note in notes:
        typer.echo(f"note: {note}", err=True)


@usage.command()
def export(
    meter: Annotated[str, typer.Argument(help="The meter's id.")],
    *,
    out: Annotated[Path, typer.Option(help="File to write.")],
    start: Annotated[str | None, typer.Option("--from", help="First moment, ISO 8601.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="First moment not included.")] = None,
    form: Annotated[
        UsageForm, typer.Option("--format", help="Form of the file.")
    ] = UsageForm.GREENBUTTON,
    bills: Annotated[
        bool, typer.Option("--bills", help="Put the months' bills into a Green Button file.")
    ] = False,
    zone: ZoneOption = None,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Export a meter's usage from a running site."""
    parameters = {
        "start": start,
        "end": end,
        "format": form.value,
        "zone": zone,
        "bills": "true" if bills else None,
    }
    with ApiClient(state) as api:
        path = f"/v1/twins/{quote(meter, safe='')}/usage"
        octets = api.get_bytes(path, parameters, _MEDIA_TYPES[form])
    write_usage(out, octets)


def _month(text: str) -> date:
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a month; write YYYY-MM.") from None


def _decimal(option: str, text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal(-1)
    if not (number.is_finite() and number >= 0):
        raise typer.BadParameter(f"{option} {text!r} is not a number of 0 or more.")
    return number


def _text_of(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsagePathError(f"{path} cannot be read: {error}.", path=str(path)) from None


def _show_bills(rated: RatedFile, bills: Sequence[Bill], *, is_detailed: bool) -> None:
    headings = ["month", "import kWh", "export kWh", "estimated", "missing", "total", "final"]
    rows = [
        [
            f"{bill.month:%Y-%m-%d}",
            f"{bill.import_kwh:,f}",
            f"{bill.export_kwh:,f}",
            bill.estimated_count,
            bill.missing_count,
            f"{bill.total:,f} {bill.currency}",
            "yes" if bill.is_final else "so far",
        ]
        for bill in bills
    ]
    title = f"{bills[0].meter} with {bills[0].tariff} version {bills[0].tariff_version}"
    console.print(table(title, headings, rows))
    if is_detailed:
        lines = [
            [line.name, line.period, f"{line.amount:,f}", line.because] for line in bills[0].lines
        ]
        console.print(table("Lines", ["charge", "period", "amount", "because"], lines))
    for note in rated.notes:
        typer.echo(f"note: {note}", err=True)
