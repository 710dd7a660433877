"""What the processes of one session use, from /proc. Standard library only, for the keeper."""

import contextlib
import os
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def session_usage(session_id: int) -> tuple[int, float]:
    """Return resident memory in bytes and CPU time in seconds of all processes of a session."""
    memory_bytes, cpu_s = 0, 0.0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it ended meanwhile
            fields = _fields((entry / "stat").read_text(encoding="utf-8", errors="replace"))
            if int(fields[3]) == session_id:
                memory_bytes += int(fields[21]) * _PAGE_BYTES
                cpu_s += sum(int(ticks) for ticks in fields[11:15]) / _TICKS_PER_S
    return memory_bytes, cpu_s


def _fields(stat: str) -> list[str]:
    """Return the fields behind a process's name, which may itself hold blanks and brackets.

    Example:
        >>> _fields("7 (a) b) S 1 7 7 0")
        ['S', '1', '7', '7', '0']
    """
    return stat.rpartition(")")[2].split()
