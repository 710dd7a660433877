"""The settings of a site: one JSON file that every role of the site reads at its start."""

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec

from metertwin.bus.place import BusPlace, Edge, Uplink
from metertwin.core.clock import Clock, ScaledClock, SystemClock
from metertwin.core.errors import InvalidInputError, NotFoundError
from metertwin.core.ids import GroupId, LotId, SiteId
from metertwin.twins.settings import AppGrant, GroupSettings

SITE_VERSION = 1


class SiteFileError(InvalidInputError):
    """The site file cannot be used."""

    code = "input.site_file"


class SiteMissingError(NotFoundError):
    """There is no site here."""

    code = "not_found.site"


class ClockSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A simulated site's time; see `core.clock.ScaledClock`."""

    origin: datetime
    origin_monotonic_s: float
    speed_ratio: float


class SimulationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The simulated street of a site that has one.

    Attributes:
        meters_count: Meters, spread over as many copies of the bundled feeder as they need.
        port: Port all meters listen on, each at its own logical device address; 0 for any free.
        security: none, low (password) or high (HLS-GMAC, encrypted).
        framing: wrapper or hdlc.
        scenario: Path of a scenario file, or None.
        profiles: Path of a file of measured profiles, or None for the bundled ones.
        lived_days: Days of load profile the meters have when the site begins.
        group_size: Meters on one feeder; None for as many as the bundled grid has room for.
        listen_host: Address the meters listen on.
        found_at: Host under which a gateway finds them.
    """

    meters_count: int
    port: int = 0
    security: str = "high"
    framing: str = "wrapper"
    seed: int = 1
    zone: str = "Europe/Berlin"
    scenario: str | None = None
    profiles: str | None = None
    lived_days: int = 0
    group_size: int | None = None
    listen_host: str = "127.0.0.1"
    found_at: str = "127.0.0.1"


class EdgeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An edge site as the cloud knows it.

    Attributes:
        site: The edge.
        groups: The groups at home there. The cloud's twin host takes one once it is handed over.
    """

    site: SiteId
    groups: tuple[GroupSettings, ...]


class UplinkSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The cloud as an edge site knows it.

    Attributes:
        url: Where the edge's bus connects to the cloud's, nats-leaf://host:port.
        seed: Path of the edge's seed, made by the cloud's bus.
        certificate: Path of the cloud's certificate, made there as well.
    """

    url: str
    seed: str
    certificate: str


class SiteSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One site.

    Attributes:
        bus_url: Where the bus is found, nats://host:port.
        bus_listen_host: Address it listens on.
        groups: The groups at home here: whose meters the site's gateway reads.
        apps: Apps at work for every group that names none itself.
        poll_s: Seconds of the meters' time between two reads of a meter.
        first_profile_days: How far back the load profile of a meter never read before is fetched.
        api_port: Port of the API on `api_host`.
        clock: Simulated time, or None for the wall clock.
        simulation: The simulated street, or None where the meters are real.
        leaf_port: In a cloud with edges: the port they connect to.
        leaf_names: In a cloud with edges: hosts by which they reach it, names or addresses.
        leaf_host: In a cloud with edges: the address that port listens on; another than the
            loopback's for edges on other machines.
        edges: In a cloud: the edges.
        uplink: At an edge: the cloud.
        twins_per_container: Most twins in one container, for every group that says nothing else
            itself; 0 for all of a group.
        host_number: Which of the two twin hosts that take turns reads this, 1 or 2; see
            `fleet.hosts`.
        host_share: The share it is for; empty for the groups that lie whole.
    """

    version: int
    site: SiteId
    bus_url: str
    groups: tuple[GroupSettings, ...]
    apps: tuple[AppGrant, ...] = ()
    poll_s: float = 300.0
    first_profile_days: int = 2
    api_host: str = "127.0.0.1"
    api_port: int = 8470
    bus_listen_host: str = "127.0.0.1"
    clock: ClockSettings | None = None
    simulation: SimulationSettings | None = None
    leaf_port: int | None = None
    leaf_names: tuple[str, ...] = ("127.0.0.1",)
    leaf_host: str = "127.0.0.1"
    edges: tuple[EdgeSettings, ...] = ()
    uplink: UplinkSettings | None = None
    twins_per_container: Annotated[int, msgspec.Meta(ge=0)] = 0
    host_number: Annotated[int, msgspec.Meta(ge=1, le=2)] = 1
    host_share: str = ""

    @property
    def parts_name(self) -> str:
        """What stands before the names of its parts: its own, where it is one of several sites."""
        return self.site if self.is_cloud or self.uplink is not None else ""

    @property
    def is_cloud(self) -> bool:
        """Whether edges connect here; there may be none yet."""
        return self.leaf_port is not None

    @property
    def all_groups(self) -> tuple[GroupSettings, ...]:
        """The groups at home here and at the edges."""
        return (*self.groups, *(group for edge in self.edges for group in edge.groups))

    @property
    def place(self) -> BusPlace:
        """The place of the site's bus among others."""
        if self.leaf_port is None and self.uplink is None:
            return BusPlace()
        uplink = self.uplink
        return BusPlace(
            domain=self.site,
            own_groups=tuple(group.id for group in self.groups),
            leaf_port=self.leaf_port,
            leaf_names=self.leaf_names,
            leaf_host=self.leaf_host,
            edges=tuple(
                Edge(edge.site, tuple(group.id for group in edge.groups)) for edge in self.edges
            ),
            uplink=None if uplink is None else _uplink(uplink),
        )

    def lots_of(self, group: GroupId) -> tuple[LotId, ...]:
        """Return what of a group is hosted as one: its shares, or the group; none if unknown."""
        known = (each for each in self.all_groups if each.id == group)
        return tuple(share.lot for each in known for share in each.shares())

    def with_apps(self, groups: Iterable[GroupSettings]) -> tuple[GroupSettings, ...]:
        """Return groups, each with the apps at work for it."""
        return tuple(
            group if group.apps else msgspec.structs.replace(group, apps=self.apps)
            for group in groups
        )


def _uplink(uplink: UplinkSettings) -> Uplink:
    return Uplink(uplink.url, Path(uplink.seed), Path(uplink.certificate))


def load_site(path: Path) -> SiteSettings:
    """Read a site file.

    Raises:
        SiteMissingError: There is none at `path`.
        SiteFileError: It is damaged, has unknown fields, or another version.
    """
    try:
        site = msgspec.json.decode(path.read_bytes(), type=SiteSettings)
    except FileNotFoundError:
        raise SiteMissingError(
            f"No site file at {path}; make one with `metertwin site init`, start `./run demo`, or "
            "give its --state directory.",
            path=str(path),
        ) from None
    except (OSError, msgspec.DecodeError) as error:
        raise SiteFileError(
            f"Site file {path} cannot be read: {error}. Check it against docs/configuration.md.",
            path=str(path),
        ) from error
    if site.version != SITE_VERSION:
        raise SiteFileError(
            f"Site file {path} has version {site.version}, this program reads version "
            f"{SITE_VERSION}.",
            path=str(path),
            version=site.version,
        )
    return site


def save_site(path: Path, site: SiteSettings) -> None:
    """Write a site file, whole or not at all, readable by its owner only."""
    save_private(path, msgspec.json.format(msgspec.json.encode(site), indent=2))


def save_private(path: Path, content: bytes) -> None:
    """Write a file of mode 0600, whole or not at all; its owner is the directory's."""
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        if os.getuid() == 0:  # into a container's directory from outside
            place = path.parent.stat()
            os.fchown(descriptor, place.st_uid, place.st_gid)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def site_clock(site: SiteSettings) -> Clock:
    """Return the clock a site's roles share."""
    if site.clock is None:
        return SystemClock()
    return ScaledClock(
        origin=site.clock.origin,
        origin_monotonic_s=site.clock.origin_monotonic_s,
        speed_ratio=site.clock.speed_ratio,
    )
