"""Carrying out one command at one meter, also one that was begun before a crash."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

import structlog

from metertwin.core.clock import Clock
from metertwin.core.command import Command, CommandOutcome, CommandStatus
from metertwin.core.errors import MeterTwinError
from metertwin.core.ids import MeterId
from metertwin.gateway.backoff import pause_s
from metertwin.gateway.meter import PolledMeter
from metertwin.gateway.metrics import GatewayMetrics
from metertwin.gateway.poll import Poller
from metertwin.meters.errors import AnswerError, EffectError, MeterLinkError
from metertwin.meters.port import Effect

_RETRY_FIRST_S = 0.5
_RETRY_MOST_S = 10.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class CommandExecutor:
    """Brings meters to wanted states.

    Attributes:
        meters: The group's meters.
        clock: The meters' time.
        poller: Reads what a command changed.
        random: Spreads the retries.
    """

    meters: Mapping[MeterId, PolledMeter]
    clock: Clock
    poller: Poller
    metrics: GatewayMetrics
    random: Random

    async def carry_out(self, command: Command, meter: PolledMeter) -> CommandOutcome:
        """Try until the command is effected, refused by the meter, or expired."""
        failures_count = 0
        reason = "its time was over"
        while self.clock.now() < command.expires_at:
            try:
                return self.answer(command, CommandStatus.EFFECTED, await self._act(command, meter))
            except (EffectError, AnswerError) as error:
                return self.answer(command, CommandStatus.FAILED, str(error))
            except MeterLinkError as error:
                failures_count += 1
                reason = str(error)
            except MeterTwinError as error:
                return self.answer(command, CommandStatus.FAILED, str(error))
            await self._pause(command, failures_count)
        return self.expired(command, reason)

    async def resume(
        self, command: Command, meter: PolledMeter, *, may_act: bool
    ) -> CommandOutcome:
        """Go on with a command that was begun before a crash: look before anything else.

        Args:
            command: The command.
            meter: Its meter.
            may_act: Whether it may still be carried out where it shows no effect.
        """
        try:
            async with meter.in_turn(self.metrics):
                is_so = await meter.link.is_so(command.kind, command.arguments, self.clock.now())
        except MeterTwinError as error:
            if may_act and self.clock.now() < command.expires_at:
                return await self.carry_out(command, meter)
            reason = f"it was begun before a restart and its effect is not known: {error}"
            return self.answer(command, CommandStatus.FAILED, reason)
        if is_so:
            await self._show(meter)
            return self.answer(
                command, CommandStatus.EFFECTED, "found so at the meter after a restart"
            )
        if may_act:
            return await self.carry_out(command, meter)
        reason = "it was begun before a restart, shows no effect, and may be begun no more"
        return self.answer(command, CommandStatus.FAILED, reason)

    def expired(self, command: Command, reason: str) -> CommandOutcome:
        """Return the outcome of a command whose time is over."""
        return self.answer(
            command,
            CommandStatus.EXPIRED,
            f"It expired at {command.expires_at.isoformat()}; {reason}",
        )

    def answer(self, command: Command, status: CommandStatus, reason: str) -> CommandOutcome:
        """Return an outcome of now."""
        return CommandOutcome(command.id, command.meter, status, self.clock.now(), reason)

    async def _act(self, command: Command, meter: PolledMeter) -> str:
        async with meter.in_turn(self.metrics):
            now = self.clock.now()
            if now >= command.expires_at:
                raise MeterLinkError(f"meter {command.meter} was busy until then")
            effect = await meter.link.execute(command.kind, command.arguments, now)
        await self._show(meter)
        return _told(effect)

    async def _show(self, meter: PolledMeter) -> None:
        """Read the meter, so that its twin sees the effect now and not at the next poll."""
        try:
            await self.poller.read_moment(meter)
        except MeterLinkError as error:
            log.warning("effect_not_read", meter=meter.meter, reason=str(error))

    async def _pause(self, command: Command, failures_count: int) -> None:
        left_s = (command.expires_at - self.clock.now()).total_seconds() / self.clock.speed_ratio
        longest_s = pause_s(failures_count, _RETRY_FIRST_S, _RETRY_MOST_S, self.random)
        await asyncio.sleep(max(min(longest_s, left_s), 0.0))


def _told(effect: Effect) -> str:
    parts = ["the meter was in this state already"] if effect.was_so_before else []
    return "; ".join([*parts, *([effect.detail] if effect.detail else [])])
