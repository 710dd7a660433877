"""When a container's health check is due, and what its runs amount to. Standard library only."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any


class HealthClock:
    """Runs one container's check, one run at a time.

    Args:
        check: command, every_s, timeout_s, retries_count, start_s; None for no check.
        plan: The container's, for its environment and user.
        directory: Where the command runs.
    """

    def __init__(self, check: dict[str, Any] | None, plan: dict[str, Any], directory: Path) -> None:
        self.check = check
        self.word = "none"
        self._plan = plan
        self._directory = directory
        self._run: subprocess.Popen[bytes] | None = None
        self._next_s = 0.0
        self._give_up_s = 0.0
        self._counts_from_s = 0.0
        self._failed_count = 0

    def begin(self) -> None:
        """Begin anew: the program was started."""
        if self.check is not None:
            now_s = time.monotonic()
            self.word, self._failed_count = "starting", 0
            self._next_s = now_s + self.check["every_s"]
            self._counts_from_s = now_s + self.check["start_s"]

    def due_s(self) -> float | None:
        """Return when `step` is to be called next, None for never."""
        if self.check is None:
            return None
        # A run in progress is looked at often: it lasts some milliseconds.
        return self._next_s if self._run is None else time.monotonic() + 0.02

    def step(self, now_s: float) -> bool:
        """Do what is due; return whether the health changed."""
        if self.check is None:
            return False
        if self._run is None:
            if now_s >= self._next_s:
                return self._start(now_s)
            return False
        code = self._run.poll()
        if code is None and now_s < self._give_up_s:
            return False
        self.stop()
        self._next_s = now_s + self.check["every_s"]
        return self._count(is_good=code == 0, now_s=now_s)

    def _start(self, now_s: float) -> bool:
        assert self.check is not None
        self._give_up_s = now_s + self.check["timeout_s"]
        uid, gid = self._plan["uid"], self._plan["gid"]
        try:
            self._run = subprocess.Popen(  # noqa: S603 - what the fleet describes
                self.check["command"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=self._plan["environment"],
                cwd=self._directory,
                start_new_session=True,
                user=uid,
                group=gid,
                extra_groups=None if uid is None else [],
            )
        except OSError:
            self._next_s = now_s + self.check["every_s"]
            return self._count(is_good=False, now_s=now_s)
        return False

    def _count(self, *, is_good: bool, now_s: float) -> bool:
        assert self.check is not None
        before = self.word
        if is_good:
            self.word, self._failed_count = "healthy", 0
        elif now_s >= self._counts_from_s or before == "healthy":
            self._failed_count += 1
            if self._failed_count >= self.check["retries_count"]:
                self.word = "unhealthy"
        return self.word != before

    def stop(self) -> None:
        """End a run in progress."""
        run, self._run = self._run, None
        if run is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
            run.wait()
