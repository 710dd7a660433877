"""`metertwin apply -f FILE`: bring about what a fleet file wants; with --watch, keep it so."""

import asyncio
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from metertwin.cli.fleet_view import fleet_text, to_stderr
from metertwin.cli.options import DEFAULT_STATE, StateOption
from metertwin.fleet.control.controller import Round
from metertwin.fleet.control.reach import reach_for
from metertwin.fleet.control.run import TERM_S, Work, controller_of
from metertwin.fleet.control.store import FleetStore

EXIT_NOT_REACHED = 1


def apply(
    *,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", help="The fleet file, - for stdin; none: what was applied."),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Try each step that is lacking once, and end.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on: mend what becomes otherwise, until Ctrl-C.")
    ] = False,
    within: Annotated[
        float, typer.Option(help="Seconds after which it gives up, without --watch.", min=0)
    ] = 600.0,
    term: Annotated[
        float,
        typer.Option(help="Seconds of silence after which another controller takes over.", min=1),
    ] = TERM_S,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Check the file, keep it as what is wanted, and bring it about; twice is as good as once."""
    if once and watch:
        raise typer.BadParameter("--once and --watch contradict each other.")
    text = None if file is None else fleet_text(file)
    found = uvloop.run(_apply(state, text, str(file), once=once, watch=watch, times=(within, term)))
    if found is not None:
        _show(found)


async def _apply(
    root: Path, text: str | None, where: str, *, once: bool, watch: bool, times: tuple[float, float]
) -> Round | None:
    say = to_stderr()
    if text is not None:
        async with reach_for(root, say, text, where) as (reach, _):
            applied = await FleetStore(reach.cloud).apply(text, where, datetime.now(UTC))
            say(f"revision {applied.revision} of the fleet is wanted")
    within_s, term_s = times
    async with controller_of(root, say, term_s) as work:
        _end_on_signals(work)
        if watch:
            await work.for_ever()
            return None
        return await (work.once() if once else work.until_reached(within_s))


def _end_on_signals(work: Work) -> None:
    """End after the step that is being done; a second signal ends at once."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        work.stop.set()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(each)

    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, stop)


def _show(found: Round) -> None:
    for step in found.left:
        reason = found.refused.get(step.key, "")
        typer.echo(f"lacking: {step.sentence}{f' (refused: {reason})' if reason else ''}")
    for reason in found.troubles.values():
        typer.echo(f"waiting: {reason}")
    if not found.is_reached:
        sys.exit(EXIT_NOT_REACHED)
    typer.echo(f"The fleet is as revision {found.revision} wants it.")
