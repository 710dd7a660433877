"""Polls all meters of a group for ever, so that one bad meter costs the others nothing.

There are two lanes. A meter that answered well when last asked is read in the wide one; one that
failed or was slow waits for others of its kind in the narrow one. So a street of dead meters holds
up dead meters. A meter that fails is tried again after a growing pause until it answers; its slots
meanwhile are missed, and what they would have brought is fetched from its load profile.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import structlog

from metertwin.bus.ending import end_if_told
from metertwin.core.clock import Clock
from metertwin.core.errors import MeterTwinError
from metertwin.gateway.backoff import pause_s
from metertwin.gateway.config import PollSettings
from metertwin.gateway.events import METER_ANSWERING, METER_SILENT, EventOutbox
from metertwin.gateway.flush import Flusher
from metertwin.gateway.meter import PolledMeter
from metertwin.gateway.metrics import GatewayMetrics
from metertwin.gateway.poll import Poller
from metertwin.gateway.schedule import Schedule
from metertwin.meters.errors import LinkBrokenError, MeterLinkError, MeterSilentError

# The clock may be moved or run at any speed, so it is looked at this often at least.
_LONGEST_NAP_S = 0.25
_SHORTEST_NAP_S = 0.001

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class PollEngine:
    """Runs the polls of a group.

    Attributes:
        random: Spreads the retries.
    """

    meters: Sequence[PolledMeter]
    settings: PollSettings
    clock: Clock
    poller: Poller
    flusher: Flusher
    events: EventOutbox
    metrics: GatewayMetrics
    random: Random
    _polls: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        """Poll for ever; cancelling it ends the polls under way."""
        wide = asyncio.Semaphore(self.settings.concurrency_count)
        narrow = asyncio.Semaphore(self.settings.doubtful_concurrency_count)
        schedule = Schedule(len(self.meters), self.settings.period_s, self._now_s())
        try:
            while True:
                await self.flusher.wait_for_room()
                due, missed_count = schedule.take_due(self._now_s())
                self.metrics.missed_slots_count += missed_count
                for row in due:
                    self._begin(self.meters[row], wide, narrow)
                await asyncio.sleep(self._nap_s(schedule))
        finally:
            for poll in self._polls:
                poll.cancel()
            await asyncio.gather(*self._polls, return_exceptions=True)

    def _begin(
        self, meter: PolledMeter, wide: asyncio.Semaphore, narrow: asyncio.Semaphore
    ) -> None:
        if meter.is_busy:
            self.metrics.missed_slots_count += 1
            return
        meter.is_busy = True
        poll = asyncio.create_task(self._poll_until_answered(meter, wide, narrow))
        self._polls.add(poll)
        poll.add_done_callback(self._polls.discard)

    async def _poll_until_answered(
        self, meter: PolledMeter, wide: asyncio.Semaphore, narrow: asyncio.Semaphore
    ) -> None:
        try:
            while True:
                end_if_told()
                async with narrow if meter.is_doubtful else wide:
                    failure = await self._try(meter)
                if failure is None:
                    break
                await self._note_failure(meter, failure)
                await asyncio.sleep(
                    pause_s(
                        meter.failures_count,
                        self.settings.retry_first_s,
                        self.settings.retry_most_s,
                        self.random,
                    )
                )
            await self._note_success(meter)
        finally:
            meter.is_busy = False

    async def _try(self, meter: PolledMeter) -> Exception | None:
        """Poll once, and once more at once where only the kept connection had died."""
        was_open = meter.link.is_open
        failure = await self._poll(meter)
        if was_open and isinstance(failure, LinkBrokenError):
            failure = await self._poll(meter)
        return failure

    async def _poll(self, meter: PolledMeter) -> Exception | None:
        try:
            async with asyncio.timeout(self.settings.poll_timeout_s) as limit:
                await self.poller.poll(meter)
        except TimeoutError:
            if not limit.expired():
                raise
            return MeterSilentError(
                f"Meter {meter.meter} answers, but was not read within "
                f"{self.settings.poll_timeout_s:g} s.",
                meter=meter.meter,
            )
        except MeterTwinError as error:
            return error
        except Exception as error:  # a fault of ours on one meter must not stop the others
            log.exception("poll_fault", meter=meter.meter)
            return error
        return None

    async def _note_failure(self, meter: PolledMeter, failure: Exception) -> None:
        kind = failure.kind if isinstance(failure, MeterLinkError) else "fault"
        self.metrics.failures_count[kind] += 1
        meter.is_doubtful = True
        meter.failures_count += 1
        if meter.failures_count == 1:
            log.warning("meter_failed", meter=meter.meter, kind=kind, reason=str(failure))
        if (
            meter.failures_count == self.settings.silent_after_count
            and not meter.progress.is_silent
        ):
            meter.progress.is_silent = True
            await self.events.own(meter.meter, METER_SILENT, str(failure))

    async def _note_success(self, meter: PolledMeter) -> None:
        if meter.progress.is_silent:
            meter.progress.is_silent = False
            await self.events.own(
                meter.meter, METER_ANSWERING, f"after {meter.failures_count} failed tries"
            )
        meter.failures_count = 0

    def _nap_s(self, schedule: Schedule) -> float:
        due_s = schedule.next_due_s()
        if due_s is None:
            return _LONGEST_NAP_S
        away_s = (due_s - self._now_s()) / self.clock.speed_ratio
        return min(max(away_s, _SHORTEST_NAP_S), _LONGEST_NAP_S)

    def _now_s(self) -> float:
        return self.clock.now().timestamp()
