"""Takes what is wanted of a meter to its owner, at once or, as a wish, when the owner is back.

Everything wanted here of another site's meter goes this one way, in order: while wishes of a meter
wait, what is wanted after them waits with them, or an older one could overtake a newer one. A
change has an id from the first moment, so it does not matter when its answer is lost and it is kept
and handed over as well: the owner takes it once.
"""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
import structlog

from metertwin.bus.connection import Bus
from metertwin.bus.ending import is_ending
from metertwin.bus.messages import Request
from metertwin.bus.requests import NobodyAnswersError, NotInTimeError, ask
from metertwin.bus.subjects import Kind, subject
from metertwin.core.clock import Clock
from metertwin.core.errors import MeterTwinError, UnavailableError
from metertwin.core.ids import GroupId, SiteId
from metertwin.twins.desired import Ask, Desired, Value
from metertwin.twins.known_desired import KnownDesired, Place
from metertwin.twins.merging import Wish
from metertwin.twins.site_watch import SiteStanding, SiteWatch
from metertwin.twins.wishes import WishStore

_LOOK_S = 0.1
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_MERGE_WITHIN_S = 5.0
_OWNER_WITHIN_S = 2.0
_OWNER_SHARE = 0.5  # of the caller's time, so that enough is left to keep the wish
_CATCHING_UP = GroupId("")  # pauses in the place of a group

log = structlog.get_logger(__name__)


class DesiredAnswer(msgspec.Struct, frozen=True):
    """What is wanted of a meter.

    Attributes:
        version: Of the owner's state; the last known one while the owner cannot be reached.
        desired: Wanted value by path, as the owner has it or had it.
        kept: Wishes that are kept here and not yet at the owner; null to want nothing.
        note: Why they are kept, in a sentence.
    """

    version: int
    desired: dict[str, Value]
    kept: dict[str, Value | None] = {}
    note: str = ""


class _Pause(NamedTuple):
    length_s: float
    until_s: float  # by the event loop's clock


@dataclass(slots=True)
class WishCourier:
    """Between the asker here and the owners there.

    Args:
        here: A connection to the hub.
        watch: Whether the other site can be reached.
        known: What it last wanted.
        wishes: What waits.
        clock: The clock here.
        origin: The site here.
    """

    here: Bus
    watch: SiteWatch
    known: KnownDesired
    wishes: WishStore
    clock: Clock
    origin: SiteId
    _pauses: dict[GroupId | Place, _Pause] = field(default_factory=dict)
    _asking: defaultdict[Place, asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock)
    )

    async def want(
        self,
        place: Place,
        changes: Mapping[str, Value | None],
        by: str,
        identity: str,
        deadline_s: float,
    ) -> DesiredAnswer:
        """Change what is wanted of a meter, now or as wishes.

        Args:
            place: Group and meter.
            changes: Checked ones.
            by: Who asks.
            identity: Of the change; empty for a new one.
            deadline_s: What the caller still has, in s.

        Raises:
            MeterTwinError: What the owner answered instead; nothing is kept then.
            UnavailableError: The owner is away and the bus here does not answer either.
        """
        made = Ask(by, self.clock.now(), identity or uuid.uuid4().hex, self.origin)
        async with self._asking[place]:
            if not self.wishes.of(place) and self.watch.is_reached:
                within_s = min(_OWNER_WITHIN_S, _OWNER_SHARE * deadline_s)
                try:
                    return await self._ask_owner(place, changes, made, within_s)
                except (NobodyAnswersError, NotInTimeError) as error:
                    log.info("wish_is_kept", meter=place[1], reason=str(error))
            base_version = self._known(place).version
            await self.wishes.keep(
                place, [Wish(path, value, made, base_version) for path, value in changes.items()]
            )
        return self._kept(place, await self.watch.now())

    async def run(self) -> None:
        """Learn what the owners want and hand wishes to them, for ever."""
        while not is_ending():
            await asyncio.sleep(_LOOK_S)
            if self.watch.is_reached:
                await self._hand_all_over()
                await self._catch_up()
            else:
                self._pauses.clear()

    async def _hand_all_over(self) -> None:
        """Hand over what waits; a meter or a host that cannot take it does not hold up others."""
        for place in list(self.wishes.waiting):
            group, _ = place
            if self._is_pausing(group) or self._is_pausing(place):
                continue
            try:
                await self._hand_over(place)
            except (NobodyAnswersError, NotInTimeError) as error:
                self._pause(group, error)
            except MeterTwinError as error:
                self._pause(place, error)
            else:
                self._pauses.pop(group, None)
                self._pauses.pop(place, None)

    def _is_pausing(self, what: GroupId | Place) -> bool:
        pause = self._pauses.get(what)
        return pause is not None and asyncio.get_running_loop().time() < pause.until_s

    def _pause(self, what: GroupId | Place, error: MeterTwinError) -> None:
        before = self._pauses.get(what)
        length_s = min(2 * before.length_s, _LONGEST_PAUSE_S) if before else _FIRST_PAUSE_S
        self._pauses[what] = _Pause(length_s, asyncio.get_running_loop().time() + length_s)
        log.warning("wishes_wait", of=what, pause_s=length_s, reason=str(error))

    async def _catch_up(self) -> None:
        if self._is_pausing(_CATCHING_UP):
            return
        try:
            await self.known.catch_up(self.watch.desired_sequence)
        except UnavailableError as error:
            self._pause(_CATCHING_UP, error)
        else:
            self._pauses.pop(_CATCHING_UP, None)

    async def _ask_owner(
        self, place: Place, changes: Mapping[str, Value | None], made: Ask, within_s: float
    ) -> DesiredAnswer:
        arguments = {"changes": dict(changes), "by": made.by, "id": made.id, "origin": made.origin}
        to = subject(place[0], Kind.REQUEST, place[1])
        return await ask(self.here, to, Request("desired", arguments), within_s, DesiredAnswer)

    async def _hand_over(self, place: Place) -> None:
        async with self._asking[place]:
            wishes = list(self.wishes.of(place))
            if not wishes:
                return
            arguments = {"wishes": msgspec.to_builtins(wishes, builtin_types=())}
            to = subject(place[0], Kind.REQUEST, place[1])
            request = Request("merge_desired", arguments)
            await ask(self.here, to, request, _MERGE_WITHIN_S, DesiredAnswer)
            await self.wishes.drop(place, wishes)
        log.info("wishes_merged", meter=place[1], wishes_count=len(wishes))

    def _known(self, place: Place) -> Desired:
        return self.known.states.get(place) or Desired(0, {})

    def _kept(self, place: Place, standing: SiteStanding) -> DesiredAnswer:
        known = self._known(place)
        return DesiredAnswer(
            version=known.version,
            desired=known.values,
            kept={wish.path: wish.value for wish in self.wishes.of(place)},
            note=f"Kept, not yet at the meter's site. {standing.sentence(place[0])} "
            "It is merged there when the host answers.",
        )
