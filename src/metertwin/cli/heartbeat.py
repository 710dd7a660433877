"""A sign of life of a role's event loop, and the check that it is fresh.

A role that hangs keeps its process, its ports and its memory; what it does not do is run its event
loop. So the loop itself writes, every second, what the clock says into a small file, and a health
check compares. The check, `python3 -S -m metertwin.cli.heartbeat [FILE]`, imports
nothing heavy, not even asyncio.
"""

import os
import sys
import time
from pathlib import Path

VARIABLE = "METERTWIN_HEARTBEAT"
EVERY_S = 1.0
FRESH_S = 10.0


def show_life(path: Path) -> None:
    """Write the sign of life.

    Raises:
        OSError: The file cannot be written.
    """
    # The monotonic clock is one for all processes of a machine, and nobody sets it. It is given in
    # whole nanoseconds: rounded to less, a sign just given could lie in the future.
    path.write_text(f"{time.monotonic_ns()}", encoding="ascii")


def age_s(path: Path) -> float | None:
    """Return the age of the last sign of life in seconds, None where there is none."""
    try:
        return (time.monotonic_ns() - int(path.read_text(encoding="ascii"))) / 1e9
    except (OSError, ValueError):
        return None


def main(arguments: list[str]) -> int:
    """Return 0 if the sign of life is fresh, 1 if not, and say what is so."""
    named = arguments[0] if arguments else os.environ.get(VARIABLE)
    if named is None:
        sys.stderr.write(f"heartbeat: give a file, or name it in {VARIABLE}.\n")
        return 1
    age = age_s(Path(named))
    if age is not None and 0 <= age <= FRESH_S:
        return 0
    said = "there is none" if age is None else f"the last was {age:.0f} s ago"
    sys.stderr.write(
        f"heartbeat: no sign of life in {named} within {FRESH_S:g} s: {said}; the role starts, "
        "hangs, or has no writable directory for the file.\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
