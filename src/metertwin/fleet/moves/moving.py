"""A mover for a cloud in a state directory: what the command line and the demonstration use."""

import contextlib
from collections.abc import AsyncIterator

from metertwin.bus.connection import connect
from metertwin.bus.credentials import Role, seed_path
from metertwin.core.errors import NotFoundError
from metertwin.core.ids import GroupId, SiteId
from metertwin.fleet.moves.migration import Mover, NotMovableError, Say
from metertwin.fleet.site import SiteSettings
from metertwin.fleet.state import StateDirectory


class UnknownPlaceError(NotFoundError):
    """The cloud has no such group or site."""

    code = "not_found.place"


@contextlib.asynccontextmanager
async def mover_for(
    state: StateDirectory, site: SiteSettings, group: GroupId, say: Say
) -> AsyncIterator[Mover]:
    """Connect to the cloud and to the home of a group.

    Raises:
        UnknownPlaceError: The site file has no such group.
        UnavailableError: The cloud's bus is not there.
    """
    home = home_domain(site, group)
    seed = seed_path(state.bus_seeds, Role.FLEET)
    async with contextlib.AsyncExitStack() as stack:
        cloud = await connect(site.bus_url, seed, f"{site.site}-mover")
        stack.push_async_callback(cloud.close)
        at_home = await connect(site.bus_url, seed, f"{site.site}-mover-{home}", domain=home)
        stack.push_async_callback(at_home.close)
        yield Mover(cloud, at_home, (site.site, *(edge.site for edge in site.edges)), say)


def home_domain(site: SiteSettings, group: GroupId) -> str:
    """Return the domain in which a group is at home.

    Raises:
        UnknownPlaceError: The site file has no such group.
    """
    for edge in site.edges:
        if group in {each.id for each in edge.groups}:
            return edge.site
    if group in {each.id for each in site.groups}:
        return site.place.domain
    raise UnknownPlaceError(
        f"There is no group {group[:64]!r}; site {site.site} has "
        f"{', '.join(each.id for each in site.all_groups) or 'none'}.",
        group=group[:64],
    )


def checked_target(site: SiteSettings, group: GroupId, name: str) -> SiteId:
    """Return the site of this name if a group can go there.

    Raises:
        UnknownPlaceError: There is no such group or no such site.
        NotMovableError: The site is neither the cloud nor the group's home.
    """
    home_domain(site, group)  # raises where it is not known
    sites = (site.site, *(edge.site for edge in site.edges))
    if name not in sites:
        raise UnknownPlaceError(
            f"There is no site {name[:64]!r}; there are {', '.join(sites)}.", site=name[:64]
        )
    homes = (edge.site for edge in site.edges if group in {each.id for each in edge.groups})
    home = next(homes, site.site)
    if name not in {home, site.site}:
        raise NotMovableError(
            f"Group {group} cannot go to {name}: a group goes between its home, which is {home}, "
            f"and the cloud, {site.site}.",
            group=group,
            site=name,
        )
    return SiteId(name)


def checked_edge(site: SiteSettings, name: str) -> SiteId:
    """Return the edge of this name.

    Raises:
        UnknownPlaceError: The cloud has no such edge.
    """
    for edge in site.edges:
        if edge.site == name:
            return edge.site
    raise UnknownPlaceError(
        f"There is no edge {name[:64]!r}; site {site.site} has "
        f"{', '.join(edge.site for edge in site.edges) or 'none: start `./run demo --edge 2`'}.",
        site=name[:64],
    )
