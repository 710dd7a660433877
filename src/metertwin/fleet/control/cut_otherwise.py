"""The step that cuts a running group otherwise, with the containers that come and go for it.

What counts is the group's record on the bus; the sites' settings follow it. A controller that dies
after the decision leaves them behind, and the next one brings them into line.
"""

import contextlib

import msgspec

from metertwin.bus.cuts import Cuts
from metertwin.bus.messages import Request
from metertwin.bus.ownership import current_holder, twins_key
from metertwin.bus.requests import ask
from metertwin.bus.subjects import of_host
from metertwin.core.errors import ConflictError, DeadlineError, UnavailableError
from metertwin.core.ids import GroupId, LotId, SiteId, group_of
from metertwin.fleet.control.desired import with_cut
from metertwin.fleet.control.reach import Reach
from metertwin.fleet.control.seen import SeenFleet, SeenHost
from metertwin.fleet.control.steps import Recut
from metertwin.fleet.hosts import berth_for, host_name, place_of
from metertwin.fleet.local.at_once import some_at_once
from metertwin.fleet.moves.recut import Recutter
from metertwin.fleet.moves.starting import start_host
from metertwin.fleet.site import load_site, save_site
from metertwin.twins.control import Standing
from metertwin.twins.settings import GroupSettings

_KNOW_WITHIN_S = 2.0


async def cut_otherwise(reach: Reach, step: Recut, seen: SeenFleet) -> None:
    """Bring a group's cut about, or the containers and settings that are still of another one.

    Raises:
        NotCuttableError: An app, or a twin that no share would have, is against it.
        ConflictError: The group's lots are at several sites, or somebody else cuts it.
        UnavailableError: A host does not answer.
    """
    mover = reach.mover(step.group)
    cuts = Cuts(mover.at_home, step.group)
    record = await cuts.look()
    if record is None or record.size != step.size:
        before = _settings_of(reach, step.group)
        await cuts.note(before.twins_per_container)
        after = msgspec.structs.replace(before, twins_per_container=step.size)
        host = await _owner(reach, before, seen)
        await Recutter(mover).check(before, after)  # before anything is started for it
        hosts = await _start_hosts(reach, after, host)
        await Recutter(mover).recut(before, after, hosts)
    elif record.decided is not None and not record.is_finished:
        await cuts.pass_claims(record.decided)
    await _follow(reach, step)


def _settings_of(reach: Reach, group: GroupId) -> GroupSettings:
    site = load_site(reach.state.site_file)
    return next(each for each in site.with_apps(site.all_groups) if each.id == group)


async def _owner(reach: Reach, before: GroupSettings, seen: SeenFleet) -> SeenHost:
    """Return one of a group's owners: the new ones run where it does, and from what it does."""
    owners = [(await reach.owner_of(lot.lot)) for lot in before.shares()]
    if len({site for _, site in owners}) > 1:
        told = ", ".join(sorted({str(site) for _, site in owners}))
        raise ConflictError(
            f"The shares of group {before.id} are at {told}; they are cut otherwise once they are "
            "at one site.",
            group=before.id,
        )
    host, _ = owners[0]
    if host not in seen.hosts or not seen.hosts[host].is_up:
        raise UnavailableError(f"{host}, which owns {before.shares()[0].lot}, does not run.")
    return seen.hosts[host]


async def _start_hosts(reach: Reach, after: GroupSettings, like: SeenHost) -> dict[LotId, str]:
    """Start the hosts of the lots that shall be; return them by lot once they answer."""
    place = like.site
    site = reach.local(place)
    site.settings = with_cut(site.settings, after.id, after.twins_per_container)
    mover = reach.mover(after.id)

    async def start(lot: GroupSettings) -> tuple[LotId, str]:
        if not lot.share:
            with contextlib.suppress(UnavailableError):  # none is at work there: one is started
                return lot.lot, await mover.host_at_work(lot.lot, place)
        holder = await current_holder(mover.at_home, twins_key(lot.lot))
        first, second = berth_for(place, lot.lot).hosts
        host = second if holder == first else first
        reach.say(f"starting {host}")
        await start_host(site, host, reach.standing, like.image, like.limits)
        return lot.lot, host

    return dict(await some_at_once(start, after.shares()))


async def _tell(reach: Reach, place: SiteId, group: GroupSettings, domain: str) -> None:
    """Let the hosts for whole groups that run at a site know that this one is whole now."""
    order = Request("know", {"settings": msgspec.to_builtins(group), "domain": domain})
    for number in (1, 2):
        with contextlib.suppress(UnavailableError, DeadlineError):  # then it reads it at its start
            to = of_host(place, host_name(place, number))
            await ask(reach.cloud, to, order, _KNOW_WITHIN_S, Standing)


async def _follow(reach: Reach, step: Recut) -> None:
    """Bring settings into line with the cut that counts, and end the hosts it has no use for."""
    reach.say(f"writing the cut of {step.group} into the sites' settings")
    places = dict.fromkeys((reach.known.home_of[step.group], reach.known.cloud))
    for place in places:
        site = reach.local(place)
        site.settings = with_cut(site.settings, step.group, step.size)
        save_site(site.state.site_file, site.settings)
        for role in site.twin_hosts.all():  # should their runtime start them again
            if site.home(role).root.exists():
                site.furnish(role, site.home(role))
    reach.refresh()
    at_home = reach.mover(step.group).at_home
    if not step.size:
        for place in places:
            await _tell(reach, place, _settings_of(reach, step.group), at_home.domain)
    owners = [
        await current_holder(at_home, twins_key(lot)) for lot in reach.known.lots_of(step.group)
    ]
    for place in places:
        site = reach.local(place)
        for role in site.twin_hosts.all():
            _, share = place_of(role) or (1, None)
            is_of_group = share is not None and group_of(share) == step.group
            if is_of_group and f"{place}-{role}" not in owners:
                reach.say(f"ending {place}-{role}")
                await site.end_twin_host(role)
