"""`metertwin logs [PART]`: how the parts of a site on this machine are, and what one wrote."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer
import uvloop

from metertwin.cli.options import DEFAULT_STATE, JsonOption, StateOption
from metertwin.cli.show import console, table
from metertwin.core.errors import NotFoundError
from metertwin.fleet.local.containers import Containers, limits_of
from metertwin.fleet.local.endings import out_of_memory
from metertwin.fleet.runtimes.port import ContainerStatus, Phase


class UnknownPartError(NotFoundError):
    """The site has no such part."""

    code = "not_found.part"


def logs(
    part: Annotated[
        str | None,
        typer.Argument(help="A part, for example gateway or edge1-gateway; else a list."),
    ] = None,
    *,
    lines: Annotated[int, typer.Option(help="Last lines to show.", min=1)] = 50,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """List the parts of a site with their standing, or show the last lines one of them wrote."""
    statuses, text = uvloop.run(_ask(state, part, lines))
    if part is not None:
        typer.echo(text.rstrip())
        _warn(statuses, part)
    elif json:
        typer.echo(msgspec.json.encode(statuses).decode())
    else:
        rows = [
            (name, each.phase, _health(each), each.restart_count, each.image)
            for name, each in sorted(statuses.items())
        ]
        console.print(table("Parts", ("part", "phase", "health", "restarts", "image"), rows))
        _warn(statuses, *sorted(statuses))


def _health(status: ContainerStatus) -> str:
    """Return the health of what runs; an engine keeps the last word of a check for ever."""
    return status.health if status.phase is Phase.RUNNING else ""


def _warn(statuses: dict[str, ContainerStatus], *parts: str) -> None:
    """Say which parts ended for want of memory: the kernel leaves them no time to say it."""
    for part in parts:
        if statuses[part].was_out_of_memory:
            typer.echo(f"{part} was {out_of_memory(limits_of(statuses[part]))}.", err=True)


async def _ask(
    root: Path, part: str | None, lines_count: int
) -> tuple[dict[str, ContainerStatus], str]:
    containers = await Containers.of_running(root)
    try:
        statuses = await containers.statuses()
        if part is None:
            return statuses, ""
        if part not in statuses:
            raise UnknownPartError(
                f"There is no part {part!r} in {root}; there are "
                f"{', '.join(sorted(statuses)) or 'none'}.",
                part=part,
            )
        return statuses, await containers.logs(part, lines_count)
    finally:
        await containers.close()
