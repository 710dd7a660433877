"""Processes of a site: started in order, started again when they die, ended with the supervisor.

Ended *always*: the kernel is asked to end every child when the supervisor's thread ends, so even
kill -9 leaves nothing behind. A child is asked first (SIGTERM) and only then made to (SIGKILL).
"""

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from metertwin.core.errors import UnavailableError

_PR_SET_PDEATHSIG = 1  # prctl(2)
_STOP_GRACE_S = 8.0
_RESTART_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)
_LAST_LINES_BYTES = 2000


class ProcessError(UnavailableError):
    """A process could not be started or ended by itself."""

    code = "fleet.process"


@dataclass(slots=True)
class Process:
    """One supervised process.

    Attributes:
        name: The role, also the log's name.
        argv: Program and arguments.
        log: File its output goes to.
        restart_count: How often it was started again.
    """

    name: str
    argv: Sequence[str]
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    restart_count: int = 0
    child: asyncio.subprocess.Process | None = None
    watch: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        if self.child is None or self.child.returncode is not None:
            return None
        return self.child.pid


class Supervisor:
    """Starts, watches and ends processes.

    Args:
        on_restart: Told of each process that died and will be started again, with its exit code.
    """

    def __init__(self, on_restart: Callable[[Process, int], None] | None = None) -> None:
        self._processes: dict[str, Process] = {}
        self._on_restart = on_restart
        self._stopping = False
        self._libc = ctypes.CDLL(None, use_errno=True)

    @property
    def processes(self) -> tuple[Process, ...]:
        """All processes, in the order in which they were started."""
        return tuple(self._processes.values())

    async def start(
        self, name: str, argv: Sequence[str], log: Path, environment: dict[str, str] | None = None
    ) -> Process:
        """Start a process and keep it running.

        Raises:
            ProcessError: The program does not exist or cannot be started.
        """
        process = Process(name, argv, log, environment or {})
        await self._spawn(process)
        self._processes[name] = process
        process.watch = asyncio.create_task(self._keep_running(process), name=f"watch {name}")
        return process

    async def stop(self, name: str) -> None:
        """End one process and do not start it again."""
        process = self._processes.pop(name, None)
        if process is None:
            return
        if process.watch is not None:
            process.watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await process.watch
        await _end(process)

    async def stop_all(self) -> None:
        """End all processes, the last started first."""
        self._stopping = True
        for name in reversed(list(self._processes)):
            await self.stop(name)

    async def _spawn(self, process: Process) -> None:
        try:
            with process.log.open("ab") as log:
                process.child = await asyncio.create_subprocess_exec(
                    *process.argv,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=asyncio.subprocess.STDOUT,
                    env={**os.environ, **process.environment},
                    start_new_session=True,  # Ctrl-C reaches the supervisor alone, which decides
                    preexec_fn=self._die_with_parent,
                )
        except OSError as error:
            raise ProcessError(
                f"{process.name} cannot be started ({process.argv[0]}): {error.strerror}.",
                process=process.name,
            ) from error

    def _die_with_parent(self) -> None:
        self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    async def _keep_running(self, process: Process) -> None:
        while process.child is not None:
            exit_code = await process.child.wait()
            if self._stopping:
                return
            if self._on_restart is not None:
                self._on_restart(process, exit_code)
            pause = min(process.restart_count, len(_RESTART_PAUSES_S) - 1)
            await asyncio.sleep(_RESTART_PAUSES_S[pause])
            process.restart_count += 1
            await self._spawn(process)


def last_words(process: Process) -> str:
    """Return the end of a process's log, for the sentence that says why it died."""
    try:
        with process.log.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(log.tell() - _LAST_LINES_BYTES, 0))
            lines = log.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""


async def _end(process: Process) -> None:
    child = process.child
    if child is None or child.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        child.terminate()
    try:
        await asyncio.wait_for(child.wait(), _STOP_GRACE_S)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
