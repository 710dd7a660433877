"""What there is: the sites, groups, apps and images that a fleet file can speak of."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from metertwin.core.ids import GroupId, LotId, SiteId, lot_of
from metertwin.fleet.roles import roles_of
from metertwin.fleet.site import SiteSettings


@dataclass(frozen=True, slots=True)
class Known:
    """The surroundings of a fleet file.

    Attributes:
        cloud: The cloud, or the only site.
        sites: All sites, the cloud first.
        home_of: Where each group is at home.
        apps_of: Names of the apps each group's settings have.
        roles_of: The roles each site has.
        image: What the sites were started from.
        images: What the runtime has; None when nobody looked.
        cuts: The groups that are cut: how many twins share a container, and the shares.
    """

    cloud: SiteId
    sites: tuple[SiteId, ...]
    home_of: Mapping[GroupId, SiteId]
    apps_of: Mapping[GroupId, tuple[str, ...]]
    roles_of: Mapping[SiteId, tuple[str, ...]]
    image: str
    images: frozenset[str] | None = None
    cuts: Mapping[GroupId, tuple[int, tuple[LotId, ...]]] = field(default_factory=dict)

    def lots_of(self, group: GroupId) -> tuple[LotId, ...]:
        """Return what of a group is hosted as one: its shares, or itself."""
        return self.cuts[group][1] if group in self.cuts else (lot_of(group, 0),)

    def size_of(self, group: GroupId) -> int:
        """Return how many twins of a group share a container at most; 0 for all in one."""
        return self.cuts[group][0] if group in self.cuts else 0


def known_of(site: SiteSettings, image: str, images: frozenset[str] | None = None) -> Known:
    """Return what a cloud with edges, or a single site, has."""
    homes = {group.id: site.site for group in site.groups}
    homes |= {group.id: edge.site for edge in site.edges for group in edge.groups}
    groups = site.with_apps(site.all_groups)
    # An app is known anywhere if it is known somewhere: its settings are copied from there.
    shared = {app.name for app in site.apps}
    apps = {group.id: tuple(sorted({app.name for app in group.apps} | shared)) for group in groups}
    sites = (site.site, *(edge.site for edge in site.edges))
    roles = {
        name: roles_of(
            has_groups=name in homes.values(),
            is_cloud=name == site.site and site.is_cloud,
        )
        for name in sites
    }
    cuts = {
        group.id: (group.twins_per_container, site.lots_of(group.id))
        for group in groups
        if group.twins_per_container
    }
    return Known(site.site, sites, homes, apps, roles, image, images, cuts)
