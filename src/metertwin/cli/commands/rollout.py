"""`metertwin rollout start GROUP ... --image NEW`: another image for twins, tried first."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
import uvloop

from metertwin.cli.fleet_view import to_stderr
from metertwin.cli.options import DEFAULT_STATE, JsonOption, StateOption
from metertwin.cli.rehearsing.report import plain_difference, show_difference
from metertwin.fleet.control.by_hand import check_no_controller
from metertwin.fleet.local.containers import Containers
from metertwin.fleet.rollout.plan import Outcome, RolloutPlan, RolloutResult
from metertwin.fleet.rollout.postponed import POSTPONE_MOST_S
from metertwin.fleet.rollout.rolling import lots_named, rollout_for
from metertwin.fleet.site import load_site
from metertwin.fleet.site_lease import SITE_TERM_S
from metertwin.fleet.state import StateDirectory

EXIT_NOT_PROMOTED = 1

rollout = typer.Typer(
    help="Try another image for a group's twins, and promote it or take it back.",
    no_args_is_help=True,
)


@rollout.callback()
def _about() -> None:
    """Try another image for a group's twins, and promote it or take it back."""


@rollout.command()
def start(
    groups: Annotated[list[str], typer.Argument(help="Groups that run at one site.")],
    *,
    image: Annotated[
        str, typer.Option(help="The new image; `metertwin image build --tag` makes it.")
    ],
    canary: Annotated[
        float,
        typer.Option(help="Share of the groups that go first; at least one goes.", min=0, max=1),
    ] = 0.1,
    watch: Annotated[
        float, typer.Option(help="Seconds to watch the canary, and then all.", min=0)
    ] = 10.0,
    differences: Annotated[
        int, typer.Option(help="Most differences in the rehearsal that are wanted; -1 for any.")
    ] = 0,
    postpone_most: Annotated[
        float,
        typer.Option(help='Seconds to wait at most for all apps that say "not now".', min=0),
    ] = POSTPONE_MOST_S,
    term: Annotated[
        float,
        typer.Option(help="Seconds of silence after which somebody else may go on.", min=1),
    ] = SITE_TERM_S,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Rehearse, hand over, watch; promote, or go back by itself. The meters notice nothing."""
    plan = RolloutPlan(
        groups=lots_named(load_site(StateDirectory(state).site_file), groups),
        image=image,
        canary_ratio=canary,
        watch_s=watch,
        differences_most_count=None if differences < 0 else differences,
        postpone_most_s=postpone_most,
    )
    result = uvloop.run(_start(state, plan, term))
    if json:
        typer.echo(msgspec.json.encode(plain_result(result)).decode())
    else:
        _show(result)
    if result.outcome is not Outcome.PROMOTED:
        sys.exit(EXIT_NOT_PROMOTED)


async def _start(root: Path, plan: RolloutPlan, term_s: float) -> RolloutResult:
    say = to_stderr()
    state = StateDirectory(root)
    site = load_site(state.site_file)
    containers = await Containers.of_running(root)
    try:
        async with rollout_for(state, site, plan.groups, containers, say, term_s=term_s) as rolling:
            await check_no_controller(rolling.mover.cloud)
            return await rolling.run(plan)
    finally:
        await containers.close()


def plain_result(result: RolloutResult) -> dict[str, object]:
    """Return a rollout's result as plain values."""
    return {
        "groups": list(result.plan.groups),
        "image": result.plan.image,
        "outcome": result.outcome.value,
        "reason": result.reason,
        "took_s": result.took_s,
        "rehearsed": [
            {
                "group": each.group,
                "app": each.app,
                "differences": each.count,
                "difference": plain_difference(each.told),
            }
            for each in result.rehearsed
        ],
        "postponed": msgspec.to_builtins(result.postponed),
        "moves": msgspec.to_builtins(result.moves),
    }


def _show(result: RolloutResult) -> None:
    for each in result.rehearsed:
        typer.echo(f"{each.app} over the past of {each.group}: {each.count} differences")
        if each.count:
            show_difference(each.told)
    for wait in result.postponed:
        until = "" if wait.until is None else wait.until.replace("_", " ")
        typer.echo(
            f"{wait.group}: {wait.app} said not now ({wait.reason}) for {wait.waited_s:.0f} of "
            f"{wait.limit_s:.0f} s, until {until}"
        )
    for move in result.moves:
        typer.echo(f"{move.group}: {move.old_host} -> {move.new_host}, {move.blackout_ms:.0f} ms")
    typer.echo(f"{result.outcome.replace('_', ' ')}: {result.reason}")
