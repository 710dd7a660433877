"""A site of real meters, made from the list of them, which may change later."""

from pathlib import Path

import msgspec

from metertwin.core.errors import ConflictError, InvalidInputError
from metertwin.core.ids import MeterId, SiteId
from metertwin.fleet.local.groups import groups_of
from metertwin.fleet.site import SITE_VERSION, SiteSettings, load_site, save_site
from metertwin.fleet.state import StateDirectory
from metertwin.meters.entry import MeterEntry
from metertwin.meters.registry import load_registry, save_registry
from metertwin.twins.settings import AppGrant, GroupSettings

PORTS = range(1, 65_536)
POLL_MOST_S = 86_400.0


class SiteExistsError(ConflictError):
    """There is a site already."""

    code = "conflict.site_exists"


class SitePlan(msgspec.Struct, frozen=True):
    """What a person says of a new site.

    Attributes:
        site: Its name.
        poll_s: Seconds between two reads of a meter, above 0 and at most a day.
        bus_port: Port of the bus on the loopback interface, 1 to 65535.
        api_port: Port of the API on the loopback interface, another one.
        twins_per_container: Most twins in one container; 0 for all of a group.
        apps: Apps at work for every group.
    """

    site: SiteId
    poll_s: float = 300.0
    bus_port: int = 4222
    api_port: int = 8470
    twins_per_container: int = 0
    apps: tuple[AppGrant, ...] = ()

    def check(self) -> None:
        """Raise InvalidInputError that names all that is out of range."""
        problems = []
        if not 0 < self.poll_s <= POLL_MOST_S:
            problems.append(f"a poll every {self.poll_s:g} s is not above 0 and at most 86400 s")
        problems += check_ports(bus=self.bus_port, API=self.api_port)
        if self.twins_per_container < 0:
            problems.append(f"{self.twins_per_container} twins in a container are less than none")
        if problems:
            raise InvalidInputError("; ".join(problems) + ".")


def check_ports(**ports: int) -> list[str]:
    """Return what is wrong with the ports of a site's parts, one sentence each.

    Example:
        >>> check_ports(bus=4222, API=4222, edges=0)
        ['port 0 of the edges is not 1 to 65535', 'port 4222 is given to bus and API']
    """
    problems = [
        f"port {port} of the {name} is not 1 to 65535"
        for name, port in ports.items()
        if port not in PORTS
    ]
    for port in dict.fromkeys(ports.values()):
        names = [name for name, each in ports.items() if each == port]
        if len(names) > 1:
            problems.append(f"port {port} is given to {' and '.join(names)}")
    return problems


def check_free(state: StateDirectory) -> None:
    """Raise SiteExistsError if a site lives in the directory."""
    if state.site_file.exists():
        raise SiteExistsError(
            f"{state.root} has a site already. Give it another list with `metertwin site meters`, "
            "change its site.json, or give another --state directory.",
            path=str(state.root),
        )


class MovedMeterError(ConflictError):
    """A meter of the new list belongs to another group than before."""

    code = "conflict.moved_meter"


class MetersChange(msgspec.Struct, frozen=True):
    """How a site's list of meters changed.

    Attributes:
        new: Meters that were not known.
        gone: Meters that are read no more. Their twins stay, with what they know.
    """

    new: tuple[MeterId, ...]
    gone: tuple[MeterId, ...]


def found_site(state: StateDirectory, registry: Path, plan: SitePlan) -> SiteSettings:
    """Write a new site's settings and its own copy of the meters' list; nothing is started.

    Args:
        state: Where it shall live; made if it is missing.
        registry: The list of its meters with their keys; their groups become the site's.
        plan: What else is said of it.

    Raises:
        SiteExistsError: A site lives there.
        InvalidInputError: The plan is out of range.
        RegistryError: The list cannot be used, or has no meter.
        StateDirectoryError: The directory cannot be made.
    """
    plan.check()
    entries = _entries(registry)
    check_free(state)
    settings = SiteSettings(
        version=SITE_VERSION,
        site=plan.site,
        bus_url=f"nats://127.0.0.1:{plan.bus_port}",
        groups=groups_of(entries, plan.poll_s, plan.twins_per_container),
        apps=plan.apps,
        poll_s=plan.poll_s,
        api_port=plan.api_port,
        twins_per_container=plan.twins_per_container,
    )
    state.make()
    save_registry(state.meters_file, entries)
    save_site(state.site_file, settings)  # last: a site is there once its settings are
    return settings


def relist_meters(state: StateDirectory, registry: Path) -> MetersChange:
    """Give a site another list of its meters; it is read from the site's next start on.

    A new meter gets its twin behind those that are there, a new group its own. Links and keys of
    those that stay may change, as when a meter is replaced.

    Args:
        state: Where the site lives.
        registry: The new list, whole.

    Raises:
        SiteMissingError: There is no site.
        RegistryError: The list cannot be used.
        MovedMeterError: It gives a known meter to another group.
        InvalidInputError: It has no meter.
    """
    settings = load_site(state.site_file)
    entries = _entries(registry)
    before = {entry.meter for entry in load_registry(state.meters_file)}
    now = {entry.meter for entry in entries}
    groups = _with_meters(settings, entries)
    save_registry(state.meters_file, entries)
    save_site(state.site_file, msgspec.structs.replace(settings, groups=groups))
    return MetersChange(tuple(sorted(now - before)), tuple(sorted(before - now)))


def _with_meters(
    settings: SiteSettings, entries: tuple[MeterEntry, ...]
) -> tuple[GroupSettings, ...]:
    home = {meter: group.id for group in settings.groups for meter in group.meters}
    for entry in entries:
        if home.get(entry.meter, entry.group_id) != entry.group_id:
            raise MovedMeterError(
                f"Meter {entry.id} is in group {home[entry.meter]} and would be in {entry.group}; "
                "its twin has one place. Give the connection a new id in its new group.",
                meter=entry.id,
            )
    listed = groups_of(entries, settings.poll_s, settings.twins_per_container)
    groups = {group.id: group for group in settings.groups}
    for group in listed:
        known = groups.get(group.id)
        groups[group.id] = group if known is None else _joined(known, group)
    return tuple(groups.values())


def _joined(known: GroupSettings, listed: GroupSettings) -> GroupSettings:
    """Return a group as it was set up, with new meters behind the others: shares keep theirs."""
    return msgspec.structs.replace(
        known,
        meters=tuple(dict.fromkeys((*known.meters, *listed.meters))),
        protected_meters=tuple(dict.fromkeys((*known.protected_meters, *listed.protected_meters))),
    )


def _entries(registry: Path) -> tuple[MeterEntry, ...]:
    entries = load_registry(registry)
    if not entries:
        raise InvalidInputError(f"{registry} lists no meter; a site has one at least.")
    return entries
