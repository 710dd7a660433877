"""Moving a group's twins, or a share of them, to another site while they are asked and read.

The order is what makes it safe. The old host holds what is asked, writes its last checkpoint and
gives the claim away; from then on its epoch is stale and it can write nothing. The new host takes
the claim, restores and serves; then the old one passes on who waited. Whoever orders this may die
between any two steps, and two may order at once: the claim says who the owner is, that host takes
the group within moments or when it starts, and the old one passes on who waited.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from metertwin.bus.connection import Bus
from metertwin.bus.messages import Request
from metertwin.bus.ownership import assign, current_holder, twins_key
from metertwin.bus.requests import ask
from metertwin.bus.subjects import of_host
from metertwin.core.errors import (
    ConflictError,
    DeadlineError,
    MeterTwinError,
    NotFoundError,
    UnavailableError,
)
from metertwin.core.ids import Lot, LotId, SiteId
from metertwin.fleet.hosts import berth_for, site_of
from metertwin.twins.control import Given, PassedOn, Standing, Taken

_ORDER_WITHIN_S = 10.0
_PREPARE_WITHIN_S = 60.0
_STANDING_WITHIN_S = 2.0
_TAKE_TRIES_COUNT = 3

Say = Callable[[str], None]


class NobodyOwnsError(NotFoundError):
    """No host ever owned the group."""

    code = "not_found.owner"


class NotMovableError(ConflictError):
    """The group cannot go there."""

    code = "conflict.not_movable"


class Migration(msgspec.Struct, frozen=True):
    """What a migration did.

    Attributes:
        epoch: Of the new owner.
        blackout_ms: From the order to hold until the new host could answer, in ms: the longest
            anybody waited for an answer because of it.
        checkpoint_ms: Of that, until the last checkpoint was written and the claim given, in ms.
        waited_count: Requests that came meanwhile and were passed on.
    """

    group: LotId
    source: SiteId
    target: SiteId
    old_host: str
    new_host: str
    epoch: int
    blackout_ms: float
    checkpoint_ms: float
    waited_count: int


@dataclass(frozen=True, slots=True)
class Mover:
    """Moves groups between a cloud and its edges.

    Attributes:
        cloud: A connection of the fleet role to the cloud's bus.
        at_home: The same for the domain in which the group is at home.
        sites: All sites.
        say: Told each step, in a few words.
    """

    cloud: Bus
    at_home: Bus
    sites: tuple[SiteId, ...]
    say: Say

    async def move(self, group: Lot, to: SiteId, host: str | None = None) -> Migration | None:
        """Move a group and return what it took; None when it is there already.

        A move that somebody began and left half-way is brought to its end.

        Args:
            group: The group.
            to: The site.
            host: Which of the site's hosts; None for the one at work there.

        Raises:
            NobodyOwnsError: No host owns it.
            NotMovableError: The target does not know the group, or the owner is of no known site.
            ConflictError: Somebody else moves it elsewhere at this moment.
            UnavailableError: A host or the group's home does not answer; the sentence says who
                the owner is, or that it is open.
        """
        holder, source = await self.owner_of(group)
        if holder == host or (host is None and source == to):
            await self._finish(group, to, holder)
            return None
        host = host or await self.host_at_work(group, to)
        await self._check_target(group, to, host)
        return await self._move(group, (source, holder), (to, host))

    async def owner_of(self, group: Lot) -> tuple[str, SiteId]:
        """Return the host that owns a group, and its site; raises as `move`."""
        holder = await current_holder(self.at_home, twins_key(group))
        if holder is None:
            raise NobodyOwnsError(
                f"No host owns group {group}; start the site it is at home in.", group=group
            )
        source = site_of(holder, self.sites)
        if source is None:
            raise NotMovableError(
                f"Group {group} is owned by {holder}, which is at none of the sites that can be "
                f"seen from here ({', '.join(self.sites)}).",
                group=group,
                holder=holder,
            )
        return holder, source

    async def _finish(self, group: Lot, to: SiteId, host: str) -> None:
        """See that the owner serves the group: whoever moved it there may have died on the way."""
        standing = await self.standing(to, host)
        if LotId(group) not in standing.owned:
            self.say(f"{host} takes {group}, which it was given before")
            await self._take(group, of_host(to, host), host)

    async def standing(self, site: SiteId, host: str) -> Standing:
        """Return how a host stands; raises UnavailableError or DeadlineError when it is silent."""
        return await ask(
            self.cloud, of_host(site, host), Request("standing"), _STANDING_WITHIN_S, Standing
        )

    async def host_at_work(self, group: Lot, site: SiteId) -> str:
        """Return the host of a site that others were given to, or the first one that answers."""
        answering: list[Standing] = []
        for host in berth_for(site, group).hosts:
            with contextlib.suppress(UnavailableError, DeadlineError):
                answering.append(await self.standing(site, host))
        if not answering:
            raise UnavailableError(
                f"No twin host of site {site} answers; group {group} stays where it is. Is the "
                "site running, and its link whole?",
                group=group,
                site=site,
            )
        return max(answering, key=lambda each: bool(each.owned)).host

    async def _check_target(self, group: Lot, to: SiteId, host: str) -> None:
        """Ask the target before anything is held: is it there, and does it know the group?"""
        standing = await self.standing(to, host)
        if LotId(group) not in standing.known:
            raise NotMovableError(
                f"Site {to} cannot host group {group}; its twin host knows "
                f"{', '.join(standing.known) or 'none'}. A group goes between its home and the "
                "cloud.",
                group=group,
                site=to,
            )

    async def _move(
        self, group: Lot, source: tuple[SiteId, str], target: tuple[SiteId, str]
    ) -> Migration:
        old, new = of_host(*source), of_host(*target)
        self.say(f"{target[1]} gets ready for {group}")
        ready = Request("prepare", {"group": group})
        with contextlib.suppress(MeterTwinError):  # the order to hand over tells what is amiss
            await ask(self.cloud, old, ready, _ORDER_WITHIN_S, Standing)
        await ask(self.cloud, new, ready, _PREPARE_WITHIN_S, Standing)
        self.say(f"{source[1]} holds {group} and writes its last checkpoint")
        began_s = time.monotonic()
        await self._hand_over(group, old, target[1])
        checkpoint_ms = _ms_since(began_s)
        taken = await self._take(group, new, target[1])
        blackout_ms = _ms_since(began_s)
        self.say(f"{target[1]} serves {group} after {blackout_ms:.0f} ms")
        return Migration(
            group=LotId(group),
            source=source[0],
            target=target[0],
            old_host=source[1],
            new_host=target[1],
            epoch=taken.epoch,
            blackout_ms=blackout_ms,
            checkpoint_ms=checkpoint_ms,
            waited_count=await self._pass_on(group, old),
        )

    async def _hand_over(self, group: Lot, old: str, to: str) -> None:
        order = Request("hand_over", {"group": group, "to": to})
        try:
            await ask(self.cloud, old, order, _ORDER_WITHIN_S, Given)
        except (UnavailableError, DeadlineError, NotFoundError) as error:
            # The answer may have been lost, or another mover was a moment ahead: the claim knows.
            holder = await self._holder_after(group, error)
            if holder == to:
                return
            raise UnavailableError(
                f"Group {group} was not handed over: {error} Its owner is {holder}.",
                group=group,
                holder=holder,
            ) from error

    async def _holder_after(self, group: Lot, failure: MeterTwinError) -> str | None:
        try:
            return await current_holder(self.at_home, twins_key(group))
        except UnavailableError as error:
            raise UnavailableError(
                f"Whether group {group} was handed over is open: {failure} Its home does not "
                "answer either; move it again when it does.",
                group=group,
            ) from error

    async def _pass_on(self, group: Lot, old: str) -> int:
        order = Request("pass_on", {"group": group})
        try:
            passed = await ask(self.cloud, old, order, _ORDER_WITHIN_S, PassedOn)
        except (UnavailableError, DeadlineError) as error:
            # The group is moved all the same; the old host passes on by itself, or is gone.
            self.say(f"who waited for {group} is passed on later: {error}")
            return 0
        return passed.requests_count

    async def finish(self, group: Lot, owner: str, left_at: Sequence[str]) -> None:
        """Finish a hand-over whose orderer died after the claim was given; done, it does nothing.

        Args:
            group: The group.
            owner: The host that has the claim.
            left_at: Hosts where callers wait to be passed on.

        Raises:
            UnavailableError: A host does not answer.
            OwnedElsewhereError: The group went on to another host meanwhile.
        """
        await self._take(group, self._at(owner), owner)
        for host in left_at:
            await self._pass_on(group, self._at(host))

    def _at(self, host: str) -> str:
        site = site_of(host, self.sites)
        assert site is not None  # who orders names hosts of these sites
        return of_host(site, host)

    async def take_from_dead(self, group: Lot, site: SiteId, host: str) -> None:
        """Give a group whose owner is gone for good to another host.

        The caller has made sure that the owner runs no more; were it there, its epoch is stale from
        here on and it writes nothing.

        Raises:
            UnavailableError: The group's home or the host does not answer.
        """
        await assign(self.at_home, twins_key(group), host)
        await self._take(group, of_host(site, host), host)

    async def _take(self, group: Lot, new: str, to: str) -> Taken:
        order = Request("take", {"group": group})
        for left_count in reversed(range(_TAKE_TRIES_COUNT)):
            try:
                return await ask(self.cloud, new, order, _ORDER_WITHIN_S, Taken)
            except (UnavailableError, DeadlineError) as error:
                if not left_count:
                    raise UnavailableError(
                        f"Group {group} was given to {to}, which did not take it: {error} "
                        "It is the owner and takes the group when it comes back.",
                        group=group,
                        host=to,
                    ) from error
        raise AssertionError  # the last try returns or raises


def _ms_since(began_s: float) -> float:
    return round((time.monotonic() - began_s) * 1e3, 3)
