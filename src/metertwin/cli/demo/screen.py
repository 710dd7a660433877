"""What a person sees of the demonstration: first what starts, then the twins, then the account."""

from rich.console import Console, Group
from rich.table import Table

from metertwin.cli.demo.probe import Tally
from metertwin.core.twin import TwinStatus, TwinSummary

ROWS_COUNT = 14
_COLOURS = {
    TwinStatus.IN_STEP: "green",
    TwinStatus.STALE: "red",
    TwinStatus.WAITING: "yellow",
    TwinStatus.UNREACHABLE: "yellow",
}


def greet(console: Console, url: str, example_meter: str, state: str) -> None:
    """Say where the site is and what to try."""
    option = "" if state == "var/demo" else f" --state {state}"
    console.print(
        f"\n[bold]Every twin is in step.[/] API: {url}/v1/twins  (docs: {url}/openapi.json)"
    )
    console.print("In a second terminal:")
    console.print(f"  ./run metertwin twins{option}")
    console.print(f"  ./run metertwin request {example_meter} usage_now --max-age 0{option}")
    console.print(f"  ./run metertwin command {example_meter} disconnect --wait{option}\n")


def picture(twins: list[TwinSummary], now: str, applied: Tally, stored: Tally, line: str) -> Group:
    """Return the live table: some twins, and the ledger of all below."""
    table = Table(
        "meter", "status", "age s", "import W", "export W", "U L1 V", "energy kWh", "relay"
    )
    for twin in twins[:ROWS_COUNT]:
        table.add_row(
            twin.meter,
            f"[{_COLOURS[twin.status]}]{twin.status}[/]",
            _number(twin.age_s, 0),
            _number(twin.power_import_w, 0),
            _number(twin.power_export_w, 0),
            _number(twin.voltage_v, 1),
            _number(None if twin.energy_import_wh is None else twin.energy_import_wh / 1000, 3),
            {None: "", True: "closed", False: "[red]open[/]"}[twin.is_connected],
        )
    ledger = (
        f"{now}   readings received {applied.received:,}  applied {applied.taken:,}  "
        f"stored {stored.taken:,}  missing {applied.missing:,}  duplicate {applied.duplicate:,}"
    )
    return Group(table, ledger, line)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"
