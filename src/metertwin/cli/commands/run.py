"""`metertwin run ROLE`: one role of a site, in the foreground, until it is asked to end."""

from typing import Annotated

import typer

from metertwin.cli.options import DEFAULT_STATE, StateOption
from metertwin.cli.role import RoleName, run_role


def run(
    role: Annotated[RoleName, typer.Argument(help="The role to run.")],
    *,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Run one role; it ends cleanly at SIGTERM or Ctrl-C, and logs JSON lines to stderr."""
    run_role(role, state)
