"""The containers of one state directory: named after it, and found again by its label.

A part is a short name such as `edge1-gateway`; its container carries an instance's tag as well, so
that two demonstrations in one engine do not meet.
"""

import asyncio
import hashlib
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from metertwin.core.errors import NotFoundError, UnavailableError
from metertwin.fleet.local.last_words import LINES_COUNT, last_words
from metertwin.fleet.roles import BUS, LINK
from metertwin.fleet.runtimes.choose import RuntimeChoice, choose_runtime
from metertwin.fleet.runtimes.errors import ContainerMissingError, ImageMissingError
from metertwin.fleet.runtimes.port import ContainerStatus, Phase, Runtime
from metertwin.fleet.runtimes.process.images import OWN_REFERENCE
from metertwin.fleet.runtimes.spec import (
    ContainerSpec,
    Limits,
    Mount,
    PublishedPort,
    Restart,
    RestartKind,
)
from metertwin.fleet.site import save_private

INSTANCE_LABEL, PART_LABEL = "io.metertwin.instance", "io.metertwin.part"
LIMITS_LABEL = "io.metertwin.limits"  # a runtime tells what it was asked for by its digest alone
LOOPBACK, EVERYWHERE = "127.0.0.1", "0.0.0.0"  # noqa: S104 - within a container's own network
_RECORD = "runtime.json"
_TMPFS = ("/tmp",)  # noqa: S108 - the container's own
_STOP_GRACE_S = 8.0
_POLL_S = 0.1
CONTAINER_UID = 10_001  # as in the Containerfile
_LAST = frozenset({BUS, LINK})
_ENDED = frozenset({Phase.CREATED, Phase.EXITED, Phase.ABSENT})


class PartError(UnavailableError):
    """A part could not be started or ends again and again."""

    code = "fleet.part"


@dataclass(frozen=True, slots=True)
class Part:
    """One part as it shall run.

    Attributes:
        name: For example `edge1-gateway`.
        argv: Arguments of `metertwin`.
        home: Its own directory, seen under the same path inside; it may write there.
        reads: Further directories it may read.
        ports: TCP ports it serves, published under their own numbers.
        networks: Short names of networks it is in.
        limits: What it may use.
        image: Another image than the site's.
        is_task: Whether it ends by itself and is not started again.
    """

    name: str
    argv: tuple[str, ...]
    home: Path
    reads: tuple[Path, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    networks: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    image: str | None = None
    is_task: bool = False


class RuntimeRecord(msgspec.Struct, frozen=True):
    """What the containers of a state directory run in, for whoever comes later.

    Attributes:
        root: The state directory the instance is named after: an edge's parts are the cloud's.
    """

    runtime: RuntimeChoice
    image: str
    root: str


class NotRunningError(NotFoundError):
    """Nothing was started in the state directory."""

    code = "not_found.running_site"


@dataclass(slots=True)
class Containers:
    """The containers of one instance.

    Attributes:
        runtime: What runs them.
        has_networks: Whether they see only each other's ports, by name.
        reason: Which runtime it is and why, one sentence.
        root: The state directory they are named after.
        image: Reference of the image that all run unless told otherwise.
    """

    runtime: Runtime
    has_networks: bool
    reason: str
    root: Path
    image: str

    @classmethod
    async def open(
        cls, choice: RuntimeChoice, root: Path, *, image: str = OWN_REFERENCE, is_tied: bool = True
    ) -> "Containers":
        """Return the containers of a state directory.

        Args:
            choice: Which runtime is wanted.
            root: The state directory.
            image: What they run.
            is_tied: Whether processes end with this program.

        Raises:
            EngineUnavailableError: The engine asked for does not answer.
            ImageMissingError: It does not have the image.
        """
        chosen = await choose_runtime(choice, root / "run", is_tied=is_tied)
        facts = await chosen.runtime.facts()
        if not await chosen.runtime.has_image(image):
            await chosen.runtime.close()
            raise ImageMissingError(
                f"{facts.kind.capitalize()} at {facts.address} has no image {image}; build it "
                "with `metertwin image build`, or run processes with --runtime process.",
                image=image,
            )
        return cls(chosen.runtime, facts.has_networks, chosen.reason, root, image)

    @classmethod
    async def of_running(cls, root: Path) -> "Containers":
        """Return the containers of a site that somebody else started.

        Raises:
            NotRunningError: Nobody did.
            EngineUnavailableError: The engine they run in does not answer.
        """
        record = runtime_record(root)
        if record is None:
            raise NotRunningError(
                f"No site was started in {root}; start one with `metertwin site start` or "
                "`./run demo`, or give its --state directory.",
                path=str(root),
            )
        return await cls.open(record.runtime, Path(record.root), image=record.image, is_tied=False)

    def remember(self, root: Path) -> None:
        """Write down in a state directory what its containers run in."""
        choice = RuntimeChoice.DOCKER if self.has_networks else RuntimeChoice.PROCESS
        record = RuntimeRecord(choice, self.image, str(self.root.resolve()))
        save_private(root / _RECORD, msgspec.json.encode(record))

    @property
    def instance(self) -> str:
        """Tag of the state directory."""
        return instance_of(self.root)

    @property
    def listen_host(self) -> str:
        """Address on which a part listens for the others."""
        return EVERYWHERE if self.has_networks else LOOPBACK

    def host_of(self, part: str) -> str:
        """Return the host by which parts reach another one in a network they share."""
        return self.runtime.host_of(self._name(part))

    async def start(self, part: Part) -> None:
        """Make a part run as described.

        Raises:
            ContainerStartError: It could not be started.
        """
        for network in part.networks:
            await self.runtime.ensure_network(self._name(network))
        user = own_by_container(part.home) if self.has_networks else None
        homes = [Mount(str(part.home.resolve()), str(part.home.resolve()), is_read_only=False)]
        reads = [Mount(str(path.resolve()), str(path.resolve())) for path in part.reads]
        await self.runtime.start(
            ContainerSpec(
                name=self._name(part.name),
                image=part.image or self.image,
                argv=part.argv,
                mounts=(*homes, *reads),
                limits=part.limits,
                restart=Restart(RestartKind.NEVER if part.is_task else RestartKind.ALWAYS),
                networks=tuple(self._name(network) for network in part.networks),
                ports=part.ports,
                labels=_labels(self.instance, part),
                user=user,
                tmpfs=_TMPFS if self.has_networks else (),
                stop_grace_s=_STOP_GRACE_S,
            ),
            replace=True,
        )

    async def status(self, part: str) -> ContainerStatus:
        """Return how a part is."""
        return await self.runtime.status(self._name(part))

    async def statuses(self) -> dict[str, ContainerStatus]:
        """Return how all parts are, by name."""
        found = await self.runtime.containers({INSTANCE_LABEL: self.instance})
        return {each.labels[PART_LABEL]: each for each in found}

    async def running(self) -> frozenset[str]:
        """Return the names of the parts that run, those that a runtime starts again included."""
        there = await self.statuses()
        return frozenset(name for name, each in there.items() if each.phase not in _ENDED)

    async def last_words(self, part: str) -> str:
        """Return in one line why a part ends, as it said itself; "" if it said nothing."""
        try:
            return last_words(await self.logs(part, LINES_COUNT))
        except ContainerMissingError:
            return ""

    async def logs(self, part: str, lines_count: int) -> str:
        """Return the last lines a part wrote; raises ContainerMissingError where there is none."""
        return await self.runtime.logs(self._name(part), lines_count)

    async def stop(self, part: str) -> None:
        """End a part and do not start it again; one that is not there is no error."""
        try:
            await self.runtime.stop(self._name(part))
        except ContainerMissingError:
            return

    async def kill(self, part: str) -> None:
        """End a part at once; one that is not there is no error."""
        try:
            await self.runtime.kill(self._name(part))
        except ContainerMissingError:
            return

    async def until_ended(self, part: str, within_s: float) -> ContainerStatus:
        """Return how a task ended.

        Raises:
            PartError: It did not end in time.
        """
        try:
            async with asyncio.timeout(within_s):
                while True:
                    status = await self.status(part)
                    if status.phase is Phase.EXITED:
                        return status
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise PartError(f"{part} did not end within {within_s:g} s.", part=part) from None

    async def clear(self, networks: Sequence[str] = ()) -> None:
        """End and forget all parts, those of an earlier run as well, and remove networks."""
        await self.end_all(await self.statuses())
        await self.remove_networks(networks)

    async def remove_networks(self, networks: Iterable[str]) -> None:
        """Remove networks by their short names; those that are not there are no error."""
        for network in networks:
            await self.runtime.remove_network(self._name(network))

    async def end_all(self, parts: Collection[str]) -> None:
        """End parts and forget them, buses and links last: the others write through them."""
        last = {part for part in parts if part.rsplit("-", 1)[-1] in _LAST}
        await self._end([part for part in parts if part not in last])
        await self._end(last)

    async def _end(self, parts: Iterable[str]) -> None:
        async def end(name: str) -> None:
            try:
                await self.runtime.stop(name)
            except ContainerMissingError:
                return
            await self.runtime.remove(name)

        await asyncio.gather(*(end(self._name(part)) for part in parts))

    async def close(self) -> None:
        """Let go of the runtime."""
        await self.runtime.close()

    def _name(self, part: str) -> str:
        return f"mt-{self.instance}-{part}"


def runtime_record(root: Path) -> RuntimeRecord | None:
    """Return what the containers of a state directory run in, or ran in last; None if never any."""
    try:
        return msgspec.json.decode((root / _RECORD).read_bytes(), type=RuntimeRecord)
    except FileNotFoundError:
        return None


def limits_of(status: ContainerStatus) -> Limits:
    """Return the limits a part was started with."""
    said = status.labels.get(LIMITS_LABEL)
    return Limits() if said is None else msgspec.json.decode(said, type=Limits)


def _labels(instance: str, part: Part) -> dict[str, str]:
    labels = {INSTANCE_LABEL: instance, PART_LABEL: part.name}
    if part.limits != Limits():
        labels[LIMITS_LABEL] = msgspec.json.encode(part.limits).decode()
    return labels


def instance_of(root: Path) -> str:
    """Return the tag of a state directory."""
    return hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:6]


def own_by_container(home: Path) -> str:
    """Make a directory the container user's and return that user, `uid:gid`.

    Root would be root inside as well, so its containers get the image's user; anybody else's run
    as that person, who owns the directory already.
    """
    if os.getuid() != 0:
        return f"{os.getuid()}:{os.getgid()}"
    for path in (home, *home.rglob("*")):
        os.chown(path, CONTAINER_UID, CONTAINER_UID, follow_symlinks=False)
    return f"{CONTAINER_UID}:{CONTAINER_UID}"
