"""`metertwin desired METER PATH=VALUE...`: what is wanted of a meter."""

from typing import Annotated
from urllib.parse import quote

import typer

from metertwin.cli.client import ApiClient
from metertwin.cli.commands.request import typed
from metertwin.cli.options import DEFAULT_STATE, JsonOption, StateOption, pairs
from metertwin.cli.show import console, print_json, table


def desired(
    meter: Annotated[str, typer.Argument(help="The meter's id.")],
    changes: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH=VALUE...",
            help="disconnect_control=connected|disconnected, limit_w=NUMBER; =null withdraws.",
        ),
    ],
    *,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Say what is wanted of a meter; its twin brings it there, now or when it is back."""
    body = {"changes": {path: typed(text) for path, text in pairs(changes, "PATH=VALUE").items()}}
    with ApiClient(state) as api:
        answer = api.send("PATCH", f"/v1/twins/{quote(meter, safe='')}/desired", body)
    if json:
        print_json(answer)
        return
    title = f"Desired of {meter}, version {answer['version']}"
    console.print(table(title, ("path", "wanted"), answer["desired"].items()))
    if answer["kept"]:
        console.print(table("Wishes", ("path", "wished"), answer["kept"].items()))
        console.print(answer["note"], style="yellow")
