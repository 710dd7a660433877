"""Which runtime to use: the one that was named, or the best that is here."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from metertwin.fleet.runtimes.docker.client import engine_socket, usual_sockets
from metertwin.fleet.runtimes.docker.runtime import DockerRuntime
from metertwin.fleet.runtimes.errors import EngineUnavailableError
from metertwin.fleet.runtimes.port import Runtime
from metertwin.fleet.runtimes.process.runtime import ProcessRuntime


class RuntimeChoice(StrEnum):
    """What a person may ask for."""

    AUTO = "auto"
    PROCESS = "process"
    DOCKER = "docker"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A runtime, and one sentence that says which it is and why."""

    runtime: Runtime
    reason: str


@dataclass(frozen=True, slots=True)
class ChosenEngine:
    """An engine, and one sentence that says which it is and why."""

    runtime: DockerRuntime
    reason: str


async def choose_runtime(
    choice: RuntimeChoice,
    processes: Path,
    *,
    engine: str | None = None,
    is_tied: bool = False,
    environment: Mapping[str, str] = os.environ,
) -> Chosen:
    """Return the runtime that a person asked for.

    Args:
        choice: `auto` is an engine if one answers, else processes.
        processes: Directory of the process runtime, if it comes to that.
        engine: Address of the engine, unix:///path; None looks at DOCKER_HOST, CONTAINER_HOST and
            the usual places.
        is_tied: Whether processes end with this program.
        environment: Where DOCKER_HOST and CONTAINER_HOST are looked up.

    Raises:
        EngineUnavailableError: `docker` was asked for and no engine answers.
        SpecError: The engine's address is not a socket's.
    """
    if choice is RuntimeChoice.PROCESS:
        runtime = ProcessRuntime(processes, is_tied=is_tied)
        return Chosen(runtime, "Containers are processes of this machine, as asked for.")
    try:
        found = await find_engine(engine, environment)
    except EngineUnavailableError as error:
        if choice is RuntimeChoice.DOCKER or engine is not None:
            raise
        runtime = ProcessRuntime(processes, is_tied=is_tied)
        return Chosen(runtime, f"Containers are processes of this machine: {error}")
    return Chosen(found.runtime, found.reason)


async def find_engine(
    engine: str | None = None, environment: Mapping[str, str] = os.environ
) -> ChosenEngine:
    """Return the container engine that answers.

    Raises:
        EngineUnavailableError: None does; the sentence names where it was looked for.
        SpecError: The engine's address is not a socket's.
    """
    places = _places(engine, environment)
    for socket, origin in places:
        try:
            runtime = await DockerRuntime.connect(socket)
        except EngineUnavailableError:
            continue
        facts = await runtime.facts()
        return ChosenEngine(
            runtime,
            f"Containers run in {facts.kind.capitalize()} {facts.version}, which answers at "
            f"{socket} ({origin}).",
        )
    tried = ", ".join(f"{socket} ({origin})" for socket, origin in places)
    raise EngineUnavailableError(
        f"No container engine answers at {tried}. Start dockerd or `podman system service`, or "
        "name its socket in DOCKER_HOST.",
        tried=[str(socket) for socket, _ in places],
    )


def _places(engine: str | None, environment: Mapping[str, str]) -> list[tuple[Path, str]]:
    """Return where to look, with the reason; what somebody named is not replaced by a guess."""
    named = [
        (engine_socket(address), origin)
        for address, origin in (
            (engine, "named"),
            (environment.get("DOCKER_HOST"), "DOCKER_HOST"),
            (environment.get("CONTAINER_HOST"), "CONTAINER_HOST"),
        )
        if address
    ]
    return named[:1] or [(socket, "a usual place") for socket in usual_sockets()]
