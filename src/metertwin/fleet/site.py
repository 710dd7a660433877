"""The settings of a site: one JSON file that every role of the site reads at its start."""

import os
from datetime import datetime
from pathlib import Path

import msgspec

from metertwin.core.clock import Clock, ScaledClock, SystemClock
from metertwin.core.errors import InvalidInputError, NotFoundError
from metertwin.core.ids import SiteId
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


class SiteSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One site.

    Attributes:
        bus_url: Where the bus listens, nats://host:port.
        groups: The groups hosted here.
        apps: Apps at work for every group that names none itself.
        poll_s: Seconds of the meters' time between two reads of a meter.
        first_profile_days: How far back the load profile of a meter never read before is fetched.
        api_port: Port of the API on `api_host`.
        clock: Simulated time, or None for the wall clock.
        simulation: The simulated street, or None where the meters are real.
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
    clock: ClockSettings | None = None
    simulation: SimulationSettings | None = None

    def groups_with_apps(self) -> tuple[GroupSettings, ...]:
        """Return the groups, each with the apps at work for it."""
        return tuple(
            group if group.apps else msgspec.structs.replace(group, apps=self.apps)
            for group in self.groups
        )


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
            f"No site file at {path}; start one with `./run demo`, or give its --state directory.",
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
    """Write a file of mode 0600, whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
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
