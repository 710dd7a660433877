"""Limits by control groups, where this user may make some: version 1, or a unified tree.

Standard library only: the keeper imports this, and has nothing else.
"""

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_OURS = "metertwin"
_CPU_PERIOD_US = 100_000
_EMPTY_WITHIN_S = 2.0


@dataclass(frozen=True)
class ControlGroups:
    """Control groups of one container: directories, and what is written into each.

    Attributes:
        directories: One in a unified tree; one per controller in version 1.
        settings: File and text, in the order in which they are written.
    """

    directories: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]

    def make(self) -> None:
        """Make the directories and set the limits.

        Raises:
            OSError: The kernel refuses.
        """
        for directory in self.directories:
            Path(directory).mkdir(parents=True, exist_ok=True)
        for file, text in self.settings:
            Path(file).write_text(text, encoding="ascii")

    def enter(self) -> None:
        """Put the calling process in: for a child between fork and exec."""
        for directory in self.directories:
            Path(directory, "cgroup.procs").write_text("0", encoding="ascii")

    def out_of_memory_count(self) -> int:
        """Return how often the kernel killed a process in it for want of memory."""
        for directory in self.directories:
            for name in ("memory.oom_control", "memory.events"):
                with contextlib.suppress(OSError):
                    text = Path(directory, name).read_text(encoding="ascii")
                    pairs = dict(line.split() for line in text.splitlines())
                    return int(pairs.get("oom_kill", 0))
        return 0

    def memory_bytes(self) -> int | None:
        """Return what its processes use, None where memory is not counted here."""
        for directory in self.directories:
            for name in ("memory.usage_in_bytes", "memory.current"):
                with contextlib.suppress(OSError):
                    return int(Path(directory, name).read_text(encoding="ascii"))
        return None

    def end(self) -> None:
        """Kill what is left in it, and remove it."""
        give_up = time.monotonic() + _EMPTY_WITHIN_S
        for directory in self.directories:
            while time.monotonic() < give_up:
                for pid in self._pids(directory):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                try:
                    Path(directory).rmdir()
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.005)  # the kernel lets go of a killed process a moment later
                else:
                    break

    @staticmethod
    def _pids(directory: str) -> list[int]:
        with contextlib.suppress(OSError):
            text = Path(directory, "cgroup.procs").read_text(encoding="ascii")
            return [int(pid) for pid in text.split()]
        return []


def control_groups(
    key: str, cpu_ratio: float | None, memory_bytes: int | None, root: Path = ROOT
) -> ControlGroups:
    """Return the groups that enforce what this user may enforce; none may be left.

    Args:
        key: A name for the group, unique on this machine.
        cpu_ratio: CPU time per time, None for no limit.
        memory_bytes: Memory in bytes, None for no limit.
        root: Where the kernel shows its control groups.
    """
    if (root / "cgroup.controllers").exists():
        return _unified(root / _OURS, key, cpu_ratio, memory_bytes)
    directories: list[str] = []
    settings: list[tuple[str, str]] = []
    if memory_bytes is not None and (parent := _writable(root / "memory")):
        group = parent / _OURS / key
        directories.append(str(group))
        settings.append((str(group / "memory.limit_in_bytes"), str(memory_bytes)))
        if (parent / "memory.memsw.limit_in_bytes").exists():
            settings.append((str(group / "memory.memsw.limit_in_bytes"), str(memory_bytes)))
    if cpu_ratio is not None and (parent := _writable(root / "cpu")):
        group = parent / _OURS / key
        directories.append(str(group))
        settings.append((str(group / "cpu.cfs_period_us"), str(_CPU_PERIOD_US)))
        settings.append((str(group / "cpu.cfs_quota_us"), str(round(cpu_ratio * _CPU_PERIOD_US))))
    return ControlGroups(tuple(directories), tuple(settings))


def _unified(
    ours: Path, key: str, cpu_ratio: float | None, memory_bytes: int | None
) -> ControlGroups:
    """Return a group below `ours`, which root has, or an administrator made and gave away."""
    if _writable(ours) is None and _writable(ours.parent) is None:
        return ControlGroups((), ())
    group = ours / key
    settings: list[tuple[str, str]] = []
    if cpu_ratio is not None:
        quota_us = round(cpu_ratio * _CPU_PERIOD_US)
        settings.append((str(group / "cpu.max"), f"{quota_us} {_CPU_PERIOD_US}"))
    if memory_bytes is not None:
        settings.append((str(group / "memory.max"), str(memory_bytes)))
        settings.append((str(group / "memory.swap.max"), "0"))
    if not settings:
        return ControlGroups((), ())
    grants = tuple(
        (str(directory / "cgroup.subtree_control"), "+cpu +memory")
        for directory in (ours.parent, ours)
    )
    return ControlGroups((str(group),), (*grants, *settings))


def _writable(directory: Path) -> Path | None:
    return directory if os.access(directory, os.W_OK | os.X_OK) else None
