"""The port between the fleet and whatever runs its containers.

A container is described by a `ContainerSpec` and known by its name. Starting is idempotent by the
spec's digest, which the runtime keeps with the container: a controller that was restarted describes
its containers again and disturbs none of them. A runtime fetches no image: what runs must be here,
so that a roll-back works without a network.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import msgspec

from metertwin.fleet.runtimes.spec import ContainerSpec


class Phase(StrEnum):
    """Where a container is in its life."""

    CREATED = "created"
    RUNNING = "running"
    RESTARTING = "restarting"
    EXITED = "exited"
    ABSENT = "absent"


class Health(StrEnum):
    """What a container's health check says; `none` where it has no check."""

    NONE = "none"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class EventKind(StrEnum):
    """What happened to a container."""

    STARTED = "started"
    DIED = "died"
    HEALTH = "health"


class ContainerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A container as it is.

    Attributes:
        image: The reference it was started by; what the reference names may have changed since.
        image_id: What it runs, an `Image.id`.
        exit_code: Of its end, 128 + N where signal N ended it; None while it runs.
        restart_count: How often the runtime started it again.
        was_out_of_memory: Whether its last end was for want of memory, as far as is known; also
            after it was started again.
        pid: Its first process, as this machine numbers it, while it runs.
        unenforced: What of the description this runtime does not enforce, in words.
    """

    name: str
    phase: Phase
    health: Health = Health.NONE
    image: str = ""
    image_id: str | None = None
    exit_code: int | None = None
    restart_count: int = 0
    was_out_of_memory: bool = False
    started_at: datetime | None = None
    pid: int | None = None
    labels: dict[str, str] = {}
    spec_digest: str | None = None
    unenforced: tuple[str, ...] = ()


class RuntimeEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to a container.

    Attributes:
        exit_code: Of a container that died.
        was_out_of_memory: Whether it died for want of memory, as far as is known.
        health: What its check says now, where that changed.
    """

    name: str
    kind: EventKind
    occurred_at: datetime
    labels: dict[str, str] = {}
    exit_code: int | None = None
    was_out_of_memory: bool = False
    health: Health | None = None


class Usage(msgspec.Struct, frozen=True):
    """What a running container uses: memory now, CPU time since its start."""

    memory_bytes: int
    cpu_s: float


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An image that the runtime has.

    Attributes:
        id: What it contains, independent of its references.
        references: Names with tag, such as `metertwin:0.1.0`; without what an engine puts before.
        size_bytes: On this machine's disk, layers it shares with others included.
    """

    id: str
    references: tuple[str, ...] = ()
    size_bytes: int = 0
    created_at: datetime | None = None
    labels: dict[str, str] = {}


class RuntimeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a runtime is.

    Attributes:
        kind: `process`, `docker` or `podman`.
        address: Where it is: a socket, or a directory.
        has_own_files: Whether containers see files of their own, so that mounts have targets.
        has_networks: Whether containers see only each other's ports, by name.
    """

    kind: str
    version: str
    address: str
    has_own_files: bool
    has_networks: bool


class Runtime(Protocol):
    """What the fleet may ask of any runtime.

    Any method raises EngineUnavailableError where the engine does not answer.
    """

    async def facts(self) -> RuntimeFacts:
        """Return what this runtime is."""
        ...

    async def start(self, spec: ContainerSpec, *, replace: bool = False) -> ContainerStatus:
        """Make a container run as described; one that does so already is left alone.

        A container of the same description that ended is started again. One of another description
        is an error, or ended and replaced.

        Raises:
            ContainerConflictError: It exists from another description, and `replace` is False.
            ImageMissingError: The image is not here.
            SpecError: The description is not one this runtime can honour.
            ContainerStartError: It could not be started.
        """
        ...

    async def stop(self, name: str, grace_s: float | None = None) -> None:
        """Ask it to end, end it after `grace_s` (the spec's if None), and do not restart it.

        One that does not run is left as it is.

        Raises:
            ContainerMissingError: There is none.
        """
        ...

    async def kill(self, name: str) -> None:
        """End it now and do not restart it.

        Raises:
            ContainerMissingError: There is none.
        """
        ...

    async def remove(self, name: str) -> None:
        """Forget it and its logs, ended first if it runs; one that is absent is no error."""
        ...

    async def status(self, name: str) -> ContainerStatus:
        """Return how it is; one that is not there has the phase `absent`."""
        ...

    async def containers(self, labels: Mapping[str, str]) -> list[ContainerStatus]:
        """Return all containers this port started that have all of these labels, by name."""
        ...

    async def logs(self, name: str, lines_count: int = 100) -> str:
        """Return the last lines that it wrote to stdout and stderr.

        Raises:
            ContainerMissingError: There is none.
        """
        ...

    def events(self, since: datetime | None = None) -> AsyncIterator[RuntimeEvent]:
        """Yield what happens to the containers this port started, from `since` (now if None).

        Raises:
            EngineUnavailableError: The engine went away.
        """
        ...

    async def usage(self, name: str) -> Usage:
        """Return what a running container uses.

        Raises:
            ContainerMissingError: There is none, or it does not run.
        """
        ...

    async def ensure_network(self, name: str, *, is_internal: bool = False) -> None:
        """Make a network if it is missing; an internal one has no way out."""
        ...

    async def remove_network(self, name: str) -> None:
        """Remove a network; one that is absent is no error.

        Raises:
            EngineRefusedError: A container is still in it.
        """
        ...

    def host_of(self, name: str) -> str:
        """Return the host by which a container reaches the one of this name in its network."""
        ...

    async def images(self) -> list[Image]:
        """Return the images that are here."""
        ...

    async def has_image(self, reference: str) -> bool:
        """Say whether an image is here."""
        ...

    async def tag(self, source: str, target: str) -> None:
        """Give an image a further reference.

        Raises:
            ImageMissingError: `source` is not here.
        """
        ...

    async def remove_image(self, reference: str) -> None:
        """Remove a reference, and with the last one the image; an absent one is no error.

        Raises:
            EngineRefusedError: A container still uses it.
        """
        ...

    async def close(self) -> None:
        """Let go of the runtime; containers run on."""
        ...
