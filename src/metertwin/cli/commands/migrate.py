"""`metertwin migrate GROUP --to SITE`: move a group's twins while they are asked and read."""

import contextlib
from pathlib import Path
from typing import Annotated

import msgspec
import typer
import uvloop
from rich.console import Console

from metertwin.cli.options import DEFAULT_STATE, JsonOption, StateOption
from metertwin.core.ids import GroupId, share_of
from metertwin.fleet.local.containers import Containers
from metertwin.fleet.moves.group_moves import GroupMoves
from metertwin.fleet.moves.migration import Migration, Say
from metertwin.fleet.moves.moving import checked_target, mover_for
from metertwin.fleet.site import load_site
from metertwin.fleet.state import StateDirectory


def migrate(
    group: Annotated[str, typer.Argument(help="The group to move.")],
    *,
    to: Annotated[str, typer.Option(help="The site it shall run at: the cloud, or its home.")],
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Move a group live; who asks it meanwhile waits some milliseconds and is answered."""
    console = Console(stderr=True)

    def say(what: str) -> None:
        console.print(f"[dim]{what}[/]", highlight=False)

    moves = uvloop.run(_migrate(state, GroupId(group), to, say))
    if json:
        typer.echo(msgspec.json.encode(moves).decode())
        return
    if not moves:
        typer.echo(f"Group {group} runs at {to} already.")
    for done in moves:
        typer.echo(
            f"Group {done.group} moved from {done.source} to {done.target} under epoch "
            f"{done.epoch}: blackout {done.blackout_ms:.0f} ms, {done.waited_count} requests "
            "waited."
        )


async def _migrate(root: Path, group: GroupId, to: str, say: Say) -> list[Migration]:
    state = StateDirectory(root)
    site = load_site(state.site_file)
    target = checked_target(site, group, to)
    async with contextlib.AsyncExitStack() as stack:
        mover = await stack.enter_async_context(mover_for(state, site, group, say))
        containers = None
        if any(map(share_of, site.lots_of(group))):  # shares take their containers along
            containers = await Containers.of_running(root)
            stack.push_async_callback(containers.close)
        return await GroupMoves(state, site, mover, containers, say).move(group, target)
