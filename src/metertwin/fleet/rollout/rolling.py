"""A rollout for groups of a running site: what the command line and the demonstration use."""

import contextlib
from collections.abc import AsyncIterator, Iterable

from metertwin.core.errors import ConflictError
from metertwin.core.ids import GroupId, LotId, group_of
from metertwin.fleet.local.containers import Containers
from metertwin.fleet.local.launch import Say
from metertwin.fleet.local.sites import local_site
from metertwin.fleet.moves.moving import UnknownPlaceError, home_domain, mover_for
from metertwin.fleet.rollout.rollout import Rollout
from metertwin.fleet.site import SiteSettings
from metertwin.fleet.site_lease import SITE_TERM_S, site_held
from metertwin.fleet.state import StateDirectory


class ScatteredGroupsError(ConflictError):
    """The groups of one rollout run at several sites."""

    code = "conflict.scattered_groups"


@contextlib.asynccontextmanager
async def rollout_for(
    state: StateDirectory,
    site: SiteSettings,
    groups: tuple[LotId, ...],
    containers: Containers,
    say: Say,
    *,
    term_s: float = SITE_TERM_S,
) -> AsyncIterator[Rollout]:
    """Return a rollout for groups that run at one site.

    Args:
        state: Of the site, or of the cloud that has it as an edge.
        site: Its settings.
        groups: The groups, at home in one site; of one that is cut its shares.
        containers: Of the state directory.
        say: Told each step, in a few words.
        term_s: After so many seconds without a sign of life somebody else may go on.

    The site's lease is held for as long as the rollout is at hand.

    Raises:
        UnknownPlaceError: There is no such group.
        ScatteredGroupsError: They run at several sites, or are at home at several.
        SiteBusyError: Somebody else changes the site's hosts.
    """
    homes = {group: home_domain(site, group_of(group)) for group in groups}
    if len(set(homes.values())) > 1:
        told = ", ".join(f"{group} in {home}" for group, home in homes.items())
        raise ScatteredGroupsError(
            f"A rollout is for groups of one home, and these are at home {told}; start one for "
            "each home, or apply a fleet file."
        )
    async with mover_for(state, site, group_of(groups[0]), say) as mover:
        places = {group: (await mover.owner_of(group))[1] for group in groups}
        if len(set(places.values())) > 1:
            told = ", ".join(f"{group} at {place}" for group, place in places.items())
            raise ScatteredGroupsError(f"A rollout is for groups at one site; these are {told}.")
        local = local_site(state, site, places[groups[0]], containers, say)
        doing = f"a rollout to {', '.join(groups)}"
        async with site_held(mover.cloud, local.settings.site, doing, say, term_s) as lease:
            yield Rollout(local, mover, lease, say)


def lots_named(site: SiteSettings, names: Iterable[str]) -> tuple[LotId, ...]:
    """Return what people name: whole groups, all shares of one that is cut, or one share.

    Raises:
        UnknownPlaceError: There is no such group, or share of it.
    """
    lots: dict[LotId, None] = {}
    for name in names:
        group = GroupId(name.partition("/")[0])
        home_domain(site, group)  # raises where it is not known
        known = site.lots_of(group)
        wanted = [lot for lot in known if name in {str(lot), str(group)}]
        if not wanted:
            raise UnknownPlaceError(
                f"Group {group} has no share {name[:64]!r}; it has {', '.join(known)}.",
                group=name[:64],
            )
        lots |= dict.fromkeys(wanted)
    return tuple(lots)
