"""`metertwin health`: which parts are up."""

import typer

from metertwin.cli.client import ApiClient
from metertwin.cli.options import DEFAULT_STATE, JsonOption, StateOption
from metertwin.cli.show import console, print_json, table


def health(state: StateOption = DEFAULT_STATE, *, json: JsonOption = False) -> None:
    """Show which parts of the site are up, and why others are not; exit code 1 unless all are."""
    with ApiClient(state) as api:
        report = api.health()
    if json:
        print_json(report)
    else:
        rows = (
            (part["part"], "up" if part["is_up"] else "down", part["reason"])
            for part in report["parts"]
        )
        console.print(table(f"Site {report['site']}", ("part", "is", "why"), rows))
    if not report["is_up"]:
        raise typer.Exit(1)
