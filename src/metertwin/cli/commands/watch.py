"""`metertwin watch`: twins as they change, live."""

from typing import Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from metertwin.cli.client import ApiClient
from metertwin.cli.commands.twins import HEADINGS, summary_row
from metertwin.cli.events_stream import messages
from metertwin.cli.options import DEFAULT_STATE, JsonOption, StateOption
from metertwin.cli.show import console, print_json_line, table

_REFRESHES_PER_S = 4


def watch(
    *,
    group: Annotated[str | None, typer.Option(help="Only this group.")] = None,
    rows: Annotated[int, typer.Option(min=1, max=1000, help="Twins to show at most.")] = 30,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Show twins and what happens to them until Ctrl-C."""
    with ApiClient(state) as api:
        filters = {"group": group}
        if json:
            for name, content in messages(api, filters):
                print_json_line({"kind": name, **content})
            return
        _watch(api, group, rows)


def _watch(api: ApiClient, group: str | None, rows: int) -> None:
    def page() -> dict[str, dict[str, Any]]:
        found = api.get("/v1/twins", {"group": group, "limit": rows})
        return {twin["meter"]: twin for twin in found["items"]}

    shown, last = page(), ""
    with Live(console=console, refresh_per_second=_REFRESHES_PER_S, screen=False) as live:
        live.update(_picture(shown, last))
        for name, content in messages(api, {"group": group}):
            if name == "state":
                if content["meter"] in shown:
                    shown[content["meter"]] = content
            elif name == "missed":
                shown, last = page(), f"{content['missed_count']:,} changes were missed"
            elif name == "event":
                last = f"{content['captured_at']}  {content['meter']}  {content['name']}"
            else:
                last = f"{content['at']}  {content['meter']}  command {content['status']}"
            live.update(_picture(shown, last))


def _picture(shown: dict[str, dict[str, Any]], last: str) -> Group:
    title = f"{len(shown)} twins, live; Ctrl-C ends"
    return Group(table(title, HEADINGS, map(summary_row, shown.values())), Text(last))
