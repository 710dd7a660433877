"""Containers that are processes of this machine: no engine, no root, no isolation.

Enforced: restarts, stop grace, health checks, an environment of its own, the user where root runs
this, memory and CPU where control groups can be made (root, or a group that was given away).
Otherwise memory is looked at twice a second and the process killed above the limit, so that a
burst can pass; CPU time is not limited. Never enforced: read-only files, tmpfs, networks. A status
says in `unenforced` which of these its spec asked for. Refused, because the program would be wrong
without them: a mount seen under another path, a port published under another number.
"""

import asyncio
import collections
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path

import metertwin
from metertwin.fleet.runtimes.errors import ContainerStartError, conflict, missing
from metertwin.fleet.runtimes.port import ContainerStatus, Phase, RuntimeEvent, RuntimeFacts, Usage
from metertwin.fleet.runtimes.process.directory import ContainerDirectory, Described
from metertwin.fleet.runtimes.process.events import follow
from metertwin.fleet.runtimes.process.images import ProcessImages, image_id
from metertwin.fleet.runtimes.process.keeper import KEPT_ALREADY
from metertwin.fleet.runtimes.process.plan import plan_of, unenforced
from metertwin.fleet.runtimes.process.sessions import session_usage
from metertwin.fleet.runtimes.spec import ContainerSpec

_KEEP = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from metertwin.fleet.runtimes.process.keeper import main; main(sys.argv[2])"
)
_LOG_TAIL_BYTES = 1024 * 1024


class ProcessRuntime(ProcessImages):
    """The runtime of one directory; see `port.Runtime` for what each method does.

    Args:
        root: Directory of the containers: their descriptions, states and logs. A controller that
            is started again with the same one finds its containers.
        is_tied: Whether containers end with this runtime, even if it is killed; otherwise they
            run on.
    """

    def __init__(self, root: Path, *, is_tied: bool = False) -> None:
        super().__init__(root.absolute())
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._turns: collections.defaultdict[str, asyncio.Lock] = collections.defaultdict(
            asyncio.Lock
        )
        # Tied keepers read one end of a pipe whose other end nobody else has: it breaks with us.
        self._lifeline = os.pipe() if is_tied else None

    async def facts(self) -> RuntimeFacts:
        """Return what this runtime is."""
        return RuntimeFacts(
            kind="process",
            version=metertwin.__version__,
            address=str(self._root),
            has_own_files=False,
            has_networks=False,
        )

    async def start(self, spec: ContainerSpec, *, replace: bool = False) -> ContainerStatus:
        """Make a container run as described; one that does so already is left alone."""
        async with self._turns[spec.name]:
            status = await self.status(spec.name)
            if status.phase is not Phase.ABSENT and status.spec_digest != spec.digest:
                if not replace:
                    raise conflict(spec.name)
                await self._end(spec.name, None)
                self._directory(spec.name).remove()
            elif status.phase in (Phase.RUNNING, Phase.RESTARTING):
                return status
            await self._start(spec)
            return await self.status(spec.name)

    async def _start(self, spec: ContainerSpec) -> None:
        directory = self._directory(spec.name)
        entry = self._entry(spec.image)
        plan = plan_of(
            spec,
            entry.entrypoint,
            directory.path,
            is_tied=self._lifeline is not None,
        )
        directory.describe(Described(spec, image_id(entry), unenforced(spec, plan)), plan)
        keeper = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-S", "-c", _KEEP),
            str(Path(metertwin.__file__).parent.parent),
            str(directory.path),
            stdin=self._lifeline[0] if self._lifeline else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await keeper.communicate()
        if keeper.returncode:
            if keeper.returncode != KEPT_ALREADY:
                directory.remove()
            raise ContainerStartError(
                f"Container {spec.name} cannot be started ({plan.argv[0]}): "
                f"{said.decode(errors='replace').strip() or 'another controller starts it'}.",
                container=spec.name,
            )

    async def stop(self, name: str, grace_s: float | None = None) -> None:
        """Ask it to end, end it after `grace_s` (the spec's if None), and do not restart it."""
        self._must_be(name)
        await self._end(name, grace_s)

    async def kill(self, name: str) -> None:
        """End it now and do not restart it."""
        self._must_be(name)
        await self._end(name, 0.0)

    async def _end(self, name: str, grace_s: float | None) -> None:
        directory = self._directory(name)
        with directory.keeper() as keeper:
            if keeper is not None:
                directory.ask_to_end(keeper, grace_s)
                await _readable(keeper)

    async def remove(self, name: str) -> None:
        """Forget it and its logs, ended first if it runs; one that is absent is no error."""
        async with self._turns[name]:
            await self._end(name, 0.0)
            self._directory(name).remove()

    async def status(self, name: str) -> ContainerStatus:
        """Return how it is; one that is not there has the phase `absent`."""
        return self._directory(name).status()

    async def containers(self, labels: Mapping[str, str]) -> list[ContainerStatus]:
        """Return all containers this port started that have all of these labels, by name."""
        found = [
            ContainerDirectory(path).status()
            for path in sorted(self._root.iterdir())
            if path.is_dir()
        ]
        return [
            status
            for status in found
            if status.phase is not Phase.ABSENT and labels.items() <= status.labels.items()
        ]

    async def logs(self, name: str, lines_count: int = 100) -> str:
        """Return the last lines that it wrote to stdout and stderr."""
        self._must_be(name)
        with contextlib.suppress(FileNotFoundError):
            content = _tail(self._directory(name).log)
            lines = content.decode(errors="replace").splitlines(keepends=True)
            return "".join(lines[-lines_count:])
        return ""

    async def events(self, since: datetime | None = None) -> AsyncIterator[RuntimeEvent]:
        """Yield what happens to the containers this port started, from `since` (now if None)."""
        async for event in follow(self._root, since):
            yield event

    async def usage(self, name: str) -> Usage:
        """Return what a running container uses; without control groups, memory is resident."""
        pid = (await self.status(name)).pid
        if pid is None:
            raise missing(f"{name} that runs", self._where)
        memory_bytes, cpu_s = await asyncio.to_thread(session_usage, pid)
        return Usage(memory_bytes=memory_bytes, cpu_s=cpu_s)

    async def ensure_network(self, name: str, *, is_internal: bool = False) -> None:
        """Do nothing: processes share this machine's network."""

    async def remove_network(self, name: str) -> None:
        """Do nothing: processes share this machine's network."""

    def host_of(self, name: str) -> str:
        """Return the host by which a container reaches another: this machine's loopback."""
        del name
        return "127.0.0.1"

    async def close(self) -> None:
        """Let go of the runtime; containers run on unless they are tied to it."""
        lifeline, self._lifeline = self._lifeline, None
        for end in lifeline or ():
            os.close(end)

    def _directory(self, name: str) -> ContainerDirectory:
        return ContainerDirectory(self._root / name)

    def _must_be(self, name: str) -> None:
        if self._directory(name).described() is None:
            raise missing(name, self._where)


async def _readable(descriptor: int) -> None:
    """Wait until a descriptor is readable: a pidfd is when its process has ended."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(file.tell() - _LOG_TAIL_BYTES, 0))
        return file.read()
