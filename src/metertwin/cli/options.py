"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_STATE = Path("var/demo")

StateOption = Annotated[
    Path,
    typer.Option("--state", envvar="METERTWIN_STATE", help="State directory of the site."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def pairs(texts: list[str], what: str) -> dict[str, str]:
    """Return texts of the form NAME=VALUE as a mapping.

    Raises:
        typer.BadParameter: One has another form, or a name occurs twice.
    """
    result: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{text!r} is not of the form {what}.")
        if name in result:
            raise typer.BadParameter(f"{name} is given twice.")
        result[name] = value
    return result
