"""The fleet as it is wanted: a file's words with everything filled in that it leaves open."""

import msgspec

from metertwin.core.ids import GroupId, LotId, SiteId, group_of
from metertwin.fleet.document import AppEntry, FleetFile, GroupEntry, Known, RolloutEntry, SiteEntry
from metertwin.fleet.document.checks import image_wanted, site_wanted
from metertwin.fleet.roles import FLEET, TWIN_HOST
from metertwin.fleet.runtimes.spec import Limits
from metertwin.fleet.site import SiteSettings
from metertwin.twins.settings import AppGrant, GroupSettings


class DesiredHost(msgspec.Struct, frozen=True):
    """A site's twin host: what it runs from, and what it may use."""

    image: str
    limits: Limits


class DesiredGroup(msgspec.Struct, frozen=True):
    """A group or a share of it: where it runs, and its apps; none means those of the settings."""

    at: SiteId
    apps: tuple[AppEntry, ...] = ()


class DesiredFleet(msgspec.Struct, frozen=True):
    """Every site and every group.

    Attributes:
        groups: Groups that lie whole, and the shares of those that are cut.
        limits: What each site's parts other than its twin hosts may use, by role.
        sizes: Most twins in a container, of the groups whose cut is asked for; 0 for all in one.
        is_cloud: Whether the first site is a cloud, also where its edges are on other machines.
    """

    hosts: dict[SiteId, DesiredHost]
    groups: dict[LotId, DesiredGroup]
    rollout: RolloutEntry = RolloutEntry()
    limits: dict[SiteId, dict[str, Limits]] = {}
    sizes: dict[GroupId, int] = {}
    is_cloud: bool = False


def desired_of(file: FleetFile, known: Known) -> DesiredFleet:
    """Return what a file that was checked against `known` asks of every site and group."""
    groups: dict[LotId, DesiredGroup] = {}
    images = {site: file.image_of(site) or known.image for site in known.sites}
    for group in known.home_of:
        entry = file.groups.get(group, GroupEntry())
        site = site_wanted(known, group, entry)
        images[site] = image_wanted(known, file, site, entry)
        wanted = DesiredGroup(site, entry.apps or file.apps or ())
        groups |= dict.fromkeys(known.lots_of(group), wanted)
    hosts = {
        site: DesiredHost(image, _entry(file, site).resources.limits_of(TWIN_HOST))
        for site, image in images.items()
    }
    limits = {
        site: {
            role: _entry(file, site).resources.limits_of(role)
            for role in known.roles_of[site]
            if role != TWIN_HOST
        }
        for site in known.sites
    }
    sizes = {
        GroupId(group): 0 if entry.twins_per_container == "all" else entry.twins_per_container
        for group, entry in file.groups.items()
        if entry.twins_per_container is not None
    }
    is_cloud = FLEET in known.roles_of[known.cloud]
    return DesiredFleet(hosts, groups, file.rollout, limits, sizes, is_cloud)


def with_desired_apps(settings: SiteSettings, desired: DesiredFleet) -> SiteSettings:
    """Return a site's settings with the apps that are wanted; grants and settings stay."""

    def changed(groups: tuple[GroupSettings, ...]) -> tuple[GroupSettings, ...]:
        return tuple(_with_apps(group, settings.apps, desired) for group in groups)

    return msgspec.structs.replace(
        settings,
        groups=changed(settings.groups),
        edges=tuple(
            msgspec.structs.replace(edge, groups=changed(edge.groups)) for edge in settings.edges
        ),
    )


def with_cut(settings: SiteSettings, group: GroupId, size: int) -> SiteSettings:
    """Return a site's settings with a group cut so: most twins in a container, 0 for all in one."""

    def changed(groups: tuple[GroupSettings, ...]) -> tuple[GroupSettings, ...]:
        return tuple(
            msgspec.structs.replace(each, twins_per_container=size) if each.id == group else each
            for each in groups
        )

    return msgspec.structs.replace(
        settings,
        groups=changed(settings.groups),
        edges=tuple(
            msgspec.structs.replace(edge, groups=changed(edge.groups)) for edge in settings.edges
        ),
    )


def _with_apps(
    group: GroupSettings, shared: tuple[AppGrant, ...], desired: DesiredFleet
) -> GroupSettings:
    wanted = next((each for lot, each in desired.groups.items() if group_of(lot) == group.id), None)
    if wanted is None or not wanted.apps:
        return group
    grants = {grant.name: grant for grant in (*shared, *group.apps)}
    apps = tuple(
        msgspec.structs.replace(grants[app.name], version=app.version)
        for app in wanted.apps
        if app.name in grants
    )
    return msgspec.structs.replace(group, apps=apps)


def _entry(file: FleetFile, site: SiteId) -> SiteEntry:
    return file.sites.get(site, SiteEntry())
