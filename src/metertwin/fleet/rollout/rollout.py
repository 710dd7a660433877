"""Another image for a site's twins, tried before it counts and taken back when it fails.

The new image runs beside the old one as a second twin host. The groups' own past is rehearsed in
both, and what would differ is a gate. Then the canary's groups are handed over, watched, and the
rest follows; the old host stays until all is well, so that going back is handing over again and
needs no image, no registry and no start. The meter is never touched: it knows nothing of hosts.

Each step is said before it is done. Whoever rolls out may die at any of them: every group has one
owner all the while, and the next rollout, or a fleet's controller, goes on from what is there.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from metertwin.bus.connection import Bus, connect
from metertwin.bus.credentials import Role, seed_path
from metertwin.core.errors import DeadlineError, MeterTwinError, UnavailableError
from metertwin.core.ids import LotId, group_of
from metertwin.fleet.hosts import role_of
from metertwin.fleet.local.at_once import some_at_once
from metertwin.fleet.local.containers import PartError
from metertwin.fleet.local.launch import LocalSite, Say
from metertwin.fleet.moves.starting import start_host
from metertwin.fleet.rollout.answers import Customer
from metertwin.fleet.rollout.gate import Watch
from metertwin.fleet.rollout.hosts import GroupMover, RolloutHosts, SiteHosts
from metertwin.fleet.rollout.plan import Outcome, RolloutPlan, RolloutResult
from metertwin.fleet.rollout.postponed import Postponing
from metertwin.fleet.rollout.rehearsal import rehearse_in_both
from metertwin.fleet.runtimes.errors import image_missing
from metertwin.fleet.site_lease import SiteLease, SiteLostError

_ASK_AGAIN_S = 1.0


class NoWayBackError(UnavailableError):
    """A rollout failed and the old host does not answer either."""

    code = "unavailable.old_host"


@dataclass(slots=True)
class Rollout:
    """One rollout at one site.

    Args:
        site: Where the groups run; its recorder has their history.
        mover: Moves the groups.
        lease: Of the site, held for as long as this takes.
        say: Told each step, in a few words.
    """

    site: LocalSite
    mover: GroupMover
    lease: SiteLease
    say: Say
    _begun: list[LotId] = field(default_factory=list)  # with the new host, or on their way
    _chosen: tuple[RolloutHosts, ...] = ()
    _started: list[RolloutHosts] = field(default_factory=list)  # those whose new host was started
    _up: set[str] = field(default_factory=set)  # new hosts that answered

    async def run(self, plan: RolloutPlan) -> RolloutResult:
        """Try the image, and promote it or take it back.

        Raises:
            ImageMissingError: The image is not here.
            SiteLostError: This program stood still, and somebody else went on with the site.
            NoWayBackError: It failed and the old host does not answer; the new one serves on.
            UnavailableError: The bus or a group's home went away in the middle of going back.
        """
        began_s = time.monotonic()
        if not await self.site.containers.runtime.has_image(plan.image):
            facts = await self.site.containers.runtime.facts()
            raise image_missing(plan.image, f"{facts.kind} at {facts.address}")
        result = RolloutResult(plan, Outcome.NOT_BEGUN, "")
        postponing = Postponing(self.mover.cloud, self._hosts.id, plan.postpone_most_s, self.say)
        seed = seed_path(self.site.state.bus_seeds, Role.CLIENT)
        bus = await connect(self.site.settings.bus_url, seed, "rollout")
        try:
            await self._try(plan, bus, postponing, result)
        except SiteLostError:
            raise
        except (MeterTwinError, TimeoutError) as error:
            await self._take_back(result, str(error) or "It took too long.")
        finally:
            await bus.close()
        postponing.end()
        result.postponed = postponing.postponed
        result.took_s = round(time.monotonic() - began_s, 3)
        self.say(f"{result.outcome.replace('_', ' ')}: {result.reason}")
        return result

    @property
    def _hosts(self) -> SiteHosts:
        return SiteHosts(self.site, self.mover, self.say)

    async def _try(
        self, plan: RolloutPlan, bus: Bus, postponing: Postponing, result: RolloutResult
    ) -> None:
        await self.lease.check()
        self._chosen = await self._hosts.choose(plan)
        self._begun = [group for hosts in self._chosen for group in hosts.begun]
        self._started = [hosts for hosts in self._chosen if hosts.begun or hosts.guests]
        await self._rehearse(plan, result)
        await self._start([hosts for hosts in self._chosen if hosts.begun], plan)
        for group in self._begun:  # perhaps given and not taken: who rolled out died in between
            await self.mover.move(group, self._hosts.id, self._of(group).new)
        ending = frozenset(plan.ending_apps)
        watch = Watch(self.site.containers, Customer(bus, ending), ending)
        canary_count = max(1, math.floor(plan.canary_ratio * len(plan.groups)))
        for stage, groups in (
            ("canary", plan.groups[:canary_count]),
            ("rest", plan.groups[canary_count:]),
        ):
            if groups:
                await self._start(list(dict.fromkeys(map(self._of, groups))), plan)
                watch.parts = [self._hosts.part(hosts.new) for hosts in self._started]
                await self._hand_over(groups, watch, postponing, result)
                self.say(f"watching the {stage} for {plan.watch_s:g} s")
                await watch.check_answers(self._begun)
                await watch.look_on(self._begun, plan.watch_s)
                await watch.check_answers(self._begun)
        for hosts in self._chosen:
            await self.lease.check()
            await self._hosts.end_if_idle(hosts.old)
        result.outcome = Outcome.PROMOTED
        first, *others = [hosts.new for hosts in self._chosen]
        more = f" and {len(others)} hosts more" if others else ""
        told = f"{len(self._begun)} groups run from {plan.image} at {first}{more}."
        result.reason = told + postponing.overruled()

    def _of(self, group: LotId) -> RolloutHosts:
        """Return the hosts a group goes between."""
        return next(hosts for hosts in self._chosen if group in hosts.groups)

    async def _rehearse(self, plan: RolloutPlan, result: RolloutResult) -> None:
        # Shares of one group may run from several images, each of which is another comparison.
        images = {
            (group_of(lot), hosts.old_image) for hosts in self._chosen for lot in hosts.groups
        }
        site = self.site.settings
        apps = {each.id: each.apps for each in site.with_apps(site.all_groups)}
        for group, old_image in sorted(images):
            if old_image == plan.image:
                continue  # with other limits or apps: nothing to compare
            for app in apps[group]:
                self.say(f"rehearsing {app.name} over the past of {group} in both images")
                rehearsed = await rehearse_in_both(
                    self.site, group, app.name, old_image, plan.image
                )
                result.rehearsed.append(rehearsed)
        if not result.rehearsed:
            self.say("nothing to rehearse: the image is the same, or there is no app")
            return
        count = sum(each.count for each in result.rehearsed)
        self.say(f"{count} differences in the rehearsal")
        if plan.differences_most_count is not None and count > plan.differences_most_count:
            raise PartError(
                f"The rehearsal shows {count} differences, at most {plan.differences_most_count} "
                "are accepted; look at them, and start again with --differences if they are wanted."
            )

    async def _start(self, chosen: Sequence[RolloutHosts], plan: RolloutPlan) -> None:
        """Start new hosts that are not up, some at once, and wait until they answer."""
        down = [hosts for hosts in chosen if hosts.new not in self._up]
        await some_at_once(partial(self._start_new, plan), down)

    async def _start_new(self, plan: RolloutPlan, hosts: RolloutHosts) -> None:
        await self.lease.check()
        self.say(f"starting {hosts.new} from {plan.image}")
        if hosts not in self._started:
            self._started.append(hosts)
        standing = self.mover.standing
        await start_host(self.site, hosts.new, standing, plan.image, hosts.limits)
        self._up.add(hosts.new)

    async def _hand_over(
        self,
        groups: Sequence[LotId],
        watch: Watch,
        postponing: Postponing,
        result: RolloutResult,
    ) -> None:
        """Hand groups over, each as soon as its apps have nothing against it or had their time."""
        waiting = [group for group in groups if group not in self._begun]
        while waiting:
            for group in list(waiting):
                if await postponing.is_free(group, self._of(group).old):
                    waiting.remove(group)
                    await self._move(group, self._of(group).new, watch, result)
            if waiting:
                began_s = time.monotonic()
                await watch.look_on(self._begun, _ASK_AGAIN_S)  # also while others are waited for
                postponing.waited_s += time.monotonic() - began_s

    async def _move(self, group: LotId, to: str, watch: Watch, result: RolloutResult) -> None:
        await watch.remember(group)
        await self.lease.check()
        self._begun.append(group)  # whatever becomes of it, going back looks at it
        moved = await self.mover.move(group, self._hosts.id, to)
        if moved is not None:
            result.moves.append(moved)

    async def _take_back(self, result: RolloutResult, reason: str) -> None:
        """Give the groups back to the old host, also where the new one answers no more."""
        self.say(f"going back: {reason}")
        result.reason = reason
        for group in self._begun:
            await self.lease.check()
            await self._move_back(group, result)
            result.outcome = Outcome.ROLLED_BACK
        for hosts in self._started:
            await self.lease.check()
            if hosts.guests:  # of an earlier rollout; it may have been ended for the others
                role = role_of(hosts.new, self._hosts.id)
                await self.site.start_role(role, image=result.plan.image, limits=hosts.limits)
            else:
                await self._hosts.end_if_idle(hosts.new)

    async def _move_back(self, group: LotId, result: RolloutResult) -> None:
        site, hosts = self._hosts.id, self._of(group)
        try:
            moved = await self.mover.move(group, site, hosts.old)
        except MeterTwinError as error:
            await self._check_old(group, hosts, error)
            self.say(f"ending {hosts.new}, which does not answer")
            # So that it is surely gone, and gives nothing more.
            await self.site.containers.kill(self._hosts.part(hosts.new))
            self.say(f"giving {group} to {hosts.old}")
            await self.mover.take_from_dead(group, site, hosts.old)
        else:
            if moved is not None:
                result.moves.append(moved)

    async def _check_old(self, group: LotId, hosts: RolloutHosts, failure: MeterTwinError) -> None:
        """Raise unless the old host answers: the new one is not ended for one that is gone."""
        try:
            await self.mover.standing(self._hosts.id, hosts.old)
        except (UnavailableError, DeadlineError) as error:
            raise NoWayBackError(
                f"Group {group} cannot go back to {hosts.old}, which does not answer: "
                f"{failure} {hosts.new} is left as it is; start the rollout again.",
                group=group,
                host=hosts.old,
            ) from error
