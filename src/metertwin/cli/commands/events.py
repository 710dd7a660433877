"""`metertwin events`: what happened at a meter, and what happens now anywhere."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from metertwin.cli.client import ApiClient
from metertwin.cli.events_stream import messages
from metertwin.cli.options import DEFAULT_STATE, JsonOption, StateOption
from metertwin.cli.show import console, moment, print_json, print_json_line, table

_COLUMNS = ("captured_at", "source", "code", "name", "detail")


def events(
    meter: Annotated[str | None, typer.Argument(help="The meter's id.")] = None,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Show events as they come.")
    ] = False,
    group: Annotated[str | None, typer.Option(help="With --follow: only this group.")] = None,
    start: Annotated[str | None, typer.Option(help="First moment; default 24 h ago.")] = None,
    end: Annotated[str | None, typer.Option(help="First moment not included.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Events at most.")] = 100,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """List the events of a meter, newest first, or follow those of all."""
    with ApiClient(state) as api:
        if follow:
            filters = {"meter": meter, "group": group, "kind": ["event", "outcome"]}
            for name, content in messages(api, filters):
                _show_one(name, content, as_json=json)
            return
        if meter is None:
            raise typer.BadParameter("Give a meter, or --follow for the events of all.")
        parameters = {"start": start, "end": end, "limit": limit}
        answer = api.get(f"/v1/twins/{quote(meter, safe='')}/events", parameters)
    if json:
        print_json(answer)
        return
    rows = (
        [moment(event["captured_at"]), *(event[column] for column in _COLUMNS[1:])]
        for event in answer["events"]
    )
    console.print(table(f"Events of {meter}", _COLUMNS, rows))


def _show_one(name: str, content: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json_line({"kind": name, **content})
    elif name == "missed":
        console.print(f"{content['missed_count']:,} messages were missed", style="yellow")
    elif name == "outcome":
        console.print(
            f"{content['at']}  {content['meter']}  command {content['command']}: "
            f"{content['status']} {content['reason']}".rstrip()
        )
    else:
        console.print(
            f"{content['captured_at']}  {content['meter']}  {content['name']} "
            f"({content['source']} {content['code']}) {content['detail']}".rstrip()
        )
