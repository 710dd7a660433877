"""`metertwin status`: the fleet as it is wanted and as it is, group by group."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from metertwin.cli.fleet_view import to_stderr
from metertwin.cli.options import DEFAULT_STATE, JsonOption, StateOption
from metertwin.fleet.control.reach import reach_of
from metertwin.fleet.control.standing import FleetStanding, GroupStanding, standing_of


def status(*, state: StateOption = DEFAULT_STATE, json: JsonOption = False) -> None:
    """Show where each group is wanted and where it is, and what is being done about it."""
    standing = uvloop.run(_status(state))
    if json:
        typer.echo(msgspec.json.encode(standing).decode())
    else:
        _show(standing)


async def _status(root: Path) -> FleetStanding:
    async with reach_of(root, to_stderr()) as reach:
        return await standing_of(reach)


def _show(standing: FleetStanding) -> None:
    console = Console()
    if standing.revision:
        told = "reached" if standing.is_reached else "not reached"
        of = f"{standing.where}, applied {standing.applied_at:%Y-%m-%d %H:%M:%S}"
        console.print(f"Revision {standing.revision} ({of}): {told}", highlight=False)
    else:
        console.print("No fleet file was applied; what is wanted is what the sites began with.")
    if standing.doing and standing.since is not None:
        since_s = (datetime.now(UTC) - standing.since).total_seconds()
        console.print(f"{standing.controller}, for {since_s:.0f} s: {standing.doing}")
    table = Table()
    for name in ("group", "wanted at", "host", "image", "apps", "in step"):
        table.add_column(name, overflow="fold")
    for group in standing.groups:
        table.add_row(*_cells(group))
    console.print(table)
    if standing.elsewhere:
        console.print(f"On machines of their own: {', '.join(standing.elsewhere)}", highlight=False)
    for sentence in standing.lacking:
        console.print(f"lacking: {sentence}", highlight=False)
    for group in standing.groups:
        if group.trouble:
            console.print(f"{group.group}: {group.trouble}", highlight=False)
    for key, reason in standing.refused.items():
        console.print(f"refused: {key}: {reason}", highlight=False)


def _cells(group: GroupStanding) -> tuple[str, ...]:
    in_step = "-" if group.twins is None else f"{group.in_step}/{group.twins}"
    host, image, apps = group.host or "-", group.image or "-", ", ".join(group.apps) or "-"
    return (group.group, group.wanted_at, host, image, apps, in_step)
