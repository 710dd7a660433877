"""Names of twin hosts, from which everybody knows where one is and what it is for.

A site has one twin host for all its groups that lie in one container, and one for each share of a
group that is cut. For as long as another image is tried there are two of each: the twins go from
one to the other, and back if need be.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from metertwin.core.ids import GroupId, Lot, LotId, SiteId, group_of, lot_of, share_of
from metertwin.fleet.roles import TWIN_HOST

_ROLE = re.compile(rf"{TWIN_HOST}(-2)?(?:_(.+)_(\d+))?")


class Berth(NamedTuple):
    """Where a twin host belongs.

    Attributes:
        site: At which site.
        share: The share it is for; None for all groups that lie whole.
    """

    site: SiteId
    share: LotId | None = None

    @property
    def hosts(self) -> tuple[str, str]:
        """The names of the two that take turns there."""
        return host_name(self.site, 1, self.share), host_name(self.site, 2, self.share)


def berth_for(site: SiteId, lot: Lot) -> Berth:
    """Return where a lot is hosted at a site."""
    return Berth(site, LotId(lot) if share_of(lot) else None)


def host_name(site: SiteId, number: int = 1, share: LotId | None = None) -> str:
    """Return the name of a site's twin host.

    Args:
        site: The site.
        number: Which of the two that take turns, 1 or 2.
        share: The share it is for; None for groups that lie whole.

    Example:
        >>> host_name(SiteId("edge1")), host_name(SiteId("edge1"), 2, LotId("feeder-1/3"))
        ('edge1-twin-host', 'edge1-twin-host-2_feeder-1_3')
    """
    return f"{site}-{role_name(number, share)}"


def role_name(number: int, share: LotId | None) -> str:
    """Return what a twin host is called within its site, as the part of the site that it is."""
    turn = "" if number == 1 else f"-{number}"
    of_share = "" if share is None else f"_{group_of(share)}_{share_of(share)}"
    return f"{TWIN_HOST}{turn}{of_share}"


def role_of(host: str, site: SiteId) -> str:
    """Return the part of a site that a host is."""
    return host.removeprefix(f"{site}-")


def place_of(role: str) -> tuple[int, LotId | None] | None:
    """Return number and share of a twin host from its role; None for another role."""
    match = _ROLE.fullmatch(role)
    if match is None:
        return None
    share = lot_of(GroupId(match[2]), int(match[3])) if match[2] else None
    return (2 if match[1] else 1), share


def berth_of(host: str, sites: Iterable[SiteId]) -> Berth | None:
    """Return where a twin host is; None if it is at none of these sites.

    Example:
        >>> berth_of("edge1-twin-host-2_feeder-1_3", [SiteId("cloud"), SiteId("edge1")])
        Berth(site='edge1', share='feeder-1/3')
    """
    for site in sites:
        place = place_of(role_of(host, site)) if host.startswith(f"{site}-") else None
        if place is not None:
            return Berth(site, place[1])
    return None


def site_of(host: str, sites: Iterable[SiteId]) -> SiteId | None:
    """Return the site a twin host is at; None if it is at none of these."""
    berth = berth_of(host, sites)
    return None if berth is None else berth.site


def other_host(host: str, site: SiteId) -> str:
    """Return the name of the host that a site's host hands over to."""
    berth = berth_of(host, [site])
    assert berth is not None  # who asks names a host of this site
    return next(each for each in berth.hosts if each != host)
