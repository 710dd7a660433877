"""The directory of one container that is a process, and whether its keeper lives.

A pid alone proves nothing: the kernel gives it to somebody else in time. The keeper holds a lock
on a file of its directory as long as it lives, so: open the keeper's pid first (a pidfd names one
process for ever), see that the lock is held then, and the pidfd is the keeper's.
"""

import contextlib
import fcntl
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from metertwin.fleet.runtimes.port import ContainerStatus, Health, Phase
from metertwin.fleet.runtimes.spec import ContainerSpec

_KILLED_CODE = 137


class KeeperState(msgspec.Struct, frozen=True):
    """What a keeper writes down in `state.json`."""

    keeper_pid: int
    phase: Phase
    health: Health = Health.NONE
    pid: int | None = None
    exit_code: int | None = None
    restart_count: int = 0
    was_out_of_memory: bool = False
    started_at: datetime | None = None


class Described(msgspec.Struct, frozen=True):
    """What the runtime writes down of a container in `spec.json`."""

    spec: ContainerSpec
    image_id: str
    unenforced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ContainerDirectory:
    """Files of one container."""

    path: Path

    @property
    def log(self) -> Path:
        """Output of the program."""
        return self.path / "log"

    def describe(self, described: Described, plan: object) -> None:
        """Write down what shall run."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("state.json", "grace"):
            (self.path / name).unlink(missing_ok=True)
        write_private(self.path / "plan.json", msgspec.json.encode(plan))
        write_private(self.path / "spec.json", msgspec.json.encode(described))

    def described(self) -> Described | None:
        """Return what shall run, None if there is no such container."""
        try:
            return msgspec.json.decode((self.path / "spec.json").read_bytes(), type=Described)
        except (OSError, msgspec.DecodeError):  # damaged: its maker was killed; it is made anew
            return None

    def state(self) -> KeeperState | None:
        """Return what the keeper wrote, None before it did."""
        try:
            return msgspec.json.decode((self.path / "state.json").read_bytes(), type=KeeperState)
        except (OSError, msgspec.DecodeError):
            return None

    def is_kept(self) -> bool:
        """Say whether the keeper lives."""
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def status(self) -> ContainerStatus:
        """Return how the container is."""
        state, is_kept = self.state(), self.is_kept()
        described = self.described()
        if described is None:
            return ContainerStatus(name=self.path.name, phase=Phase.ABSENT)
        status = ContainerStatus(
            name=described.spec.name,
            phase=Phase.CREATED,
            image=described.spec.image,
            image_id=described.image_id,
            labels=described.spec.labels,
            spec_digest=described.spec.digest,
            unenforced=described.unenforced,
        )
        if state is None:
            return status
        was_lost = not is_kept and state.phase is not Phase.EXITED
        has_ended = was_lost or state.phase is not Phase.RUNNING
        return msgspec.structs.replace(
            status,
            phase=Phase.EXITED if was_lost else state.phase,
            health=state.health,
            # The kernel kills the program together with its keeper.
            exit_code=_KILLED_CODE if was_lost else state.exit_code,
            restart_count=state.restart_count,
            was_out_of_memory=state.was_out_of_memory,
            started_at=state.started_at,
            pid=None if has_ended else state.pid,
        )

    @contextlib.contextmanager
    def keeper(self) -> Iterator[int | None]:
        """Give the keeper as a pidfd, None if it does not live."""
        state = self.state()
        descriptor = None
        if state is not None:
            with contextlib.suppress(OSError):
                descriptor = os.pidfd_open(state.keeper_pid)
        try:
            yield descriptor if self.is_kept() else None
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def ask_to_end(self, keeper_fd: int, grace_s: float | None) -> None:
        """Ask the keeper to end the container; None leaves it the time its spec gives.

        Args:
            keeper_fd: Its pidfd.
            grace_s: Seconds between SIGTERM and SIGKILL; 0 kills at once.
        """
        if grace_s is not None:
            write_private(self.path / "grace", str(grace_s).encode())
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(keeper_fd, signal.SIGTERM)

    def remove(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.path, ignore_errors=True)


def write_private(path: Path, content: bytes) -> None:
    """Write a file of mode 0600, whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    fresh.replace(path)
