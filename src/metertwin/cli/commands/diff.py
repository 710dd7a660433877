"""`metertwin diff -f FILE`: what differs between a fleet file and what runs."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
import uvloop

from metertwin.cli.fleet_view import fleet_text, plain_steps, to_stderr
from metertwin.cli.options import DEFAULT_STATE, JsonOption, StateOption
from metertwin.core.ids import LotId
from metertwin.fleet.control.desired import desired_of
from metertwin.fleet.control.differ import steps_to, unknown_in
from metertwin.fleet.control.reach import reach_for
from metertwin.fleet.control.seen import look
from metertwin.fleet.control.steps import Step

EXIT_DIFFERS = 1


def diff(
    *,
    file: Annotated[Path, typer.Option("--file", "-f", help="The fleet file; - for stdin.")],
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Say what `apply` would do, in order. Ends with 0 when nothing differs, with 1 otherwise."""
    steps, unknown = uvloop.run(_diff(state, fleet_text(file), str(file)))
    if json:
        typer.echo(msgspec.json.encode(plain_steps(steps, unknown)).decode())
    else:
        for step in steps:
            typer.echo(step.sentence)
        for group, reason in unknown.items():
            typer.echo(f"{group} is not known: {reason}")
        if not steps and not unknown:
            typer.echo("The fleet is as the file wants it.")
    if steps or unknown:
        sys.exit(EXIT_DIFFERS)


async def _diff(root: Path, text: str, where: str) -> tuple[tuple[Step, ...], dict[LotId, str]]:
    async with reach_for(root, to_stderr(), text, where) as (reach, file):
        seen = await look(reach)
        return steps_to(desired_of(file, reach.known), seen), unknown_in(seen)
