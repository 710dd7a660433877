"""`metertwin outputs`: what apps concluded about a meter or a group."""

from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer

from metertwin.cli.client import ApiClient
from metertwin.cli.options import DEFAULT_STATE, JsonOption, StateOption
from metertwin.cli.show import console, moment, print_json, table

_COLUMNS = ("about", "app", "name", "at", "revision", "issued at", "value")
_VALUE_LENGTH = 60  # the whole value is in --json


def outputs(
    meter: Annotated[str | None, typer.Argument(help="The meter's id.")] = None,
    *,
    group: Annotated[
        str | None, typer.Option(help="Instead of a meter: this group and its meters.")
    ] = None,
    app: Annotated[str | None, typer.Option(help="Only of this app.")] = None,
    name: Annotated[str | None, typer.Option(help="Only of this name, for example bill.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="First moment; default the beginning.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="First moment not included.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Outputs at most.")] = 100,
    all_revisions: Annotated[
        bool, typer.Option("--all-revisions", help="Earlier revisions, too.")
    ] = False,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """List what apps concluded about a meter or a group, newest first."""
    if (meter is None) == (group is None):
        raise typer.BadParameter("Give a meter, or --group, not both.")
    where = f"twins/{quote(meter, safe='')}" if meter else f"groups/{quote(group or '', safe='')}"
    parameters = {
        "app": app,
        "name": name,
        "start": start,
        "end": end,
        "limit": limit,
        "all_revisions": all_revisions or None,
    }
    with ApiClient(state) as api:
        answer = api.get(f"/v1/{where}/outputs", parameters)
    if json:
        print_json(answer)
        return
    rows = [_row(output, group) for output in answer["outputs"]]
    console.print(table(f"Outputs of {meter or group}, times in UTC", _COLUMNS, rows))


def _row(output: dict[str, Any], group: str | None) -> list[object]:
    text = msgspec.json.encode(output["value"]).decode()
    return [
        output["meter"] or group or "its group",
        output["app"],
        output["name"],
        moment(output["at"]),
        output["revision"],
        moment(output["issued_at"]),
        text if len(text) <= _VALUE_LENGTH else text[:_VALUE_LENGTH] + " ...",
    ]
