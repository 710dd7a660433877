"""`metertwin ledger`: received = applied = stored, or where not."""

from typing import Annotated, Any

import typer

from metertwin.cli.client import ApiClient
from metertwin.cli.options import DEFAULT_STATE, JsonOption, StateOption
from metertwin.cli.show import console, print_json, table

_FIGURES = ("received", "applied", "stored", "duplicate", "missing", "balanced")


def ledger(
    *,
    group: Annotated[str | None, typer.Option(help="Only this group.")] = None,
    meter: Annotated[str | None, typer.Option(help="Only this meter.")] = None,
    rows: Annotated[int, typer.Option(min=0, help="Meters to show at most.")] = 20,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Show that every reading arrived, once; meters that do not balance come first."""
    with ApiClient(state) as api:
        report = api.get("/v1/ledger", {"group": group, "meter": meter})
    if json:
        print_json(report)
        return
    meters = sorted(report["meters"], key=lambda entry: (entry["balanced"], entry["meter"]))
    total = report["total"]
    shown = [_row(entry["meter"], entry) for entry in meters[:rows]]
    shown.append(_row(f"all {total['meters']:,}", total))
    console.print(table("Ledger", ("meter", *_FIGURES), shown))
    for part, why in report["silent"].items():
        console.print(f"The {part} did not answer: {why}", style="yellow")
    for group_id, why in report["last_known"].items():
        console.print(f"Group {group_id} is shown as last known here: {why}", style="yellow")


def _row(name: str, entry: dict[str, Any]) -> list[object]:
    return [name, *(entry[figure] for figure in _FIGURES)]
