"""`metertwin twins`: the list."""

from typing import Annotated

import typer

from metertwin.cli.client import ApiClient
from metertwin.cli.options import DEFAULT_STATE, JsonOption, StateOption
from metertwin.cli.show import age, console, print_json, table

HEADINGS = ("meter", "group", "status", "age", "import W", "export W", "U1 V", "import Wh", "on")


def twins(
    *,
    search: Annotated[str, typer.Option(help="Only meters whose id has this part.")] = "",
    group: Annotated[str | None, typer.Option(help="Only this group.")] = None,
    status: Annotated[
        str | None, typer.Option(help="Only in_step, stale, waiting or unreachable twins.")
    ] = None,
    offset: Annotated[int, typer.Option(min=0, help="Twins to leave out first.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Twins at most.")] = 50,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """List twins with their newest values."""
    with ApiClient(state) as api:
        page = api.get(
            "/v1/twins",
            {
                "search": search,
                "group": group,
                "status": status,
                "offset": offset,
                "limit": limit,
            },
        )
    if json:
        print_json(page)
        return
    shown = f"{len(page['items'])} of {page['total']:,} twins"
    console.print(table(shown, HEADINGS, (summary_row(twin) for twin in page["items"])))
    for silent, why in page["silent"].items():
        console.print(f"Group {silent} is missing from the list: {why}", style="yellow")
    for group_id, why in page["last_known"].items():
        console.print(f"Group {group_id} is shown by its last values: {why}", style="yellow")


def summary_row(twin: dict[str, object]) -> list[object]:
    """Return a twin's summary as a row under HEADINGS."""
    age_s = twin["age_s"]
    assert age_s is None or isinstance(age_s, int | float)
    return [
        twin["meter"],
        twin["group"],
        twin["status"],
        age(age_s),
        twin["power_import_w"],
        twin["power_export_w"],
        twin["voltage_v"],
        twin["energy_import_wh"],
        twin["is_connected"],
    ]
