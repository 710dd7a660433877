"""`metertwin request METER NAME`: ask a twin."""

from typing import Annotated
from urllib.parse import quote

import msgspec
import typer

from metertwin.cli.answers import show_answer
from metertwin.cli.client import ApiClient
from metertwin.cli.options import DEFAULT_STATE, JsonOption, StateOption, pairs
from metertwin.cli.show import console, print_json
from metertwin.core.twin import AnswerSource


def request(
    meter: Annotated[str, typer.Argument(help="The meter's id.")],
    name: Annotated[
        str, typer.Argument(help="usage_now, read_register, load_profile, or an app's request.")
    ],
    *,
    max_age: Annotated[
        float | None,
        typer.Option(min=0, help="Oldest value that will do, in s; 0 reads through to the meter."),
    ] = None,
    deadline: Annotated[float, typer.Option(help="Longest time to wait, in s.")] = 10.0,
    argument: Annotated[
        list[str] | None,
        typer.Option("--argument", "-a", metavar="NAME=VALUE", help="For example obis=1.8.0."),
    ] = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Ask a twin; it answers from its state if that is fresh enough, else from the meter."""
    body = {
        "arguments": {
            key: typed(text) for key, text in pairs(argument or [], "NAME=VALUE").items()
        },
        "max_age_s": max_age,
        "deadline_s": deadline,
    }
    path = f"/v1/twins/{quote(meter, safe='')}/requests/{quote(name, safe='')}"
    with ApiClient(state) as api:
        answer = api.send("POST", path, body)
    if json:
        print_json(answer)
    else:
        show_answer(f"{name} of {meter}", answer)
        if isinstance(answer, dict) and answer.get("source") == AnswerSource.LAST_KNOWN:
            console.print(
                "The twin's host cannot be reached: this is the last known of it.", style="yellow"
            )


def typed(text: str) -> object:
    """Return a number where the text is one as JSON writes it, else the text.

    Example:
        >>> typed("3000"), typed("1.8.0"), typed("connected")
        (3000, '1.8.0', 'connected')
    """
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    return value if isinstance(value, int | float | bool) or value is None else text
