"""Apps that ask a rollout to wait: asked before each hand-over, waited for, and not for ever.

An app has the time it asked for when it first said "not now", the rollout has a time of its own for
all of them, and whichever ends first counts. A host that cannot say what its apps think has nothing
against it: an older image does not know the question, and whether a host answers at all the
hand-over finds out.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from metertwin.bus.connection import Bus
from metertwin.bus.messages import Request
from metertwin.bus.requests import UnknownRequestError, ask
from metertwin.bus.subjects import of_host
from metertwin.core.errors import MeterTwinError
from metertwin.core.ids import LotId, SiteId
from metertwin.fleet.moves.migration import Say
from metertwin.twins.apps.objections import Objection, Objections

POSTPONE_MOST_S = 900.0
_ASK_WITHIN_S = 2.0


class PostponedUntil(StrEnum):
    """Why a rollout waits for an app no longer."""

    DONE = "done"  # the app has nothing against it any more
    ITS_LIMIT = "its_limit"  # the time that the app asked for is over
    ROLLOUTS_LIMIT = "rollouts_limit"  # the rollout does not wait any longer for anybody
    ROLLOUTS_END = "rollouts_end"  # the rollout ended meanwhile


class Postponement(msgspec.Struct):
    """An app that said "not now".

    Attributes:
        reason: What it was in the middle of, as it said last.
        limit_s: How long it asked for when it first said so, in s.
        waited_s: From then on until it was waited for no longer, in s.
        until: Why it is waited for no longer; None while it is.
    """

    group: LotId
    app: str
    reason: str
    limit_s: float
    waited_s: float = 0.0
    until: PostponedUntil | None = None


@dataclass(slots=True)
class Postponing:
    """Asks apps and knows how long each is waited for.

    Args:
        bus: A connection of the fleet role to the cloud's bus.
        site: Where the hosts are.
        most_s: How long the rollout waits for all of them, in s.
        say: Told who is waited for and why.

    Attributes:
        postponed: Each app that ever said "not now", in that order.
        waited_s: How long the rollout waited so far, in s; the waiting adds to it.
    """

    bus: Bus
    site: SiteId
    most_s: float
    say: Say
    postponed: list[Postponement] = field(default_factory=list)
    waited_s: float = 0.0
    _first_s: dict[tuple[LotId, str], float] = field(default_factory=dict)
    _warned: set[str] = field(default_factory=set)

    async def is_free(self, group: LotId, host: str) -> bool:
        """Whether nobody is waited for before the host that owns a group hands it over."""
        told = await self._ask(group, host)
        for fault in told.faults:
            self._warn(f"{fault} (group {group}; it counts as nothing against it)")
        objecting = {objection.app for objection in told.objections}
        for each in self._of(group):
            if each.until is None and each.app not in objecting:
                self._end(each, PostponedUntil.DONE)
        waits = [self._is_waited_for(group, objection) for objection in told.objections]
        return not any(waits)

    def end(self) -> None:
        """Wait for nobody any more: the rollout ended."""
        for each in self.postponed:
            if each.until is None:
                self._end(each, PostponedUntil.ROLLOUTS_END)

    def overruled(self) -> str:
        """Return a sentence about the apps that still said "not now"; empty when none did."""
        over = (PostponedUntil.ITS_LIMIT, PostponedUntil.ROLLOUTS_LIMIT)
        told = [
            f"{each.app} of {each.group} after {each.waited_s:.0f} s"
            for each in self.postponed
            if each.until in over
        ]
        return f" Still saying not now were {', '.join(told)}." if told else ""

    def _is_waited_for(self, group: LotId, objection: Objection) -> bool:
        known = next((each for each in self._of(group) if each.app == objection.app), None)
        if known is None:
            known = Postponement(group, objection.app, objection.reason, objection.for_s)
            self.postponed.append(known)
            self._first_s[group, objection.app] = time.monotonic()
            left_s = min(known.limit_s, max(self.most_s - self.waited_s, 0.0))
            self.say(f"{known.app} of {group} says not now: {known.reason}; {left_s:.0f} s at most")
        known.reason = objection.reason
        if known.until in {PostponedUntil.ITS_LIMIT, PostponedUntil.ROLLOUTS_LIMIT}:
            return False
        known.until = None  # it may have been done in between, while another one was not
        if self._since_first_s(known) >= known.limit_s:
            self._end(known, PostponedUntil.ITS_LIMIT)
        elif self.waited_s >= self.most_s:
            self._end(known, PostponedUntil.ROLLOUTS_LIMIT)
        return known.until is None

    def _end(self, each: Postponement, until: PostponedUntil) -> None:
        each.until, each.waited_s = until, round(self._since_first_s(each), 3)
        self.say(f"{each.app} of {each.group} is waited for no longer: {until.replace('_', ' ')}")

    def _since_first_s(self, each: Postponement) -> float:
        return time.monotonic() - self._first_s[each.group, each.app]

    def _of(self, group: LotId) -> Sequence[Postponement]:
        return [each for each in self.postponed if each.group == group]

    async def _ask(self, group: LotId, host: str) -> Objections:
        request = Request("objections", {"group": group})
        try:
            return await ask(self.bus, of_host(self.site, host), request, _ASK_WITHIN_S, Objections)
        except MeterTwinError as error:
            if error.code != UnknownRequestError.code:  # an older image does not know the question
                self._warn(f"{host} does not say what apps of {group} think: {error}")
        return Objections()

    def _warn(self, what: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            self.say(f"warning: {what}")
