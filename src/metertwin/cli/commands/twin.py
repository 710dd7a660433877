"""`metertwin twin METER`: everything one twin says of itself."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from metertwin.cli.client import ApiClient
from metertwin.cli.options import DEFAULT_STATE, JsonOption, StateOption
from metertwin.cli.show import age, console, moment, print_json, table
from metertwin.core.twin import TwinStatus


def twin(
    meter: Annotated[str, typer.Argument(help="The meter's id.")],
    state: StateOption = DEFAULT_STATE,
    *,
    json: JsonOption = False,
) -> None:
    """Show reported and desired state, the ledger, and how fresh it all is."""
    with ApiClient(state) as api:
        document = api.get(f"/v1/twins/{quote(meter, safe='')}")
    if json:
        print_json(document)
        return
    is_away = document["status"] == TwinStatus.UNREACHABLE
    owner = "its host cannot be reached" if is_away else f"owner's epoch {document['epoch']}"
    console.print(
        f"[bold]{document['meter']}[/] in {document['group']}: {document['status']}, newest value "
        f"{age(document['age_s'])} old, {owner}"
    )
    rows = (_reported_row(key, value) for key, value in sorted(document["reported"].items()))
    headings = ("register", "value", "unit", "captured at (UTC)", "age", "quality", "origin")
    console.print(table("Reported", headings, rows))
    if document["desired"]:
        wishes = (
            (path, value, "pending" if path in document["pending"] else "done")
            for path, value in document["desired"].items()
        )
        title = f"Desired, version {document['desired_version']}"
        console.print(table(title, ("path", "wanted", "is"), wishes))
    if document["wishes"]:
        console.print(table("Wishes", ("path", "wished"), document["wishes"].items()))
        console.print("Kept here, not yet at the meter's site.", style="yellow")
    ledger = document["ledger"]
    console.print(
        f"Ledger: {ledger['received']:,} received, {ledger['taken']:,} applied, "
        f"{ledger['duplicate']:,} duplicate, {ledger['missing']:,} missing"
    )


def _reported_row(key: str, value: dict[str, Any]) -> list[object]:
    return [
        key,
        str(value["value"]),
        value["unit"],
        moment(value["captured_at"]),
        age(value["age_s"]),
        value["quality"],
        value["origin"],
    ]
