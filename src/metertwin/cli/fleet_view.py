"""What commands about the whole fleet share: reading its file, telling steps."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from metertwin.core.errors import InvalidInputError
from metertwin.core.ids import LotId
from metertwin.fleet.control.steps import Step
from metertwin.fleet.moves.migration import Say


class FleetTextError(InvalidInputError):
    """A fleet file that cannot be read at all."""

    code = "input.fleet_text"


def fleet_text(file: Path) -> str:
    """Return the text of a fleet file, `-` for stdin.

    Raises:
        FleetTextError: It is not there, or no text.
    """
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise FleetTextError(
            f"Fleet file {file} cannot be read: {error}. Give its path after -f.", path=str(file)
        ) from error


def to_stderr() -> Say:
    """Return what tells progress to people and keeps stdout for the result."""
    console = Console(stderr=True, soft_wrap=True)

    def say(what: str) -> None:
        console.print(f"[dim]{what}[/]", highlight=False)

    return say


def plain_steps(steps: Sequence[Step], unknown: Mapping[LotId, str]) -> dict[str, object]:
    """Return steps as plain values, each with its sentence."""
    return {
        "steps": [{**msgspec.to_builtins(step), "sentence": step.sentence} for step in steps],
        "unknown": dict(unknown),
    }
