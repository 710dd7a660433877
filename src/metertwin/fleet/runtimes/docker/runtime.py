"""Containers in a Docker or Podman engine, through the Docker Engine API that both serve.

Enforced by the engine: limits, restarts, networks, users, read-only roots. Every container loses
all capabilities and cannot gain any. What differs between the two is kept here: Podman runs health
checks only where systemd does it for it, so they are run from here (`podman_health`); it does not
tell that a container died for want of memory, so that is concluded.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import msgspec

from metertwin.fleet.runtimes.docker import wire
from metertwin.fleet.runtimes.docker.client import EngineClient, Query, in_path, whole_seconds
from metertwin.fleet.runtimes.docker.events import EventReader
from metertwin.fleet.runtimes.docker.images import EngineImages
from metertwin.fleet.runtimes.docker.podman_health import PodmanHealth
from metertwin.fleet.runtimes.docker.podman_stop import stay_ended
from metertwin.fleet.runtimes.errors import (
    ContainerMissingError,
    ContainerStartError,
    EngineRefusedError,
    conflict,
    image_missing,
    missing,
)
from metertwin.fleet.runtimes.port import ContainerStatus, Phase, RuntimeEvent, RuntimeFacts, Usage
from metertwin.fleet.runtimes.spec import DEFAULT_STOP_GRACE_S, ContainerSpec, RestartKind
from metertwin.fleet.runtimes.spec_check import check_spec

_NOT_FOUND = 404
_CONFLICT = 409
_KILLED_CODE = 137
_STOP_MARGIN_S = 30.0
_PODMAN_SPLITS_CHECKS = 4  # its newest version that does
_LOOKS_AT_ONCE = 8


class DockerRuntime(EngineImages):
    """The runtime of one engine; see `port.Runtime` for what each method does.

    Args:
        client: The engine. It is closed with the runtime.
    """

    def __init__(self, client: EngineClient) -> None:
        super().__init__(client)
        self._health = PodmanHealth(client)
        self._ended_here: set[str] = set()

    @classmethod
    async def connect(cls, socket: Path) -> Self:
        """Return the runtime of the engine at a socket.

        Raises:
            EngineUnavailableError: It does not answer.
        """
        client = EngineClient(socket)
        try:
            await client.connect()
        except BaseException:
            await client.close()
            raise
        return cls(client)

    async def facts(self) -> RuntimeFacts:
        """Return what this runtime is."""
        await self._client.connect()
        return RuntimeFacts(
            kind="podman" if self._client.is_podman else "docker",
            version=str(self._client.version["Version"]),
            address=f"unix://{self._client.socket}",
            has_own_files=True,
            has_networks=True,
        )

    async def start(self, spec: ContainerSpec, *, replace: bool = False) -> ContainerStatus:
        """Make a container run as described; one that does so already is left alone."""
        check_spec(spec)
        status = await self.status(spec.name)
        is_other = status.phase is not Phase.ABSENT and status.spec_digest != spec.digest
        if is_other and not replace:
            raise conflict(spec.name)
        if status.phase in (Phase.RUNNING, Phase.RESTARTING) and not is_other:
            await self._watch(spec.name)
            return status
        # One that was made and never started may lack a network: its maker died in between.
        if is_other or status.phase in (Phase.ABSENT, Phase.CREATED):
            await self._clear(spec.name, status.phase)
            await self._create(spec)
        elif spec.restart.kind is RestartKind.ALWAYS:
            await self._restart_after_crash(spec.name, wire.ALWAYS)
        self._ended_here.discard(spec.name)
        await self._start(spec.name)
        await self._watch(spec.name)
        return await self.status(spec.name)

    async def _clear(self, name: str, phase: Phase) -> None:
        if phase is not Phase.ABSENT:
            await self.stop(name)
            await self.remove(name)

    async def _watch(self, name: str) -> None:
        if self._client.is_podman:
            self._health.watch(name, (await self._inspected(name))["Config"].get("Healthcheck"))

    async def _create(self, spec: ContainerSpec) -> None:
        if not await self.has_image(spec.image):
            raise image_missing(spec.image, self._where)
        try:
            await self._client.ask(
                "POST",
                "/containers/create",
                {"name": spec.name},
                wire.creation_of(spec, splits_checks=self._splits_checks()),
            )
            for network in spec.networks[1:]:
                path = f"/networks/{in_path(network)}/connect"
                # Podman answers with a word that is no JSON.
                await self._client.read("POST", path, body=wire.connection_of(spec))
        except EngineRefusedError as error:
            if (await self.status(spec.name)).phase is Phase.CREATED:
                await self.remove(spec.name)
            raise ContainerStartError(
                f"Container {spec.name} cannot be made: {error.facts['said']}.", container=spec.name
            ) from error

    def _splits_checks(self) -> bool:
        version = str(self._client.version["Version"])
        return (
            self._client.is_podman
            and int(version.split(".", maxsplit=1)[0]) <= _PODMAN_SPLITS_CHECKS
        )

    async def _start(self, name: str) -> None:
        try:
            await self._client.ask("POST", f"/containers/{in_path(name)}/start")
        except EngineRefusedError as error:
            await self.remove(name)
            raise ContainerStartError(
                f"Container {name} cannot be started: {error.facts['said']}.", container=name
            ) from error

    async def stop(self, name: str, grace_s: float | None = None) -> None:
        """Ask it to end, end it after `grace_s` (the spec's if None), and do not restart it."""
        if grace_s is None:
            config = (await self._inspected(name))["Config"]
            grace_s = float(config.get("StopTimeout") or DEFAULT_STOP_GRACE_S)
        await self._end(name, grace_s)

    async def kill(self, name: str) -> None:
        """End it now and do not restart it."""
        # A container that waits to be restarted cannot be killed, only stopped.
        await self._end(name, 0.0)

    async def _end(self, name: str, grace_s: float) -> None:
        self._health.forget(name)
        self._ended_here.add(name)
        policy = ""
        with _AbsentIsFine():
            inspected = await self._client.ask("GET", _inspect_path(name))
            policy = inspected["HostConfig"]["RestartPolicy"]["Name"]
        await self._ask_to_end(name, grace_s)
        if self._client.is_podman:
            await stay_ended(lambda: self.status(name), lambda: self._ask_to_end(name, grace_s))
        elif policy == wire.ALWAYS:
            # Afterwards: of one that just crashed Docker refuses it.
            with _AbsentIsFine():
                await self._restart_after_crash(name, wire.UNLESS_STOPPED)

    async def _ask_to_end(self, name: str, grace_s: float) -> None:
        path, query = f"/containers/{in_path(name)}/stop", {"t": whole_seconds(grace_s)}
        try:
            await self._client.ask("POST", path, query, timeout_s=grace_s + _STOP_MARGIN_S)
        except EngineRefusedError as error:
            if error.facts["status"] == _NOT_FOUND:
                raise missing(name, self._where) from error
            if error.facts["status"] != _CONFLICT:  # it does not run
                raise

    async def _restart_after_crash(self, name: str, policy: str) -> None:
        """Say whether Docker starts it when it starts itself; Podman never does."""
        if not self._client.is_podman:
            body = {"RestartPolicy": {"Name": policy}}
            await self._client.ask("POST", f"/containers/{in_path(name)}/update", body=body)

    async def remove(self, name: str) -> None:
        """Forget it and its logs, ended first if it runs; one that is absent is no error."""
        self._health.forget(name)
        with _AbsentIsFine():
            path = f"/containers/{in_path(name)}"
            if self._client.is_podman:  # whose forced removal first waits for it to end
                await self._client.ask("POST", f"{path}/stop", {"t": 0})
            await self._client.ask("DELETE", path, {"force": True, "v": True})

    async def status(self, name: str) -> ContainerStatus:
        """Return how it is; one that is not there has the phase `absent`."""
        with _AbsentIsFine():
            inspected = await self._client.ask("GET", _inspect_path(name))
            status = wire.status_of(inspected)
            if status.exit_code is None or not self._ran_out(name, status.exit_code, inspected):
                return status
            return msgspec.structs.replace(status, was_out_of_memory=True)
        return ContainerStatus(name=name, phase=Phase.ABSENT)

    async def _inspected(self, name: str) -> dict[str, Any]:
        with _AbsentIsFine():
            inspected: dict[str, Any] = await self._client.ask("GET", _inspect_path(name))
            return inspected
        raise missing(name, self._where)

    async def containers(self, labels: Mapping[str, str]) -> list[ContainerStatus]:
        """Return all containers this port started that have all of these labels, by name."""
        wanted = [wire.DIGEST_LABEL, *(f"{name}={value}" for name, value in labels.items())]
        query: Query = {"all": True, "filters": json.dumps({"label": wanted})}
        listed = await self._client.ask("GET", "/containers/json", query)
        names = sorted(each["Names"][0].removeprefix("/") for each in listed)
        turn = asyncio.Semaphore(_LOOKS_AT_ONCE)

        async def look(name: str) -> ContainerStatus:
            async with turn:
                return await self.status(name)

        found = await asyncio.gather(*(look(name) for name in names))
        return [status for status in found if status.phase is not Phase.ABSENT]

    async def logs(self, name: str, lines_count: int = 100) -> str:
        """Return the last lines that it wrote to stdout and stderr."""
        query = {"stdout": True, "stderr": True, "tail": lines_count}
        with _AbsentIsFine():
            path = f"/containers/{in_path(name)}/logs"
            return wire.log_text(await self._client.read("GET", path, query))
        raise missing(name, self._where)

    async def events(self, since: datetime | None = None) -> AsyncIterator[RuntimeEvent]:
        """Yield what happens to the containers this port started, from `since` (now if None)."""
        await self._client.connect()
        filters = {"type": ["container"]}
        if not self._client.is_podman:  # which looks for labels with a value only
            filters["label"] = [wire.DIGEST_LABEL]
        query: dict[str, str] = {"filters": json.dumps(filters)}
        if since is not None:
            query["since"] = f"{since.timestamp():.6f}"
        reader = EventReader()
        async with self._client.stream("GET", "/events", query) as response:
            async for line in response.aiter_lines():
                event = reader.read(json.loads(line)) if line.strip() else None
                if event is not None:
                    yield await self._with_reason(event)
        raise self._client.gone("its events ended")

    async def _with_reason(self, event: RuntimeEvent) -> RuntimeEvent:
        if event.exit_code != _KILLED_CODE or not self._client.is_podman:
            return event
        with contextlib.suppress(ContainerMissingError):
            inspected = await self._inspected(event.name)
            ran_out = self._ran_out(event.name, event.exit_code, inspected)
            return msgspec.structs.replace(event, was_out_of_memory=ran_out)
        return event

    def _ran_out(self, name: str, code: int, inspected: Mapping[str, Any]) -> bool:
        """Say whether it presumably ran out of memory, where the engine does not say it.

        Podman 4 never does under control groups of version 1. Who has a memory limit and was
        killed, and not from here, most probably reached it.
        """
        return (
            self._client.is_podman
            and code == _KILLED_CODE
            and name not in self._ended_here
            and bool(inspected["HostConfig"].get("Memory"))
        )

    async def usage(self, name: str) -> Usage:
        """Return what a running container uses."""
        query = {"stream": False, "one-shot": True}
        with _AbsentIsFine():
            path = f"/containers/{in_path(name)}/stats"
            said = await self._client.ask("GET", path, query)
            memory = said.get("memory_stats") or {}
            if memory.get("usage"):
                # What files the kernel keeps cached can be given back: it is not the container's.
                detail = memory.get("stats") or {}
                cached = detail.get("total_inactive_file") or detail.get("inactive_file") or 0
                return Usage(
                    memory_bytes=memory["usage"] - cached,
                    cpu_s=said["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9,
                )
        raise missing(f"{name} that runs", self._where)

    async def ensure_network(self, name: str, *, is_internal: bool = False) -> None:
        """Make a network if it is missing; an internal one has no way out."""
        with _AbsentIsFine():
            await self._client.ask("GET", f"/networks/{in_path(name)}")
            return
        body = {"Name": name, "Driver": "bridge", "Internal": is_internal, "CheckDuplicate": True}
        await self._client.ask("POST", "/networks/create", body=body)

    async def remove_network(self, name: str) -> None:
        """Remove a network; one that is absent is no error."""
        with _AbsentIsFine():
            await self._client.ask("DELETE", f"/networks/{in_path(name)}")

    def host_of(self, name: str) -> str:
        """Return the host by which a container reaches the one of this name in its network."""
        return name

    async def close(self) -> None:
        """Let go of the runtime; containers run on."""
        await self._health.close()
        await self._client.close()


class _AbsentIsFine(contextlib.AbstractContextManager[None]):
    """Swallows the engine's refusal where it is that the thing is not there."""

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> bool:
        return isinstance(error, EngineRefusedError) and error.facts["status"] == _NOT_FOUND


def _inspect_path(name: str) -> str:
    return f"/containers/{in_path(name)}/json"
