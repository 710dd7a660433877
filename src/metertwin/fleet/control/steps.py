"""What has to be done to a fleet, each as a value that a person and a program can read.

A group here is one that lies whole, or a share of one that is cut, as `feeder-1/3`.
"""

import msgspec

from metertwin.core.ids import GroupId, LotId, SiteId
from metertwin.fleet.runtimes.spec import Limits


class Start(msgspec.Struct, frozen=True, tag="start"):
    """A twin host is started, anew where it runs otherwise and owns nothing."""

    site: SiteId
    host: str
    image: str
    limits: Limits
    why: str

    @property
    def sentence(self) -> str:
        """What is done and why, for people."""
        return f"start {self.host} from {self.image}{_within(self.limits)}: {self.why}"

    @property
    def key(self) -> str:
        """What two steps have in common that ask for the same."""
        return f"start {self.host} {self.image}{_within(self.limits)}"


class Finish(msgspec.Struct, frozen=True, tag="finish"):
    """A hand-over whose orderer died is finished: the owner takes, who waited is passed on."""

    group: LotId
    host: str
    left_at: tuple[str, ...]
    why: str

    @property
    def sentence(self) -> str:
        """What is done and why, for people."""
        return f"finish the hand-over of {self.group} to {self.host}: {self.why}"

    @property
    def key(self) -> str:
        """What two steps have in common that ask for the same."""
        return f"finish {self.group} {self.host}"


class StartAnew(msgspec.Struct, frozen=True, tag="start_anew"):
    """A part that is no twin host is started anew, within other limits or because it is gone.

    Attributes:
        limits: What it may use from now on.
        before: What it may use now; None where it is gone.
    """

    site: SiteId
    role: str
    part: str
    limits: Limits
    before: Limits | None

    @property
    def sentence(self) -> str:
        """What is done and why, for people."""
        why = "it is absent" if self.before is None else "its limits are others"
        return f"start {self.part} anew{_within(self.limits) or ' without limits'}: {why}"

    @property
    def key(self) -> str:
        """What two steps have in common that ask for the same."""
        return f"start anew {self.part}{_within(self.limits)}"


class Move(msgspec.Struct, frozen=True, tag="move"):
    """A group is handed over to another site, or to the other host of its site."""

    group: LotId
    source: str
    to: SiteId
    host: str | None
    why: str

    @property
    def sentence(self) -> str:
        """What is done and why, for people."""
        return f"move {self.group} from {self.source} to {self.host or self.to}: {self.why}"

    @property
    def key(self) -> str:
        """What two steps have in common that ask for the same."""
        return f"move {self.group} {self.host or self.to}"


class RollOut(msgspec.Struct, frozen=True, tag="roll_out"):
    """Groups of a site go to second hosts, started with what is wanted, and are watched."""

    site: SiteId
    groups: tuple[LotId, ...]
    image: str
    limits: Limits
    apps: dict[LotId, tuple[str, ...]]
    why: str

    @property
    def sentence(self) -> str:
        """What is done and why, for people."""
        groups = ", ".join(self.groups)
        return f"roll {self.image}{_within(self.limits)} out to {groups} at {self.site}: {self.why}"

    @property
    def key(self) -> str:
        """What two steps have in common that ask for the same."""
        apps = " ".join(f"{group}={','.join(names)}" for group, names in sorted(self.apps.items()))
        return f"roll out {self.site} {self.image}{_within(self.limits)} {apps}".rstrip()


class Recut(msgspec.Struct, frozen=True, tag="recut"):
    """A running group is cut otherwise, or what was begun of that is finished.

    Attributes:
        former_size: Most twins in a container until now; 0 for all in one.
        size: The same from then on.
        is_decided: It is cut so already, and the sites' settings and containers are not.
    """

    group: GroupId
    former_size: int
    size: int
    is_decided: bool = False

    @property
    def sentence(self) -> str:
        """What is done and why, for people."""
        if self.is_decided:
            return (
                f"finish cutting {self.group} into {_sized(self.size)}: its sites' settings and "
                f"containers are those of {_sized(self.former_size)}"
            )
        return f"cut {self.group} into {_sized(self.size)}: now it has {_sized(self.former_size)}"

    @property
    def key(self) -> str:
        """What two steps have in common that ask for the same."""
        return f"recut {self.group} {self.size}"


class End(msgspec.Struct, frozen=True, tag="end"):
    """A host that owns nothing, beside another one of its site, is ended."""

    site: SiteId
    host: str
    why: str

    @property
    def sentence(self) -> str:
        """What is done and why, for people."""
        return f"end {self.host}: {self.why}"

    @property
    def key(self) -> str:
        """What two steps have in common that ask for the same."""
        return f"end {self.host}"


Step = Start | Finish | StartAnew | Move | RollOut | Recut | End


def _sized(size: int) -> str:
    if size:
        return f"containers of {size} {'twin' if size == 1 else 'twins'}"
    return "one container with all twins"


def _within(limits: Limits) -> str:
    told = []
    if limits.cpu_ratio is not None:
        told.append(f"{limits.cpu_ratio:g} cores")
    if limits.memory_bytes is not None:
        told.append(f"{limits.memory_bytes / 1024**2:g} MiB")
    return f" ({', '.join(told)})" if told else ""
