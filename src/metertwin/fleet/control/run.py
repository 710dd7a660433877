"""A controller at work: one pass, until all is as it is wanted, or for as long as it runs."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from metertwin.core.errors import DeadlineError, MeterTwinError, NotFoundError
from metertwin.fleet.control.controller import Controller, Round
from metertwin.fleet.control.reach import reach_of
from metertwin.fleet.control.store import FleetStore
from metertwin.fleet.lease import Lease
from metertwin.fleet.moves.migration import Say
from metertwin.fleet.site_lease import own_name

TERM_S = 10.0
_LOOK_EVERY_S = 1.0
_WAIT_S = 0.25


class NothingAppliedError(NotFoundError):
    """No fleet file was applied."""

    code = "not_found.fleet_file"


@dataclass(slots=True)
class Work:
    """What a controller does from its start to its end.

    Args:
        controller: It.
        say: Told what keeps it waiting.
        stop: Set when it shall end.
    """

    controller: Controller
    say: Say
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    _said: str = ""

    async def once(self) -> Round:
        """Try each step that is lacking once, without waiting for anything but the lease.

        Raises:
            NothingAppliedError: There is nothing to bring about.
            DeadlineError: Another controller acts.
        """
        await self._until_leading()
        tried: set[str] = set()
        while True:
            found = await self.controller.round()
            if found.revision == 0:
                raise _nothing()
            if found.did is None or found.did.key in tried:
                return found
            tried.add(found.did.key)

    async def until_reached(self, within_s: float) -> Round:
        """Go on until all is as it is wanted, or nothing more can be done; also as a bystander.

        Raises:
            NothingAppliedError: There is nothing to bring about.
            DeadlineError: It was not so in time; the sentence says what is lacking.
        """
        end_s = time.monotonic() + within_s
        while True:
            found = await self.controller.round()
            if found.revision == 0:
                raise _nothing()
            if found.is_reached or found.is_stuck or self.stop.is_set():
                return found
            if time.monotonic() > end_s:
                lacking = "; ".join(
                    [*(step.sentence for step in found.left), *found.troubles.values()]
                )
                raise DeadlineError(f"Not reached within {within_s:g} s: {lacking}.")
            if found.did is None:
                self._say_waiting(found)
                await self._pause(_WAIT_S)

    async def for_ever(self) -> None:
        """Look every second, and mend what is otherwise, until told to end."""
        while not self.stop.is_set():
            try:
                found = await self.controller.round()
            except MeterTwinError as error:
                self._say_once(f"waiting: {error}")
                await self._pause(_LOOK_EVERY_S)
                continue
            if found.did is None:
                self._say_standing(found)
                await self._pause(_LOOK_EVERY_S if found.is_leader else _WAIT_S)

    async def _until_leading(self) -> None:
        lease = self.controller.lease
        end_s = time.monotonic() + lease.term_s + _LOOK_EVERY_S
        while not lease.is_held:
            if time.monotonic() > end_s:
                raise DeadlineError(
                    f"Controller {lease.leader} acts; it brings about what was applied. Look at "
                    "`metertwin status`."
                )
            await asyncio.sleep(_WAIT_S)

    def _say_standing(self, found: Round) -> None:
        if found.is_leader and found.is_reached:
            self._say_once(f"all is as revision {found.revision} wants it")
        elif found.is_leader and not found.revision:
            self._say_once("waiting: no fleet file was applied yet")
        else:
            self._say_waiting(found)

    def _say_waiting(self, found: Round) -> None:
        if not found.is_leader:
            self._say_once(f"{self.controller.lease.leader or 'nobody yet'} leads; waiting")
        elif found.troubles:
            self._say_once(f"waiting: {'; '.join(found.troubles.values())}")

    def _say_once(self, what: str) -> None:
        if what != self._said:
            self._said = what
            self.say(what)

    async def _pause(self, pause_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self.stop.wait()


@contextlib.asynccontextmanager
async def controller_of(root: Path, say: Say, term_s: float = TERM_S) -> AsyncIterator[Work]:
    """Reach a fleet and take part in the lease.

    Args:
        root: State directory of the cloud, or the only site.
        say: Told each step.
        term_s: After so many seconds without a sign of life another controller takes over.

    Raises:
        NotRunningError: Nothing was started there.
        UnavailableError: Its bus is not there.
        EngineUnavailableError: The engine it runs in does not answer.
    """
    async with reach_of(root, say) as reach:
        lease = Lease(reach.cloud, own_name(), term_s, time.monotonic)
        await lease.renew()
        async with lease.kept():
            yield Work(Controller(reach, FleetStore(reach.cloud), lease), say)


def _nothing() -> NothingAppliedError:
    return NothingAppliedError("No fleet file was applied here; give one with -f.")
