"""`metertwin request METER NAME`: ask a twin."""

from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer

from metertwin.cli.client import ApiClient
from metertwin.cli.options import DEFAULT_STATE, JsonOption, StateOption, pairs
from metertwin.cli.show import age, console, print_json, table


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
        console.print(table(f"{name} of {meter}", ("what", "value", "age"), _rows(answer)))


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


def _rows(answer: Any) -> list[list[object]]:  # noqa: ANN401  JSON is anything
    if not isinstance(answer, dict):
        return [["answer", str(answer), ""]]
    return [[key, *_value_and_age(value)] for key, value in answer.items()]


def _value_and_age(value: Any) -> tuple[str, str]:  # noqa: ANN401  JSON is anything
    if isinstance(value, dict) and "captured_at" in value and "value" in value:
        return f"{value['value']} {value['unit']}".strip(), age(value["age_s"])
    if isinstance(value, list):
        return f"{len(value)} rows; --json shows them", ""
    return "-" if value is None else str(value), ""
