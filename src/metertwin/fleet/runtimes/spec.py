"""A container as it shall be: what the fleet hands to a runtime."""

import hashlib
from enum import StrEnum

import msgspec

DEFAULT_STOP_GRACE_S = 10.0
# Below it engines refuse a limit, or cannot start anything at all within it.
MEMORY_LEAST_BYTES = 8 * 1024**2
CPU_LEAST_RATIO = 0.01


class RestartKind(StrEnum):
    """When a container that ended is started again."""

    ALWAYS = "always"
    ON_FAILURE = "on_failure"
    NEVER = "never"


class Limits(msgspec.Struct, frozen=True):
    """What a container may use.

    Attributes:
        cpu_ratio: CPU time per time; 0.5 is half of one core, 2.0 two cores. None: no limit.
        memory_bytes: Memory, swap included. None: no limit. Above it the container is killed.
    """

    cpu_ratio: float | None = None
    memory_bytes: int | None = None


class Restart(msgspec.Struct, frozen=True):
    """Whether a container that ended by itself is started again.

    Attributes:
        most_count: Restarts after which `on_failure` gives up; None never does.
    """

    kind: RestartKind = RestartKind.NEVER
    most_count: int | None = None


class Mount(msgspec.Struct, frozen=True):
    """A directory or file of this machine, seen inside; both paths absolute."""

    source: str
    target: str
    is_read_only: bool = True


class PublishedPort(msgspec.Struct, frozen=True):
    """A TCP port of the container, reachable on this machine.

    Attributes:
        container_port: Inside.
        host_port: On this machine.
        address: Of this machine; another than the loopback's lets other machines in.
    """

    container_port: int
    host_port: int
    address: str = "127.0.0.1"


class HealthCheck(msgspec.Struct, frozen=True):
    """A command, run inside, whose exit code 0 means healthy.

    Attributes:
        command: Program and arguments; no shell.
        every_s: Seconds between two runs.
        timeout_s: Seconds after which a run counts as failed.
        retries_count: Failed runs in a row that make the container unhealthy.
        start_s: Seconds after the start in which a failed run does not count.
    """

    command: tuple[str, ...]
    every_s: float = 10.0
    timeout_s: float = 5.0
    retries_count: int = 3
    start_s: float = 0.0


class ContainerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A container as it shall be.

    Attributes:
        name: Unique in the runtime; letters, digits, `-`, `_` and `.`.
        image: Reference of an image that the runtime has.
        argv: Arguments of the image's entry point.
        environment: Variables; a runtime adds what its image sets, and never this process's own.
        networks: Networks in which other containers reach this one by `host_of(name)`.
        labels: What it is found by; names beginning with `io.metertwin.runtime` are reserved.
        user: Numeric `uid` or `uid:gid`; None is the image's.
        is_read_only: Whether its root file system is.
        tmpfs: Paths that are writable, in memory, and gone at the end.
        stop_grace_s: Seconds between SIGTERM and SIGKILL.
        health: None is the image's own check, if it has one.
    """

    name: str
    image: str
    argv: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    mounts: tuple[Mount, ...] = ()
    limits: Limits = Limits()
    restart: Restart = Restart()
    networks: tuple[str, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    labels: dict[str, str] = {}
    user: str | None = None
    is_read_only: bool = True
    tmpfs: tuple[str, ...] = ()
    stop_grace_s: float = DEFAULT_STOP_GRACE_S
    health: HealthCheck | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the whole description, in hexadecimal.

        Example:
            >>> spec = ContainerSpec(name="a", image="m:1", labels={"x": "1", "y": "2"})
            >>> spec.digest == msgspec.structs.replace(spec, labels={"y": "2", "x": "1"}).digest
            True
        """
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()
