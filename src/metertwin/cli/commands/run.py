"""`metertwin run ROLE`: one role of a site, in the foreground, until it is asked to end."""

from enum import StrEnum
from importlib import import_module
from typing import Annotated

import typer

from metertwin.cli.options import DEFAULT_STATE, StateOption
from metertwin.cli.service import run_until_stopped


class RoleName(StrEnum):
    """Roles of a site."""

    BUS = "bus"
    SIMULATE = "simulate"
    GATEWAY = "gateway"
    TWIN_HOST = "twin-host"
    RECORDER = "recorder"
    API = "api"


def run(
    role: Annotated[RoleName, typer.Argument(help="The role to run.")],
    *,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Run one role; it ends cleanly at SIGTERM or Ctrl-C, and logs JSON lines to stderr."""
    # By name, so that a role imports only what it needs: the gateway no web server.
    module = import_module(f"metertwin.cli.roles.{role.value.replace('-', '_')}")
    run_until_stopped(role.value, module.run, state)
