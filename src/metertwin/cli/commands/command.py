"""`metertwin command METER KIND`: tell a meter, and see both of its answers."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from metertwin.cli.client import ApiClient
from metertwin.cli.options import DEFAULT_STATE, JsonOption, StateOption
from metertwin.cli.show import console, moment, print_json, table

_WAIT_LONGEST_S = 60.0  # what the API allows in one request
_GOOD = frozenset({"accepted", "effected"})


class CommandName(StrEnum):
    """Commands as written on the command line."""

    DISCONNECT = "disconnect"
    RECONNECT = "reconnect"
    SET_LIMIT = "set-limit"
    SET_CLOCK = "set-clock"


def command(
    meter: Annotated[str, typer.Argument(help="The meter's id.")],
    kind: Annotated[CommandName, typer.Argument(help="What the meter is told.")],
    *,
    limit_w: Annotated[int | None, typer.Option(min=0, help="For set-limit, in W.")] = None,
    expires_in: Annotated[
        float, typer.Option(help="Seconds after which it must not happen any more.")
    ] = 60.0,
    key: Annotated[
        str | None, typer.Option(help="The command's id: the same key happens only once.")
    ] = None,
    state: StateOption = DEFAULT_STATE,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the meter's own answer.")] = False,
    json: JsonOption = False,
) -> None:
    """Command a meter; exit code 1 if it was refused, failed or expired."""
    if (kind is CommandName.SET_LIMIT) != (limit_w is not None):
        raise typer.BadParameter("--limit-w belongs to set-limit, which needs it.")
    body = {
        "kind": kind.value.replace("-", "_"),
        "arguments": {} if limit_w is None else {"limit_w": limit_w},
        "expires_in_s": expires_in,
    }
    tell(meter, body, key=key, state=state, wait=wait, json=json)


def tell(
    meter: str, body: dict[str, Any], *, key: str | None, state: Path, wait: bool, json: bool
) -> None:
    """Command a meter and show the answers; ends the program where they are no good ones."""
    kind = body["kind"].replace("_", "-")
    headers = {} if key is None else {"idempotency-key": key}
    with ApiClient(state) as api:
        record = api.send("POST", f"/v1/twins/{quote(meter, safe='')}/commands", body, headers)
        if wait and not json:
            with console.status(f"{kind} of {meter} was accepted; waiting for the meter"):
                record = _awaited(api, record["id"])
        elif wait:
            record = _awaited(api, record["id"])
    if json:
        print_json(record)
    else:
        rows = [_row("accepted", record["accepted"]), _row("effected", record["effected"])]
        title = f"Command {record['id']}: {kind} of {meter}"
        console.print(table(title, ("answer", "status", "at", "reason"), rows))
    newest = record["effected"] or record["accepted"]
    if newest["status"] not in _GOOD:
        raise typer.Exit(1)


def _awaited(api: ApiClient, command_id: str) -> Any:  # noqa: ANN401  JSON is anything
    return api.get(f"/v1/commands/{quote(command_id, safe='')}", {"wait_s": _WAIT_LONGEST_S})


def _row(question: str, answer: dict[str, str] | None) -> list[object]:
    if answer is None:
        return [question, None, None, "not yet answered"]
    return [question, answer["status"], moment(answer["at"]), answer["reason"]]
