"""From which of two hosts to which a rollout goes, also after one that died on its way.

What lies whole at a site has two hosts that take turns, and each share of a group that is cut has
two of its own; a rollout may go over several such pairs.

Whoever rolled out may have died at any step. What is left tells enough: the claims say who owns
each group, the runtime says what each host runs from. A host that already runs what is wanted and
owns some of the groups is gone on with; if neither does, the groups first go back together to the
host that began before the other one, which is the one that rollout was to replace.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from metertwin.bus.connection import Bus
from metertwin.core.errors import ConflictError, DeadlineError, UnavailableError
from metertwin.core.ids import Lot, LotId, SiteId, share_of
from metertwin.fleet.hosts import berth_of, other_host, role_of
from metertwin.fleet.local.containers import limits_of
from metertwin.fleet.local.launch import LocalSite, Say
from metertwin.fleet.moves.migration import Migration, NobodyOwnsError
from metertwin.fleet.rollout.plan import RolloutPlan
from metertwin.fleet.runtimes.port import ContainerStatus, Phase
from metertwin.fleet.runtimes.spec import Limits
from metertwin.twins.control import Standing

_GONE = {Phase.EXITED, Phase.ABSENT}


class GroupAwayError(ConflictError):
    """A group runs at another site by now."""

    code = "conflict.group_away"


class HostTakenError(ConflictError):
    """The site's second host runs something else for other groups."""

    code = "conflict.host_taken"


class GroupMover(Protocol):
    """What a rollout needs of a `Mover`, or of one for groups of several homes."""

    @property
    def cloud(self) -> Bus:
        """A connection of the fleet role to the cloud's bus."""
        ...

    async def owner_of(self, group: Lot) -> tuple[str, SiteId]:
        """Return the host that owns a group, and its site."""
        ...

    async def standing(self, site: SiteId, host: str) -> Standing:
        """Return how a host stands."""
        ...

    async def move(self, group: Lot, to: SiteId, host: str | None = None) -> Migration | None:
        """Move a group."""
        ...

    async def take_from_dead(self, group: Lot, site: SiteId, host: str) -> None:
        """Give a group whose owner is gone for good to another host."""
        ...


@dataclass(frozen=True, slots=True)
class RolloutHosts:
    """Two hosts of a rollout.

    Attributes:
        groups: What of the rollout is hosted there.
        old_image: What the old one runs from.
        limits: What the new one may use.
        begun: Groups of the rollout that the new one has already.
        guests: Groups that the new one has and that are none of the rollout's.
    """

    groups: tuple[LotId, ...]
    old: str
    new: str
    old_image: str
    limits: Limits
    begun: tuple[LotId, ...]
    guests: tuple[LotId, ...]


@dataclass(frozen=True, slots=True)
class SiteHosts:
    """A site's two hosts, and what they own.

    Args:
        site: The site.
        mover: Knows and changes the owners.
        say: Told what is put in order.
    """

    site: LocalSite
    mover: GroupMover
    say: Say

    @property
    def id(self) -> SiteId:
        """The site's."""
        return self.site.settings.site

    def part(self, host: str) -> str:
        """Return the part that is a host."""
        return self.site.part(role_of(host, self.id))

    async def status(self, host: str) -> ContainerStatus:
        """Return how the part of a host is."""
        return await self.site.containers.status(self.part(host))

    async def owned_by(self, host: str) -> tuple[LotId, ...]:
        """Return the site's groups that are a host's by their claims, or as it says itself."""
        owned: set[LotId] = set()
        for lot in self._hosted_by(host):
            with suppress(NobodyOwnsError):
                if (await self.mover.owner_of(lot))[0] == host:
                    owned.add(lot)
        with suppress(UnavailableError, DeadlineError):
            owned |= set((await self.mover.standing(self.id, host)).owned)
        return tuple(sorted(owned))

    def _hosted_by(self, host: str) -> Iterator[LotId]:
        """Yield what a host may own: all that lies whole, or its share."""
        berth = berth_of(host, [self.id])
        if berth is not None and berth.share is not None:
            yield berth.share
            return
        for settings in self.site.settings.all_groups:
            yield from (each.lot for each in settings.shares() if not each.share)

    async def end_if_idle(self, host: str) -> None:
        """End a host, unless it owns a group."""
        if owned := await self.owned_by(host):
            self.say(f"{host} owns {', '.join(owned)}, and stays")
            return
        self.say(f"ending {host}")
        await self.site.end_twin_host(role_of(host, self.id))

    async def choose(self, plan: RolloutPlan) -> tuple[RolloutHosts, ...]:
        """Return the hosts of a rollout; what an earlier one left is put in order before.

        Raises:
            GroupAwayError: A group is not at this site.
            HostTakenError: The new host would have to run two images.
            UnavailableError: A group's owner is gone and there is nobody to take it.
        """
        of_place: dict[LotId | None, list[LotId]] = {}
        for group in plan.groups:
            of_place.setdefault(group if share_of(group) else None, []).append(group)
        return tuple([await self._choose(tuple(each), plan) for each in of_place.values()])

    async def _choose(self, groups: tuple[LotId, ...], plan: RolloutPlan) -> RolloutHosts:
        owners = await self._rescued({group: await self._owner(group) for group in groups})
        old, new = await self._direction(owners, plan)
        begun = tuple(group for group in groups if owners[group] == new)
        guests = tuple(each for each in await self.owned_by(new) if each not in groups)
        status_old, status_new = await self.status(old), await self.status(new)
        if guests and not self._fits(status_new, plan):
            raise HostTakenError(
                f"{new} runs from {status_new.image} for {', '.join(guests)}, and a site has two "
                f"twin hosts at most; roll {plan.image} out to {', '.join(guests)} as well, or "
                f"{status_new.image} to {', '.join(groups)}.",
                host=new,
            )
        if not begun and not guests and status_new.phase not in _GONE:
            await self.end_if_idle(new)  # left by an earlier rollout: its settings are old
        as_now = limits_of(status_new if begun or guests else status_old)
        limits = as_now if plan.limits is None else plan.limits
        return RolloutHosts(groups, old, new, status_old.image, limits, begun, guests)

    async def _owner(self, group: Lot) -> str:
        host, place = await self.mover.owner_of(group)
        if place != self.id:
            raise GroupAwayError(
                f"Group {group} runs at {place} by now, not at {self.id}; start again without it.",
                group=group,
            )
        return host

    async def _rescued(self, owners: Mapping[LotId, str]) -> dict[LotId, str]:
        """Give groups whose owner was ended, or ends again and again, to the site's other host."""
        rescued = dict(owners)
        for gone in sorted(set(owners.values())):
            if not await self._is_gone(gone):
                continue
            other = self._other(gone)
            groups = [group for group, owner in owners.items() if owner == gone]
            if not await self._answers(other):
                raise UnavailableError(
                    f"{gone} owns {', '.join(groups)} and does not run, and {other} does not "
                    f"answer; start site {self.id} before another image is tried.",
                    host=gone,
                )
            await self.site.containers.kill(self.part(gone))  # so that it is surely gone
            for group in groups:
                self.say(f"giving {group} to {other}: {gone}, which owns it, is gone")
                await self.mover.take_from_dead(group, self.id, other)
                rescued[group] = other
        return rescued

    async def _is_gone(self, host: str) -> bool:
        status = await self.status(host)
        if status.phase in _GONE:
            return True
        return status.restart_count > 1 and not await self._answers(host)

    async def _answers(self, host: str) -> bool:
        try:
            await self.mover.standing(self.id, host)
        except (UnavailableError, DeadlineError):
            return False
        return True

    async def _direction(self, owners: dict[LotId, str], plan: RolloutPlan) -> tuple[str, str]:
        """Return the old and the new host; the groups are those hosts' afterwards."""
        at_work = sorted(set(owners.values()))
        if len(at_work) == 1:
            return at_work[0], self._other(at_work[0])
        fitting = [host for host in at_work if self._fits(await self.status(host), plan)]
        if len(fitting) == 1:
            self.say(f"{fitting[0]} runs from {plan.image} already and is gone on with")
            return self._other(fitting[0]), fitting[0]
        began = [f"{self.id}-{role}" for role in self.site.twin_hosts.all()]
        old = next((host for host in began if host in at_work), at_work[0])
        for group, owner in owners.items():
            if owner != old:
                self.say(f"{group} goes back to {old} first: an earlier rollout ended halfway")
                await self.mover.move(group, self.id, old)
                owners[group] = old
        return old, self._other(old)

    def _fits(self, status: ContainerStatus, plan: RolloutPlan) -> bool:
        limits = plan.limits in {None, limits_of(status)}
        return status.phase is Phase.RUNNING and status.image == plan.image and limits

    def _other(self, host: str) -> str:
        return other_host(host, self.id)
