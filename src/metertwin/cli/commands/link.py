"""`metertwin link cut|silence|restore SITE`: play a partition between an edge and the cloud."""

from enum import StrEnum
from typing import Annotated

import msgspec
import typer

from metertwin.cli.options import DEFAULT_STATE, JsonOption, StateOption
from metertwin.core.errors import NotFoundError
from metertwin.fleet.local.link import LinkState, wanted_state
from metertwin.fleet.moves.moving import checked_edge
from metertwin.fleet.site import load_site, save_private
from metertwin.fleet.state import StateDirectory


class Change(StrEnum):
    """What can be done with a link."""

    CUT = "cut"
    SILENCE = "silence"
    RESTORE = "restore"
    SHOW = "show"


_STATES = {
    Change.CUT: LinkState.CUT,
    Change.SILENCE: LinkState.SILENT,
    Change.RESTORE: LinkState.WHOLE,
}


class NoLinkError(NotFoundError):
    """The edge's link is no relay of this machine."""

    code = "not_found.link"


def link(
    change: Annotated[
        Change,
        typer.Argument(help="cut: none passes; silence: stands and passes nothing; restore; show."),
    ],
    site: Annotated[str, typer.Argument(help="The edge.")],
    *,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Cut or restore the link of an edge on this machine, as a failing network would."""
    here = StateDirectory(state)
    edge = checked_edge(load_site(here.site_file), site)
    file = here.link(edge).link_file
    if not file.parent.is_dir():
        raise NoLinkError(
            f"The link of {edge} is no relay of this machine; only a demonstration's can be cut.",
            site=edge,
        )
    if change in _STATES:
        save_private(file, f"{_STATES[change]}\n".encode())
    now = wanted_state(file)
    if json:
        typer.echo(msgspec.json.encode({"site": edge, "link": now}).decode())
    else:
        typer.echo(f"The link of {edge} is {now}.")
