"""`metertwin bill --group G --month M --out DIR`: a group's bills for a month, as files."""

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer
from rich.progress import Progress

from metertwin.cli.client import ApiClient
from metertwin.cli.options import DEFAULT_STATE, JsonOption, StateOption
from metertwin.cli.show import console, print_json, table
from metertwin.core.errors import UnavailableError

METERS_AT_ONCE = 50
_PAGE = 1_000
_DEADLINE_S = 60.0

Plain = dict[str, Any]


class BillFilesError(UnavailableError):
    """The bills cannot be written where they should."""

    code = "cli.bill_files"


def bill(
    *,
    group: Annotated[str, typer.Option(help="The group whose meters are billed.")],
    month: Annotated[str, typer.Option(help="Billing month, YYYY-MM.")],
    out: Annotated[Path | None, typer.Option(help="Directory for the bills, made if new.")] = None,
    meter: Annotated[
        list[str] | None, typer.Option(help="Only these meters; may be given several times.")
    ] = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Bill a group's month: one file per meter and a summary."""
    with ApiClient(state) as api:
        meters = meter or list(_meters(api, group))
        with Progress(transient=True, disable=not sys.stderr.isatty()) as progress:
            task = progress.add_task(f"Billing {month} of {group}", total=len(meters))
            rows: list[Plain] = []
            for start in range(0, len(meters), METERS_AT_ONCE):
                some = meters[start : start + METERS_AT_ONCE]
                arguments = {"month": month, "meters": some, "with_lines": out is not None}
                answer = _ask(api, group, arguments)
                rows += answer["meters"]
                if out is not None:
                    _write_bills(out, month, answer["bills"])
                progress.advance(task, len(some))
    if out is not None:
        _write_summary(out / f"summary-{month}.csv", rows)
    if json:
        where = None if out is None else str(out)
        print_json({"group": group, "month": month, "out": where, **_sums(rows), "meters": rows})
    else:
        _show(group, month, rows, out)


def _meters(api: ApiClient, group: str) -> Iterator[str]:
    offset, total = 0, 1
    while offset < total:
        page = api.get("/v1/twins", {"group": group, "offset": offset, "limit": _PAGE})
        if silent := page["silent"]:
            raise UnavailableError(f"Group {group} does not answer: {'; '.join(silent.values())}")
        yield from (twin["meter"] for twin in page["items"])
        total = page["total"]
        offset += _PAGE


def _ask(api: ApiClient, group: str, arguments: dict[str, object]) -> Any:  # noqa: ANN401  JSON is anything
    body = {"arguments": arguments, "deadline_s": _DEADLINE_S}
    return api.send("POST", f"/v1/groups/{quote(group, safe='')}/requests/bills", body)


def _write_bills(out: Path, month: str, bills: list[Plain]) -> None:
    with _writing(out):
        out.mkdir(parents=True, exist_ok=True)
        for each in bills:
            octets = msgspec.json.format(msgspec.json.encode(each), indent=2)
            (out / f"{each['meter']}-{month}.json").write_bytes(octets + b"\n")


def _write_summary(path: Path, rows: list[Plain]) -> None:
    with _writing(path), path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["meter"])
        writer.writeheader()
        writer.writerows(rows)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BillFilesError(
            f"{path} cannot be written: {error.strerror}; check --out.", path=str(path)
        ) from error


def _sums(rows: list[Plain]) -> dict[str, Any]:
    billed = [row for row in rows if row["total"] is not None]
    totals: dict[str, Decimal] = {}
    for row in billed:
        sum_before = totals.get(row["currency"], Decimal(0))
        totals[row["currency"]] = sum_before + Decimal(row["total"])
    return {
        "billed_count": len(billed),
        "unbilled_count": len(rows) - len(billed),
        "estimated_count": sum(row["estimated_count"] > 0 for row in billed),
        "missing_count": sum(row["missing_count"] > 0 for row in billed),
        "totals": {currency: str(total) for currency, total in totals.items()},
    }


def _show(group: str, month: str, rows: list[Plain], out: Path | None) -> None:
    headings = ("meter", "tariff", "kWh in", "kWh out", "estimated", "missing", "total", "note")
    shown = [
        (
            row["meter"],
            row["tariff"],
            row["import_kwh"],
            row["export_kwh"],
            row["estimated_count"],
            row["missing_count"],
            "-" if row["total"] is None else f"{row['total']} {row['currency']}",
            row["note"],
        )
        for row in rows
    ]
    console.print(table(f"{month} of {group}", headings, shown))
    sums = _sums(rows)
    totals = ", ".join(f"{amount} {currency}" for currency, amount in sums["totals"].items())
    console.print(
        f"{sums['billed_count']} bills, {totals or 'nothing'}; {sums['estimated_count']} with "
        f"estimates, {sums['missing_count']} with gaps, {sums['unbilled_count']} not billed."
    )
    if out is not None:
        console.print(f"Written to {out}: one file per meter and summary-{month}.csv.")
