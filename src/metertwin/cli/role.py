"""Which roles there are, and how one is run: what a container does first is import."""

import gc
import sys
from enum import StrEnum
from importlib import import_module
from pathlib import Path


class RoleName(StrEnum):
    """Roles of a site."""

    BUS = "bus"
    SIMULATE = "simulate"
    GATEWAY = "gateway"
    TWIN_HOST = "twin-host"
    RECORDER = "recorder"
    API = "api"
    FLEET = "fleet"
    LINK = "link"


def run_role(role: RoleName, state: Path) -> None:
    """Run a role until it ends or is asked to.

    Raises:
        MeterTwinError: Why it could not run.
    """
    gc.disable()  # what is imported is no garbage, and would be looked through again and again
    _import_plain_logging()
    # By name, so that a role imports only what it needs: the gateway no web server.
    module = import_module(f"metertwin.cli.roles.{role.value.replace('-', '_')}")
    service = import_module("metertwin.cli.service")
    gc.freeze()
    gc.enable()
    service.run_until_stopped(role.value, module.run, state)


def _import_plain_logging() -> None:
    """Import structlog as where rich is not installed.

    It imports rich, where it finds it, for coloured tracebacks; roles log lines of JSON.
    """
    if "rich" not in sys.modules:
        sys.modules["rich"] = None  # type: ignore[assignment]  # the import system's "there is none"
        try:
            import_module("structlog")
        finally:
            del sys.modules["rich"]
