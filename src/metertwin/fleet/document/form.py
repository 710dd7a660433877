"""The form of a fleet file, from which its reader and its published schema follow."""

import re
from typing import Annotated, Literal

from msgspec import Meta, Struct

from metertwin.fleet.runtimes.spec import CPU_LEAST_RATIO, Limits

FLEET_VERSION = 1
CPU_MOST_RATIO = 1024.0
WATCH_MOST_S = 86_400.0
POSTPONE_MOST_S = 86_400.0
MEMORY_UNITS = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
MEMORY = re.compile(r"([1-9][0-9]{0,8})(KiB|MiB|GiB)")
# A name, perhaps a registry's host before it, and a tag: what runs shall be known from the file.
IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}:[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")

Image = Annotated[
    str, Meta(pattern=f"^{IMAGE.pattern}$", description="An image with its tag, metertwin:0.1.0.")
]
Memory = Annotated[
    str, Meta(pattern=f"^{MEMORY.pattern}$", description="Memory with its unit, 256MiB.")
]
Cpu = Annotated[
    float,
    Meta(ge=CPU_LEAST_RATIO, le=CPU_MOST_RATIO, description="CPU time per time; 0.5: half a core."),
]


def key_of(role: str) -> str:
    """Return the key by which a fleet file speaks of a role.

    Example:
        >>> key_of("twin-host")
        'twin_host'
    """
    return role.replace("-", "_")


class LimitsEntry(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a part may use; without an entry it has no limit.

    Attributes:
        cpu_ratio: CPU time per time; 0.5 is half of one core.
        memory: A whole number of KiB, MiB or GiB, such as `256MiB`.
    """

    cpu_ratio: Cpu | None = None
    memory: Memory | None = None

    @property
    def limits(self) -> Limits:
        """The same as the runtime port has it.

        Example:
            >>> LimitsEntry(cpu_ratio=0.5, memory="2KiB").limits
            Limits(cpu_ratio=0.5, memory_bytes=2048)
        """
        match = None if self.memory is None else MEMORY.fullmatch(self.memory)
        memory_bytes = None if match is None else int(match[1]) * MEMORY_UNITS[match[2]]
        return Limits(self.cpu_ratio, memory_bytes)


class ResourcesEntry(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the parts of a site may use, by role."""

    api: LimitsEntry = LimitsEntry()
    bus: LimitsEntry = LimitsEntry()
    fleet: LimitsEntry = LimitsEntry()
    gateway: LimitsEntry = LimitsEntry()
    recorder: LimitsEntry = LimitsEntry()
    twin_host: LimitsEntry = LimitsEntry()

    def limits_of(self, role: str) -> Limits:
        """Return what the part of a role may use.

        Example:
            >>> ResourcesEntry(twin_host=LimitsEntry(memory="1KiB")).limits_of("twin-host")
            Limits(cpu_ratio=None, memory_bytes=1024)
        """
        entry: LimitsEntry = getattr(self, key_of(role))
        return entry.limits


class SiteEntry(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One site.

    Attributes:
        image: What its twin host runs from; without it the file's.
        resources: What its parts may use.
    """

    image: Image | None = None
    resources: ResourcesEntry = ResourcesEntry()


class AppEntry(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An app at work for a group; its grants and settings stand in the site's settings.

    Attributes:
        name: As in its entry point.
        version: Which it must be; empty for the one the image has.
    """

    name: str
    version: str = ""


class GroupEntry(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One group of twins.

    Attributes:
        at: The site its twins run at: its home or the cloud; without it its home.
        image: What they run from; without it the site's.
        apps: The apps at work for it; without them the file's.
        twins_per_container: How many twins share one container, from 1 to `all`; without it as
            the group is. A running group is cut otherwise while it lives.
    """

    at: str | None = None
    image: Image | None = None
    apps: Annotated[tuple[AppEntry, ...], Meta(min_length=1)] | None = None
    twins_per_container: Annotated[int, Meta(ge=1)] | Literal["all"] | None = None


class RolloutEntry(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How another image is tried.

    Attributes:
        canary_ratio: Share of a site's groups that go first, above 0 to 1; at least one goes.
        watch_s: How long the canary, and then all, are watched, in s.
        differences: Most differences in the rehearsal that are accepted, or `any`.
        postpone_most_s: How long a rollout waits for all apps that say "not now" at most, in s.
    """

    canary_ratio: Annotated[float, Meta(gt=0, le=1)] = 0.1
    watch_s: Annotated[float, Meta(ge=0, le=WATCH_MOST_S)] = 10.0
    differences: Annotated[int, Meta(ge=0)] | Literal["any"] = 0
    postpone_most_s: Annotated[float, Meta(ge=0, le=POSTPONE_MOST_S)] = 900.0


class FleetFile(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A whole fleet. A site or group that is not named is as the file's own keys say.

    Attributes:
        image: What twin hosts run from; without it the image the sites were started from.
        apps: Apps at work for every group that names none; without them those of the site's
            settings.
    """

    version: Literal[1]
    image: Image | None = None
    apps: Annotated[tuple[AppEntry, ...], Meta(min_length=1)] | None = None
    rollout: RolloutEntry = RolloutEntry()
    sites: dict[str, SiteEntry] = {}
    groups: dict[str, GroupEntry] = {}

    def image_of(self, site: str) -> str | None:
        """Return what a site runs from, as far as the file says it of the site or of all."""
        return self.sites.get(site, SiteEntry()).image or self.image
