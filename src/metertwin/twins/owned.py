"""The groups a host owns, or shares of them: taken, handed over, lost; each with its door.

The claim at the group's home says who the owner is, and orders to move may stop anywhere: whoever
gave them may die, an answer may be lost. So an order that was begun is carried to its end; the
host looks at the claims now and then, takes what it was given and leaves what it lost; and who
waits at the door of a group that went is passed on also when nobody says so.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from metertwin.bus.connection import Bus
from metertwin.bus.cuts import CutOrder
from metertwin.bus.ending import is_ending
from metertwin.bus.ownership import Held, SupersededError, look_up, twins_key
from metertwin.bus.publish import Publisher
from metertwin.core.clock import Clock
from metertwin.core.errors import ConflictError, MeterTwinError, NotFoundError, UnavailableError
from metertwin.core.ids import Lot
from metertwin.twins.door import Door
from metertwin.twins.hosted import HostedGroup
from metertwin.twins.left_doors import Left, LeftDoors
from metertwin.twins.ready import ReadyGroup
from metertwin.twins.recut.held import HeldLot
from metertwin.twins.settings import GroupSettings

_LOOK_S = 1.0
_READY_FOR_S = 60.0  # the order to take follows within seconds, or whoever moves the group is gone

Done = TypeVar("Done")

log = structlog.get_logger(__name__)


class NotHostedError(NotFoundError):
    """The host does not own the group."""

    code = "not_found.hosted_group"


@dataclass(slots=True, eq=False)
class OwnedGroups:
    """What one host owns.

    Attributes:
        known: Those it may own.
        hosted: The groups it acts for.
        held: Those that are being cut otherwise, for which it does nothing until that is decided.
        came: Those taken and not yet followed; the follower clears it.
    """

    name: str
    bus: Bus
    clock: Clock
    publisher: Publisher
    known: dict[Lot, GroupSettings] = field(default_factory=dict)
    hosted: dict[Lot, HostedGroup] = field(default_factory=dict)
    held: dict[Lot, HeldLot] = field(default_factory=dict)
    came: set[Lot] = field(default_factory=set)
    _doors: dict[Lot, Door] = field(default_factory=dict)
    _left: LeftDoors = field(default_factory=LeftDoors)
    _ready: dict[Lot, tuple[ReadyGroup, float]] = field(default_factory=dict)  # and until when
    _unfinished: set[Lot] = field(default_factory=set)  # to be taken, if it is this host's
    _moving: asyncio.Lock = field(default_factory=asyncio.Lock)
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    @property
    def leaving(self) -> list[Lot]:
        """Groups that were given away and whose callers still wait here."""
        return self._left.lots

    def each(self) -> Iterator[HostedGroup]:
        """Yield each group that is still here when its turn comes."""
        for lot, hosted in list(self.hosted.items()):
            if self.hosted.get(lot) is hosted:
                yield hosted

    @property
    def ready(self) -> list[Lot]:
        """Groups of which something is kept ahead of a take."""
        return list(self._ready)

    def have_ready(self, ready: ReadyGroup) -> None:
        """Keep what is ready of a group for a take, for a minute."""
        until_s = self.clock.monotonic_s() + _READY_FOR_S
        self._ready[ready.group.settings.lot] = (ready, until_s)

    async def take(self, settings: GroupSettings) -> HostedGroup:
        """Own a group and serve it; one that is owned already stays as it is.

        Raises:
            OwnedElsewhereError: Another host owns the group.
            CheckpointError: Its checkpoint is damaged.
            UnavailableError: The bus does not answer.
        """
        return await self._to_its_end(self._take(settings))

    async def hand_over(self, lot: Lot, to: str) -> int:
        """Make another host the owner and return its epoch; what is asked meanwhile waits.

        When it fails the group stays here and goes on. Repeated it finds itself done.

        Raises:
            NotHostedError: The group is not here.
            SupersededError: Another host took it already.
            UnavailableError: The bus does not answer.
        """
        return await self._to_its_end(self._hand_over(lot, to))

    async def pass_on(self, lot: Lot) -> int:
        """Send what waits for a group that was handed over to its owner; return how much it was."""
        return await self._to_its_end(self._left.pass_on(lot))

    async def step_down(self, hosted: HostedGroup, reason: str) -> None:
        """Stop acting for a group that another host owns now; nothing of it is written."""
        lot = hosted.lot
        if self.hosted.get(lot) is not hosted:
            return  # on its way out already
        log.error("group_lost", group=lot, reason=reason)
        del self.hosted[lot]
        hosted.apps.close()
        await self._left.shut(self._doors.pop(lot))

    def owned(self, lot: Lot) -> HostedGroup:
        """Return a group that it acts for; raises NotHostedError."""
        hosted = self.hosted.get(lot)
        if hosted is None:
            raise self._not_hosted(lot)
        return hosted

    async def hold(self, lot: Lot, number: int) -> HeldLot:
        """Answer and apply nothing of a group until it is decided how it is cut.

        Raises:
            NotHostedError: The group is not here.
        """
        return await self._to_its_end(self._hold(lot, number))

    def let_go_on(self, lot: Lot) -> None:
        """Act again for a group that was held."""
        held = self.held.pop(lot)
        held.hosted.go_on()
        self._put_back(held.hosted, held.door)

    def leave_to_cut(self, lot: Lot, order: CutOrder) -> None:
        """Act no more for a group that was held: it is cut otherwise; who waits is passed on."""
        held = self.held.pop(lot)
        held.hosted.apps.close()
        log.info("group_cut_otherwise", group=lot, number=order.number)

        async def is_taken() -> bool:
            return await held.cuts.is_taken(order)

        self._left.leave(lot, Left(held.door, f"cut {order.number}", held.hosted.epoch, is_taken))

    async def watch(self) -> None:
        """Keep what the host does in step with the claims until cancelled.

        What is its own at the first look, and not yet here, is taken, and later what is handed to
        it, whether or not anybody tells it.
        """
        self._unfinished |= self.known.keys() - self.hosted.keys()
        while not is_ending():
            self._forget_ready()
            for settings in list(self.known.values()):
                try:
                    await self._look(settings)
                except MeterTwinError as error:
                    log.warning("group_waits", group=settings.lot, reason=str(error))
            await asyncio.sleep(_LOOK_S)

    async def close(self) -> None:
        """Take no more orders or requests, and finish what is asked."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for held in self.held.values():
            await self._left.shut(held.door)
        await self._left.pass_on_all()
        for door in self._doors.values():
            await door.close()
        await self._left.close()

    async def _take(self, settings: GroupSettings) -> HostedGroup:
        lot = settings.lot
        async with self._moving:
            if lot in self.hosted:
                return self.hosted[lot]
            if lot in self.held:
                raise UnavailableError(
                    f"Group {lot} is here and is being cut otherwise; ask again in a moment.",
                    group=lot,
                )
            self._unfinished.add(lot)
            try:
                hosted = await HostedGroup.take(
                    self.name, self.bus, self.publisher, self.clock, self._as_ready(settings)
                )
                self._doors[lot] = await Door.open(self.bus, hosted)
            except ConflictError:
                self._unfinished.discard(lot)  # another's, who must not be robbed of it
                raise
            self._unfinished.discard(lot)
            self.hosted[lot] = hosted
            self.came.add(lot)
            if door := self._left.back(lot):  # back before who waited was passed on
                await door.yield_to(self._doors[lot])
            return hosted

    async def _hand_over(self, lot: Lot, to: str) -> int:
        async with self._moving:
            if (epoch := self._left.epoch_given(lot, to)) is not None:
                return epoch
            hosted, door = self._take_out(lot)
            epoch = await self._give(hosted, door, to)
            log.info("group_given", group=lot, to=to, epoch=epoch)
            return epoch

    async def _hold(self, lot: Lot, number: int) -> HeldLot:
        async with self._moving:
            if lot in self.held:
                return self.held[lot]
            hosted, door = self._take_out(lot)
            try:
                await door.hold()
            except BaseException:
                self._put_back(hosted, door)
                raise
            self.held[lot] = held = HeldLot(hosted, door, number)
            return held

    def _take_out(self, lot: Lot) -> tuple[HostedGroup, Door]:
        """Take a group out of those it acts for: from here on nothing is applied to it."""
        hosted = self.owned(lot)
        del self.hosted[lot]
        return hosted, self._doors.pop(lot)

    def _put_back(self, hosted: HostedGroup, door: Door) -> None:
        lot = hosted.lot
        self.hosted[lot], self._doors[lot] = hosted, door
        self.came.add(lot)
        door.resume()

    def _not_hosted(self, lot: Lot) -> NotHostedError:
        return NotHostedError(
            f"Host {self.name} does not own group {lot}; it owns "
            f"{', '.join(sorted(self.hosted)) or 'none'}.",
            group=lot,
        )

    async def _give(self, hosted: HostedGroup, door: Door, to: str) -> int:
        lot = hosted.lot
        try:
            await door.hold()
            epoch = await hosted.give(to)
        except SupersededError:
            await self._left.shut(door)
            raise
        except BaseException:
            self._put_back(hosted, door)
            raise

        async def is_taken() -> bool:
            held = await look_up(self.bus, twins_key(lot))
            return held is not None and held.epoch > epoch

        self._left.leave(lot, Left(door, to, epoch, is_taken))
        return epoch

    def _as_ready(self, settings: GroupSettings) -> ReadyGroup:
        """Return what is ready of a group, once: it becomes the group itself."""
        if settings.lot in self._ready:
            return self._ready.pop(settings.lot)[0]
        return ReadyGroup.empty(settings, self.clock)

    def _forget_ready(self) -> None:
        """Forget what was made ready for a take that did not come: it is as large as a window."""
        now_s = self.clock.monotonic_s()
        self._ready = {lot: kept for lot, kept in self._ready.items() if kept[1] > now_s}

    async def _look(self, settings: GroupSettings) -> None:
        hosted = self.hosted.get(settings.lot)
        held = await look_up(self.bus, twins_key(settings.lot))
        if hosted is not None:
            if held is not None and held.epoch > hosted.epoch:
                reason = f"{held.holder} claimed it under epoch {held.epoch}"
                await self.step_down(hosted, reason)
        elif self._is_to_be_taken(settings.lot, held):
            await self.take(settings)

    def _is_to_be_taken(self, lot: Lot, held: Held | None) -> bool:
        """Whether a group is this host's to take.

        A claim in its own name that it did not begin is another process of that name, one that was
        started in its place: taken from each other the group would never rest.
        """
        if held is None or held.holder != self.name:
            self._unfinished.discard(lot)
            return False
        return held.is_given or lot in self._unfinished

    async def _to_its_end(self, order: Coroutine[Any, Any, Done]) -> Done:
        """Carry out an order also when whoever waits for it stops waiting."""
        return await asyncio.shield(self._begin(order))

    def do_beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something until it is done or the host ends."""
        _ = self._begin(work)

    def _begin(self, work: Coroutine[Any, Any, Done]) -> asyncio.Task[Done]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
