"""Looking at what is and at what is wanted, and doing the first thing that is lacking; again."""

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from metertwin.core.errors import InvalidInputError, MeterTwinError
from metertwin.core.ids import LotId
from metertwin.fleet.control.carry_out import CarryOut, StepRefusedError
from metertwin.fleet.control.desired import DesiredFleet, desired_of
from metertwin.fleet.control.differ import steps_to, unknown_in
from metertwin.fleet.control.reach import Reach
from metertwin.fleet.control.seen import SeenFleet, look
from metertwin.fleet.control.steps import Step
from metertwin.fleet.control.store import Applied, FleetStore, Report
from metertwin.fleet.document import parse_fleet
from metertwin.fleet.lease import Lease
from metertwin.fleet.moves.migration import NotMovableError
from metertwin.fleet.moves.recut import NotCuttableError
from metertwin.fleet.runtimes.errors import ImageMissingError

_FOR_GOOD = (
    StepRefusedError,
    NotMovableError,
    NotCuttableError,
    ImageMissingError,
    InvalidInputError,
)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_VAIN_MOST_COUNT = 3


class Round(msgspec.Struct, frozen=True):
    """What one look found, and what was done.

    Attributes:
        revision: Of the file; 0 where none was applied.
        did: The step that was carried out, or tried.
        left: Steps that are lacking, those that wait or were refused included.
        refused: Why steps are not tried again under this revision.
        troubles: Why steps, and what could not be looked at, wait.
        is_leader: Whether this controller acts.
    """

    revision: int
    did: Step | None = None
    left: tuple[Step, ...] = ()
    refused: dict[str, str] = {}
    troubles: dict[str, str] = {}
    is_leader: bool = False

    @property
    def is_reached(self) -> bool:
        """Whether all is as it is wanted."""
        return not self.left and not self.troubles and bool(self.revision)

    @property
    def is_stuck(self) -> bool:
        """Whether all that is lacking was refused."""
        return bool(self.left) and all(step.key in self.refused for step in self.left)


@dataclass(slots=True)
class Controller:
    """Brings a fleet to what is wanted of it, one step at a time.

    Args:
        reach: The fleet.
        store: Its bucket.
        lease: Whether this controller acts.
    """

    reach: Reach
    store: FleetStore
    lease: Lease
    _revision: int = 0
    _done: Counter[str] = field(default_factory=Counter)
    _failed: Counter[str] = field(default_factory=Counter)
    _waits_until_s: dict[str, float] = field(default_factory=dict)
    _troubles: dict[str, str] = field(default_factory=dict)
    _told: Report | None = None

    async def round(self) -> Round:
        """Look, and carry out the first step that is due.

        Raises:
            UnavailableError: The bus or the runtime does not answer.
            FleetFileError: What was applied does not fit what there is any more.
        """
        applied = await self.store.applied()
        if applied is None:
            return Round(0, is_leader=self.lease.is_held)
        if applied.revision != self._revision:
            self._begin(applied)
        self.reach.refresh()
        desired = self._desired(applied)
        seen = await look(self.reach)
        steps, unknown = steps_to(desired, seen), unknown_in(seen)
        refused = await self._refused()
        due = next((step for step in steps if self._is_due(step, refused)), None)
        self._forget(steps)
        if due is not None and self.lease.is_held:
            await self._carry_out(due, desired, seen, refused)
        else:
            due = None
        result = self._result(due, steps, unknown, refused)
        await self._tell(self._report(result))
        return result

    def _begin(self, applied: Applied) -> None:
        self._revision = applied.revision
        for memory in (self._done, self._failed, self._waits_until_s, self._troubles):
            memory.clear()

    def _desired(self, applied: Applied) -> DesiredFleet:
        known = self.reach.lasting
        return desired_of(parse_fleet(applied.desired.text, applied.desired.where, known), known)

    def _is_due(self, step: Step, refused: dict[str, str]) -> bool:
        is_early = time.monotonic() < self._waits_until_s.get(step.key, 0.0)
        return step.key not in refused and not is_early

    def _forget(self, steps: tuple[Step, ...]) -> None:
        """Forget what is lacking no more: a drift later on is another matter."""
        keys = {step.key for step in steps}
        for memory in (self._done, self._failed, self._waits_until_s, self._troubles):
            for key in [key for key in memory if key not in keys]:
                del memory[key]

    async def _carry_out(
        self, step: Step, desired: DesiredFleet, seen: SeenFleet, refused: dict[str, str]
    ) -> None:
        self.reach.say(step.sentence)
        await self._tell(
            Report(
                controller=self.lease.name,
                revision=self._revision,
                doing=step.sentence,
                since=datetime.now(UTC),
                refused=refused,
                troubles=dict(self._troubles),
            )
        )
        try:
            await CarryOut(self.reach, self.lease.term_s).carry_out(step, desired, seen)
        except _FOR_GOOD as error:
            refused[step.key] = str(error)
            self.reach.say(f"refused: {error}")
        except (MeterTwinError, TimeoutError) as error:
            self._put_off(step, str(error) or "It took too long.")
        else:
            self._troubles.pop(step.key, None)
            self._done[step.key] += 1
            if self._done[step.key] >= _VAIN_MOST_COUNT:
                refused[step.key] = (
                    f"It was done {_VAIN_MOST_COUNT} times and is lacking still; look at the logs."
                )

    def _put_off(self, step: Step, reason: str) -> None:
        self._failed[step.key] += 1
        pause_s = min(_FIRST_PAUSE_S * 2 ** (self._failed[step.key] - 1), _LONGEST_PAUSE_S)
        self._waits_until_s[step.key] = time.monotonic() + pause_s
        self._troubles[step.key] = reason
        self.reach.say(f"tried again in {pause_s:g} s: {reason}")

    def _result(
        self,
        did: Step | None,
        steps: tuple[Step, ...],
        unknown: dict[LotId, str],
        refused: dict[str, str],
    ) -> Round:
        return Round(
            revision=self._revision,
            did=did,
            left=steps,
            refused=refused,
            troubles=self._troubles | {str(group): why for group, why in unknown.items()},
            is_leader=self.lease.is_held,
        )

    async def _refused(self) -> dict[str, str]:
        """Return what was refused under this revision, also by a controller before this one."""
        report = await self.store.report()
        if report is None or report.revision != self._revision:
            return {}
        return dict(report.refused)

    def _report(self, result: Round) -> Report:
        return Report(
            controller=self.lease.name,
            revision=self._revision,
            refused=result.refused,
            troubles=result.troubles,
            is_reached=result.is_reached,
        )

    async def _tell(self, report: Report) -> None:
        if self.lease.is_held and report != self._told:
            await self.store.tell(report)
            self._told = report
