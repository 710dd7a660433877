"""Carrying one step out, with the hand-over and the rollout that people's own commands use."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from metertwin.core.errors import ConflictError, DeadlineError, UnavailableError
from metertwin.core.ids import SiteId
from metertwin.fleet.control.cut_otherwise import cut_otherwise
from metertwin.fleet.control.desired import DesiredFleet, with_desired_apps
from metertwin.fleet.control.reach import Reach
from metertwin.fleet.control.seen import SeenFleet
from metertwin.fleet.control.start_anew import start_anew
from metertwin.fleet.control.steps import End, Finish, Move, Recut, RollOut, Start, StartAnew, Step
from metertwin.fleet.hosts import role_of, site_of
from metertwin.fleet.moves.starting import start_host
from metertwin.fleet.rollout.plan import Outcome, RolloutPlan
from metertwin.fleet.rollout.rollout import Rollout
from metertwin.fleet.site import save_site
from metertwin.fleet.site_lease import SiteLease, site_held


class StepRefusedError(ConflictError):
    """A step was tried and does not work; trying again would end in the same."""

    code = "conflict.step_refused"


@dataclass(frozen=True, slots=True)
class CarryOut:
    """Carries steps out.

    Attributes:
        reach: The fleet.
        term_s: How long the sites' leases are held without a sign of life, in s.
    """

    reach: Reach
    term_s: float

    async def carry_out(self, step: Step, desired: DesiredFleet, seen: SeenFleet) -> None:
        """Carry a step out; done already, it does nothing.

        Raises:
            SiteBusyError: Somebody rolls something out there by hand.
            StepRefusedError: A rollout was not begun or taken back, or a part put back; its reason
                is the sentence.
            NotMovableError: A group cannot go there.
            NotCuttableError: A group cannot be cut so.
            ImageMissingError: The image is not here.
            UnavailableError: A part does not answer; it can be tried again.
        """
        async with contextlib.AsyncExitStack() as stack:
            leases = {
                site: await stack.enter_async_context(
                    site_held(self.reach.cloud, site, step.sentence, self.reach.say, self.term_s)
                )
                for site in sorted(self._sites_of(step))
            }
            await self._carry_out(step, leases, desired, seen)

    def _sites_of(self, step: Step) -> set[SiteId]:
        """Return the sites whose hosts a step changes."""
        match step:
            case Move():
                source = site_of(step.source, self.reach.known.sites)
                return {step.to} | ({source} if source is not None else set())
            case Finish():
                return set()  # the hosts do the same by themselves, some seconds later
            case Recut():
                return {self.reach.known.home_of[step.group], self.reach.known.cloud}
            case _:
                return {step.site}

    async def _carry_out(
        self,
        step: Step,
        leases: Mapping[SiteId, SiteLease],
        desired: DesiredFleet,
        seen: SeenFleet,
    ) -> None:
        match step:
            case Start():
                site = self.reach.local(step.site)
                await start_host(site, step.host, self.reach.standing, step.image, step.limits)
            case StartAnew():
                if reason := await start_anew(self.reach, step, desired.rollout.watch_s):
                    raise StepRefusedError(f"put back: {reason}")
            case Move():
                await self.reach.move(step.group, step.to, step.host)
            case Finish():
                mover = self.reach.mover(step.group)
                await mover.finish(step.group, step.host, step.left_at)
            case RollOut():
                await self._roll_out(step, leases[step.site], desired, seen)
            case Recut():
                await cut_otherwise(self.reach, step, seen)
            case End():
                await self._end(step)

    async def _roll_out(
        self, step: RollOut, lease: SiteLease, desired: DesiredFleet, seen: SeenFleet
    ) -> None:
        # Other apps are tried as another image is: what the site is started with changes after it.
        own = {group: desired.groups[group] for group in step.groups if group in desired.groups}
        tried = msgspec.structs.replace(desired, groups=own)
        site = self.reach.local(step.site)
        site.settings = with_desired_apps(site.settings, tried)
        wanted = desired.rollout
        plan = RolloutPlan(
            groups=step.groups,
            image=step.image,
            canary_ratio=wanted.canary_ratio,
            watch_s=wanted.watch_s,
            differences_most_count=None if wanted.differences == "any" else wanted.differences,
            limits=step.limits,
            ending_apps=_ending(step, desired, seen),
            postpone_most_s=wanted.postpone_most_s,
        )
        result = await Rollout(site, self.reach, lease, self.reach.say).run(plan)
        if result.outcome is not Outcome.PROMOTED:
            raise StepRefusedError(f"{result.outcome.replace('_', ' ')}: {result.reason}")
        self._keep_apps(tried)

    async def _end(self, step: End) -> None:
        with contextlib.suppress(UnavailableError, DeadlineError):
            if (await self.reach.standing(step.site, step.host)).owned:
                return  # somebody gave it a group meanwhile
        await self.reach.local(step.site).end_twin_host(role_of(step.host, step.site))

    def _keep_apps(self, tried: DesiredFleet) -> None:
        """Write apps that proved well into the settings that hosts are started with from now on."""
        for name in self.reach.known.sites:
            site = self.reach.local(name)
            settings = with_desired_apps(site.settings, tried)
            if settings != site.settings:
                save_site(site.state.site_file, settings)


def _ending(step: RollOut, desired: DesiredFleet, seen: SeenFleet) -> tuple[str, ...]:
    ending: set[str] = set()
    for group in step.groups:
        wanted = {app.name for app in desired.groups[group].apps}
        if wanted:
            ending |= {app.name for app in seen.groups[group].apps or ()} - wanted
    return tuple(sorted(ending))
