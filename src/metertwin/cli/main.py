"""The entry point: a role is run at once, everything else is looked up among the commands.

What a container does first is import, and the commands' library is half of that (Typer brings
pydantic along). A role's command line is always the same four words, so it needs no library.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from metertwin.cli.role import RoleName, run_role
from metertwin.core.errors import MeterTwinError

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130


def main() -> None:
    """Run the program; errors end as one sentence on stderr and exit code 1, misuse as 2."""
    try:
        plain = role_and_state(sys.argv[1:])
        if plain is not None:
            run_role(*plain)
        else:
            import_module("metertwin.cli.tree").app(prog_name="metertwin")
    except MeterTwinError as error:
        sys.stderr.write(f"metertwin: {error}\n")
        sys.exit(EXIT_ERROR)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def role_and_state(arguments: Sequence[str]) -> tuple[RoleName, Path] | None:
    """Return role and state directory where the arguments are just these, as a runtime gives them.

    Example:
        >>> role_and_state(["run", "bus", "--state", "var/demo"])
        (<RoleName.BUS: 'bus'>, PosixPath('var/demo'))
        >>> role_and_state(["run", "buss", "--state", "var/demo"]), role_and_state(["run", "bus"])
        (None, None)
    """
    match arguments:
        case ["run", role, "--state", state] if role in set(RoleName):
            return RoleName(role), Path(state)
        case _:
            return None
