"""Carrying out what apps returned: outputs and events onto the bus, proposals to the desk."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from metertwin.apps.app import GrantError, Proposal
from metertwin.bus.ownership import SupersededError
from metertwin.core.clock import Clock
from metertwin.core.command import Command, CommandOutcome
from metertwin.core.errors import MeterTwinError, UnavailableError
from metertwin.core.event import Event
from metertwin.twins.apps.effects import Effects, command_of, refusal
from metertwin.twins.apps.host import AppHost
from metertwin.twins.apps.hosted_app import HostedApp
from metertwin.twins.outbox import BusOutbox

log = structlog.get_logger(__name__)

Accept = Callable[[Command], Awaitable[CommandOutcome]]


class CarryOut:
    """Carries out the effects of one group's apps, in their order.

    Args:
        apps: The apps; what is carried out is taken off their effects.
        outbox: Where outputs and events go.
        accept: Gives a command to the group's desk.
        clock: The meters' time.
    """

    def __init__(self, apps: AppHost, outbox: BusOutbox, accept: Accept, clock: Clock) -> None:
        self._apps = apps
        self._outbox = outbox
        self._accept = accept
        self._clock = clock
        self._turn = asyncio.Lock()

    async def carry_out(self) -> None:
        """Carry out what there is; returns when the bus has stored it.

        What cannot be done now because the bus or the checkpoint is away stays for the next time.
        """
        async with self._turn:
            while self._apps.effects:
                effects = self._apps.effects[0]
                try:
                    await self._carry_one(effects)
                except (UnavailableError, SupersededError) as error:
                    log.warning("app_effects_wait", app=effects.app, reason=str(error))
                    return
                if self._apps.effects:  # another host may have taken the group meanwhile
                    del self._apps.effects[0]
                self._apps.has_news = True

    async def _carry_one(self, effects: Effects) -> None:
        hosted = next((each for each in self._apps.apps if each.name == effects.app), None)
        for output in effects.outputs:
            await self._tell(effects.app, self._outbox.send_output(output))
        for event in effects.events:
            await self._tell(effects.app, self._outbox.send_event(event))
        for proposal in effects.proposals:
            if refused := await self._propose(hosted, effects, proposal):
                await self._tell(effects.app, self._outbox.send_event(refused))
        await self._outbox.flush()

    async def _tell(self, app: str, sending: Awaitable[None]) -> None:
        try:
            await sending
        except UnavailableError:
            raise
        except MeterTwinError as error:  # too large for a message: no second try can help
            log.exception("app_effect_lost", app=app, reason=str(error))

    async def _propose(
        self, hosted: HostedApp | None, effects: Effects, proposal: Proposal
    ) -> Event | None:
        """Give a proposal to the desk; return the event that says why not."""
        app, now = effects.app, self._clock.now()
        if proposal.expires_at <= now:
            # Nobody was promised it; an answer would speak against the one of an earlier time.
            log.warning("app_proposal_expired", app=app, proposal=proposal.id)
            return None
        try:
            _check_granted(hosted, app, proposal)
            await self._accept(command_of(self._outbox.group, app, proposal, now))
        except (UnavailableError, SupersededError):
            raise
        except MeterTwinError as error:
            if hosted is not None:
                hosted.tally.refused_count += 1
            log.warning("app_proposal_refused", app=app, proposal=proposal.id, reason=str(error))
            return refusal(effects, proposal, str(error))
        return None


def _check_granted(hosted: HostedApp | None, app: str, proposal: Proposal) -> None:
    asked_for = hosted.info.grants if hosted is not None and hosted.info is not None else ()
    granted = hosted.grant.grants if hosted is not None else ()
    if proposal.kind not in asked_for or proposal.kind not in granted:
        raise GrantError(
            f"App {app} proposed to {proposal.kind} meter {proposal.meter} ({proposal.reason}); it "
            f"asked for {', '.join(sorted(asked_for)) or 'no commands'} and was granted "
            f"{', '.join(sorted(granted)) or 'none'}.",
            app=app,
            meter=proposal.meter,
        )
