"""What a fleet lacks to be as it is wanted: pure, from what is desired and what is seen.

The steps come in the order in which they are to be carried out. Hosts that own groups and are gone
come first; then the limits of parts that own no group; then groups go where they belong; then what
hosts run from, within which limits and with which apps; at last what earlier work left behind. What
is not known is not touched: an owner that cannot be asked is still the owner.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from metertwin.core.ids import GroupId, LotId, SiteId, group_of, share_of
from metertwin.fleet.control.desired import DesiredFleet, DesiredGroup, DesiredHost
from metertwin.fleet.control.seen import SeenFleet, SeenGroup, SeenHost
from metertwin.fleet.control.steps import End, Finish, Move, Recut, RollOut, Start, StartAnew, Step
from metertwin.fleet.hosts import Berth
from metertwin.fleet.local.endings import out_of_memory
from metertwin.fleet.roles import BUS
from metertwin.fleet.runtimes.port import Phase
from metertwin.fleet.runtimes.spec import Limits

_ORDER = (Start, Finish, StartAnew, Move, RollOut, Recut, End)


def steps_to(desired: DesiredFleet, seen: SeenFleet) -> tuple[Step, ...]:
    """Return what is to be done, in order; nothing when all is as it is wanted."""
    if decided := tuple(_decided(seen)):
        return decided  # before it is finished, what is known of the group is what was
    steps: list[Step] = []
    for berth in dict.fromkeys(Berth(host.site, host.share) for host in seen.hosts.values()):
        steps += _Place(berth, desired.hosts[berth.site], desired, seen).steps()
    steps = _together(steps)
    steps += _recuts(desired, seen)
    steps += _unfinished(seen)
    steps += _unlike_parts(desired, seen)
    steps += _strays(seen, {step.group for step in steps if isinstance(step, Recut)})
    for group, wanted in desired.groups.items():
        now = seen.groups.get(group)
        if now is not None and now.host is not None and now.site != wanted.at:
            why = f"it is wanted at {wanted.at}"
            steps.append(Move(group, now.host, wanted.at, None, why))
    return tuple(sorted(steps, key=lambda step: _ORDER.index(type(step))))


def unknown_in(seen: SeenFleet) -> dict[LotId, str]:
    """Return the groups whose owner is not known, and why."""
    return {each.group: _trouble(each) for each in seen.groups.values() if each.host is None}


def _decided(seen: SeenFleet) -> Iterator[Recut]:
    """Yield the groups that are cut otherwise than their sites' settings say."""
    for group, cut in seen.cuts.items():
        if cut.size != cut.known_size:
            yield Recut(group, cut.known_size, cut.size, is_decided=True)


def _recuts(desired: DesiredFleet, seen: SeenFleet) -> Iterator[Recut]:
    for group, cut in seen.cuts.items():
        size = desired.sizes.get(group, cut.size)
        if size != cut.size:
            yield Recut(group, cut.size, size)


def _strays(seen: SeenFleet, about_to_be_cut: Collection[GroupId]) -> Iterator[End]:
    for host in seen.strays:
        if host.is_up and host.share is not None and group_of(host.share) not in about_to_be_cut:
            yield End(host.site, host.host, f"there is no share {host.share}")


def _unfinished(seen: SeenFleet) -> Iterator[Finish]:
    """Yield the hand-overs that stopped between the claim and the last caller passed on."""
    for group in seen.groups.values():
        if group.host is None:
            continue
        left_at = tuple(
            host.host
            for host in seen.hosts.values()
            if group.group in host.leaving and host.host != group.host
        )
        if not group.is_taken:
            yield Finish(group.group, group.host, left_at, "its owner does not serve it yet")
        elif left_at:
            yield Finish(group.group, group.host, left_at, "callers wait at its old host")


def _unlike_parts(desired: DesiredFleet, seen: SeenFleet) -> Iterator[StartAnew]:
    """Yield the parts without groups to be started anew; the bus, which all others need, last."""
    for part in sorted(seen.parts, key=lambda part: part.role == BUS):
        wanted = desired.limits[part.site][part.role]
        if part.phase is Phase.ABSENT:
            yield StartAnew(part.site, part.role, part.name, wanted, None)
        elif part.limits != wanted:
            yield StartAnew(part.site, part.role, part.name, wanted, part.limits)


def _trouble(group: SeenGroup) -> str:
    return group.trouble or f"No host owns group {group.group} yet."


def _together(steps: Sequence[Step]) -> list[Step]:
    """Return the steps with one rollout for all that a site needs alike: its canary is of all."""
    rollouts: dict[tuple[SiteId, str, Limits], RollOut] = {}
    others: list[Step] = []
    for step in steps:
        if not isinstance(step, RollOut):
            others.append(step)
            continue
        like = (step.site, step.image, step.limits)
        first = rollouts.get(like)
        if first is None:
            rollouts[like] = step
            continue
        whys = dict.fromkeys((*first.why.split("; "), *step.why.split("; ")))
        rollouts[like] = msgspec.structs.replace(
            first,
            groups=(*first.groups, *step.groups),
            apps={**first.apps, **step.apps},
            why="; ".join(whys),
        )
    return [*others, *rollouts.values()]


@dataclass(frozen=True, slots=True)
class _Place:
    """The two hosts that take turns at one place of a site: for all that lies whole, or a share."""

    berth: Berth
    wanted: DesiredHost
    desired: DesiredFleet
    seen: SeenFleet

    @property
    def site(self) -> SiteId:
        return self.berth.site

    def steps(self) -> Iterator[Step]:
        hosts = [self.seen.hosts[host] for host in self.berth.hosts]
        owners = [host for host in hosts if self.seen.groups_of(host.host)]
        gone = [host for host in owners if not host.is_up]
        for host in gone:
            yield self._start_gone(host)
        starved = [host for host in owners if host not in gone and self._is_let_starve(host)]
        for host in starved:
            yield self._start_starved(host)
        if gone or starved or self._is_uncertain():
            return
        if not owners:
            yield from self._idle(hosts)
        elif len(owners) > 1:
            yield from self._divided(owners)
        else:
            yield from self._united(owners[0], hosts)

    def _is_uncertain(self) -> bool:
        """Whether a group may be here that nobody can see, or is about to be taken here."""
        if self.berth.share is not None:
            return bool(self.seen.groups[self.berth.share].trouble)
        groups = [group for group in self.seen.groups.values() if group.host is None]
        homes = {group.home for group in self.seen.groups.values()}
        is_cloud = self.site not in homes
        return any(group.home == self.site or is_cloud for group in groups if group.trouble)

    def _start_gone(self, host: SeenHost) -> Start:
        """Start an owner as it ran: another image is tried on a host that is well."""
        is_absent = host.phase is Phase.ABSENT
        return Start(
            self.site,
            host.host,
            self.wanted.image if is_absent else host.image,
            self.wanted.limits if is_absent else host.limits,
            f"it owns {', '.join(self.seen.groups_of(host.host))} and is {host.phase}",
        )

    def _is_let_starve(self, host: SeenHost) -> bool:
        """Whether an owner runs out of memory and shall have more: it can hand nothing over."""
        now_bytes, wanted_bytes = host.limits.memory_bytes, self.wanted.limits.memory_bytes
        if not host.is_starved or now_bytes is None:
            return False
        return wanted_bytes is None or wanted_bytes > now_bytes

    def _start_starved(self, host: SeenHost) -> Start:
        owned = ", ".join(self.seen.groups_of(host.host))
        why = f"it owns {owned} and is {out_of_memory(host.limits)}"
        return Start(self.site, host.host, host.image, self.wanted.limits, why)

    def _idle(self, hosts: Sequence[SeenHost]) -> Iterator[Step]:
        """Nobody owns a group here: one host waits, as it is wanted, if anything shall come."""
        up = [host for host in hosts if host.is_up]
        if not self._is_needed():
            yield from self._ends(up)
            return
        right = [host for host in up if self._is_right(host)]
        chosen = (right or [host for host in up if host.owned] or up or list(hosts))[0]
        if not right:
            why = self._unlike(chosen) if chosen.is_up else f"it is {chosen.phase}"
            yield self._start(chosen, why)
        yield from self._ends(host for host in up if host is not chosen)

    def _is_needed(self) -> bool:
        """Whether a host waits here for what may come: a share's own where it is wanted."""
        share = self.berth.share
        if share is not None:
            return self.desired.groups[share].at == self.site
        sites = list(self.desired.hosts)  # the cloud first, whose host also stands in for its edges
        if self.site == sites[0] and (len(sites) > 1 or self.desired.is_cloud):
            return True
        at_home = [group for group in self.seen.groups.values() if group.home == self.site]
        return not all(share_of(group.group) for group in at_home)

    def _divided(self, owners: Sequence[SeenHost]) -> Iterator[Step]:
        """Two hosts own groups: a rollout ended in the middle, or somebody moved them."""
        right = [host for host in owners if self._is_right(host)]
        kept = right[0] if right else max(owners, key=lambda host: len(self._of(host)))
        for host in owners:
            if host is kept:
                continue
            if not self._is_right(host) and self._is_right(kept):
                yield self._roll_out(host, f"{kept.host} runs from {self.wanted.image} already")
                continue
            for group in self._of(host):
                why = f"the groups of {self.site} belong together"
                yield Move(group, host.host, self.site, kept.host, why)

    def _united(self, owner: SeenHost, hosts: Sequence[SeenHost]) -> Iterator[Step]:
        others = [self._wrong_apps(group) for group in self._of(owner)]
        wrong_apps = [told for told in others if told]
        if not self._is_right(owner):
            yield self._roll_out(owner, self._unlike(owner))
        elif wrong_apps:
            yield self._roll_out(owner, "; ".join(wrong_apps))
        else:
            yield from self._ends(host for host in hosts if host is not owner and host.is_up)

    def _of(self, host: SeenHost) -> tuple[LotId, ...]:
        return self.seen.groups_of(host.host)

    def _is_right(self, host: SeenHost) -> bool:
        return host.is_up and not self._unlike(host)

    def _unlike(self, host: SeenHost) -> str:
        told = []
        if host.image != self.wanted.image:
            told.append(f"it runs from {host.image}")
        if host.limits != self.wanted.limits:
            told.append("its limits are others")
        return " and ".join(told)

    def _wrong_apps(self, group: LotId) -> str:
        now = self.seen.groups[group].apps
        wanted = self.desired.groups.get(group, DesiredGroup(self.site)).apps
        if now is None or not wanted:
            return ""
        versions = {app.name: app.version for app in now}
        is_same = versions.keys() == {app.name for app in wanted} and all(
            app.version in ("", versions[app.name]) for app in wanted
        )
        if is_same:
            return ""
        told = ", ".join(f"{app.name} {app.version}".strip() for app in now) or "no app"
        return f"{group} has {told}"

    def _start(self, host: SeenHost, why: str) -> Start:
        wanted = self.wanted
        return Start(self.site, host.host, wanted.image, wanted.limits, why)

    def _roll_out(self, host: SeenHost, why: str) -> RollOut:
        apps = {
            group: tuple(f"{app.name} {app.version}".strip() for app in wanted.apps)
            for group, wanted in self.desired.groups.items()
            if group in self._of(host) and wanted.apps
        }
        wanted = self.wanted
        return RollOut(self.site, self._of(host), wanted.image, wanted.limits, apps, why)

    def _ends(self, hosts: Iterable[SeenHost]) -> Iterator[End]:
        """End hosts that have nothing: a group of an edge elsewhere is told by its host alone."""
        for host in hosts:
            if not host.owned:
                yield End(self.site, host.host, "it owns nothing and is not needed")
