"""The keeper of one container that is a process: starts it, watches it, writes down what happens.

It is to the process runtime what a shim is to an engine: it outlives the controller, so that exit
codes, restarts and health checks do not depend on whether a controller is there. It runs as

    python -I -S -c '...; main(DIRECTORY)'

with the standard library alone, in 10 MB and without threads. Its directory holds `plan.json`
(written by the runtime), `state.json` (written here), `log`, and `lock`, which is held as long as
the keeper lives: who finds it free knows that the keeper's pid means nothing any more.

SIGTERM ends the container after the seconds in `grace`. The end of standard input does the same,
where the plan says that the container is tied to its controller, which holds the other end.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from metertwin.fleet.runtimes.process.cgroups import ControlGroups
from metertwin.fleet.runtimes.process.keeper_health import HealthClock
from metertwin.fleet.runtimes.process.sessions import session_usage

_PR_SET_PDEATHSIG = 1  # prctl(2)
_LIBC = ctypes.CDLL(None)
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.1, 10.0
_STEADY_S = 10.0  # who ran this long failed for another reason than the last time
_LOOK_S = 0.5
_LOG_BYTES = 10 * 1024 * 1024
_DESCRIPTORS_COUNT = 65_536
_EVENTS_BYTES = 4 * 1024 * 1024
KEPT_ALREADY = 3


class Keeper:
    """One container.

    Args:
        directory: Of the container.
        wake_fd: Descriptor that becomes readable at a signal.
    """

    def __init__(self, directory: Path, wake_fd: int) -> None:
        self.directory = directory
        self.plan: dict[str, Any] = json.loads((directory / "plan.json").read_bytes())
        self.groups = ControlGroups(
            tuple(self.plan["groups"]), tuple((file, text) for file, text in self.plan["limits"])
        )
        self.health = HealthClock(self.plan["health"], self.plan, directory)
        self.child: subprocess.Popen[bytes] | None = None
        self.state: dict[str, Any] = {"keeper_pid": os.getpid(), "restart_count": 0}
        self._wake = wake_fd
        self._poll = select.poll()
        self._poll.register(wake_fd, select.POLLIN)
        self._pidfd = -1
        self._pause_s = _FIRST_PAUSE_S
        self._began_s = 0.0
        self._start_at_s: float | None = None
        self._kill_at_s: float | None = None
        self._look_at_s = 0.0
        self._is_ending = False
        self._was_out_of_memory = False
        if self.plan["is_tied"]:
            self._poll.register(0, select.POLLIN | select.POLLHUP)

    def start(self) -> None:
        """Start the program.

        Raises:
            OSError: It cannot be started.
        """
        self.groups.make()
        with (self.directory / "log").open("ab") as log:
            self.child = subprocess.Popen(  # noqa: S603 - what the fleet describes
                self.plan["argv"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.plan["environment"],
                cwd=self.directory,
                start_new_session=True,
                preexec_fn=self._enter,  # noqa: PLW1509 - there are no threads here
            )
        self._pidfd = os.pidfd_open(self.child.pid)
        self._poll.register(self._pidfd, select.POLLIN)
        self._began_s, self._start_at_s = time.monotonic(), None
        self._was_out_of_memory = False
        self.health.begin()
        self._note("running", pid=self.child.pid, started_at=_now(), exit_code=None)
        self._tell("started")

    def _enter(self) -> None:
        self.groups.enter()
        if self.plan["uid"] is not None:
            os.setgroups([])
            os.setgid(self.plan["gid"])
            os.setuid(self.plan["uid"])
        # After the change of user, which would undo it.
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def keep(self) -> None:
        """Keep the container until it has ended for good."""
        while self.child is not None or self._start_at_s is not None:
            for descriptor, _ in self._poll.poll(self._wait_ms()):
                if descriptor == self._pidfd:
                    self._has_ended()
                elif descriptor == self._wake:
                    os.read(self._wake, 512)
                    self._end()
                else:  # the controller is gone
                    self._poll.unregister(0)
                    self._end()
            self._on_time()
        self.groups.end()

    def _wait_ms(self) -> float | None:
        times = [self._start_at_s, self._kill_at_s]
        if self.child is not None:
            times += [self.health.due_s(), self._look_at_s]
        return max(min(due for due in times if due is not None) - time.monotonic(), 0.0) * 1e3

    def _on_time(self) -> None:
        now_s = time.monotonic()
        if self._kill_at_s is not None and now_s >= self._kill_at_s:
            self._kill_at_s = None
            self._kill()
        if self._start_at_s is not None and now_s >= self._start_at_s:
            self.state["restart_count"] += 1
            try:
                self.start()
            except (OSError, subprocess.SubprocessError) as error:
                self._start_at_s = None
                self._note("exited", pid=None, exit_code=127, error=str(error))
        if self.child is None:
            return
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + _LOOK_S
            self._look()
        if self.health.step(now_s):
            self._note("running")
            self._tell("health", health=self.health.word)

    def _look(self) -> None:
        """Keep the log short, and memory below the limit where no control group does."""
        _shorten(self.directory / "log", _LOG_BYTES)
        limit_bytes = self.plan["watched_memory_bytes"]
        assert self.child is not None
        if limit_bytes is not None and session_usage(self.child.pid)[0] > limit_bytes:
            self._was_out_of_memory = True
            self._kill()

    def _end(self) -> None:
        """Ask the program to end; whoever asks again can only shorten the time it has."""
        self._is_ending, self._start_at_s = True, None
        if self.child is None:
            self._note("exited")
            return
        grace_s = self.plan["stop_grace_s"]
        with contextlib.suppress(OSError, ValueError):
            grace_s = float((self.directory / "grace").read_text(encoding="ascii"))
        if self._kill_at_s is None and grace_s > 0:
            self.child.send_signal(signal.SIGTERM)
        due_s = time.monotonic() + grace_s
        self._kill_at_s = due_s if self._kill_at_s is None else min(due_s, self._kill_at_s)

    def _kill(self) -> None:
        assert self.child is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)

    def _has_ended(self) -> None:
        assert self.child is not None
        code = self.child.wait()
        self._kill()  # what it started and left behind
        self._poll.unregister(self._pidfd)
        os.close(self._pidfd)
        self._pidfd, self.child, self._kill_at_s = -1, None, None
        self.health.stop()
        is_out_of_memory = self._was_out_of_memory or self.groups.out_of_memory_count() > 0
        self.groups.end()
        code = 128 - code if code < 0 else code
        self._tell("died", exit_code=code, was_out_of_memory=is_out_of_memory)
        again = self._starts_again(code)
        if again:
            if time.monotonic() - self._began_s >= _STEADY_S:
                self._pause_s = _FIRST_PAUSE_S
            self._start_at_s = time.monotonic() + self._pause_s
            self._pause_s = min(self._pause_s * 2, _LAST_PAUSE_S)
        self._note(
            "restarting" if again else "exited",
            pid=None,
            exit_code=code,
            was_out_of_memory=is_out_of_memory,
        )

    def _starts_again(self, code: int) -> bool:
        kind, most_count = self.plan["restart"], self.plan["restart_most_count"]
        if self._is_ending or kind == "never" or (kind == "on_failure" and code == 0):
            return False
        return most_count is None or self.state["restart_count"] < most_count

    def _note(self, phase: str, **more: object) -> None:
        self.state.update(phase=phase, health=self.health.word, **more)
        fresh = self.directory / "state.json.new"
        fresh.write_text(json.dumps(self.state), encoding="utf-8")
        fresh.replace(self.directory / "state.json")

    def _tell(self, kind: str, **more: object) -> None:
        """Append an event; one write, so that keepers never mix their lines."""
        event = {
            "name": self.plan["name"],
            "kind": kind,
            "occurred_at": _now(),
            "labels": self.plan["labels"],
            **more,
        }
        events = self.directory.parent / "events.jsonl"
        with contextlib.suppress(OSError):
            if events.stat().st_size > _EVENTS_BYTES:
                events.replace(events.with_name("events.1.jsonl"))
        descriptor = os.open(events, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, json.dumps(event).encode() + b"\n")
        os.close(descriptor)


def main(directory: str) -> None:
    """Detach, and keep the container; this process ends when the program has started, or cannot."""
    # An event loop's library may hand down what is the caller's, the write end of our own stderr
    # among it: the caller would wait for the end of file for as long as the container runs.
    os.closerange(3, _DESCRIPTORS_COUNT)
    path = Path(directory)
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(KEPT_ALREADY)
    said, say = os.pipe()
    if os.fork() == 0:
        os.close(said)
        _keep(path, say)
        os._exit(0)
    os.close(say)
    with os.fdopen(said) as words:
        sys.exit(words.read() or 0)


def _keep(directory: Path, say: int) -> None:
    os.setsid()
    wake, alarm = os.pipe()
    os.set_blocking(alarm, False)
    signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keeper = Keeper(directory, wake)
    keeper.groups.end()  # what an earlier keeper, killed, left behind
    try:
        keeper.start()
    except (OSError, subprocess.SubprocessError) as error:
        keeper.groups.end()
        os.write(say, str(error).encode())
        return
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):
        os.dup2(null, descriptor)
    os.close(say)
    keeper.keep()


def _shorten(log: Path, most_bytes: int) -> None:
    """Move a long log aside; its writer appends, and so goes on at the beginning."""
    with contextlib.suppress(OSError):
        if log.stat().st_size > most_bytes:
            log.with_name("log.1").write_bytes(log.read_bytes())
            os.truncate(log, 0)


def _now() -> str:
    return datetime.now(UTC).isoformat()
