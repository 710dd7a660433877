"""Doors of groups that left a host: who waits there is passed on to whoever serves now."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from metertwin.core.errors import UnavailableError
from metertwin.core.ids import Lot
from metertwin.twins.door import Door

# Whoever moves a group says when to pass on, after well under a second. The long time is the usual
# deadline of who waits: later there is nobody left to pass on.
_PASS_ON_AFTER_S = 3.0
_PASS_ON_AT_LAST_S = 10.0
_ASK_AGAIN_S = 0.25
_END_WITHIN_S = 2.0  # a host that ends waits so long for answers to those it passed on

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Left:
    """A door that still holds who waits for a group that left.

    Attributes:
        door: The door.
        to: Where the group went, for people.
        epoch: Of the claim under which it left.
        is_taken: Says whether it is served there.
    """

    door: Door
    to: str
    epoch: int
    is_taken: Callable[[], Awaitable[bool]]


@dataclass(slots=True)
class LeftDoors:
    """The doors of one host whose groups left."""

    _left: dict[Lot, Left] = field(default_factory=dict)
    _waiting: set[asyncio.Task[None]] = field(default_factory=set)
    _closing: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def lots(self) -> list[Lot]:
        """Groups that left and whose callers still wait here."""
        return list(self._left)

    def leave(self, lot: Lot, left: Left) -> None:
        """Keep who waits, until told to pass on or the group is served."""
        self._left[lot] = left
        waiting = asyncio.create_task(self._pass_on_in_time(lot, left))
        self._waiting.add(waiting)
        waiting.add_done_callback(self._waiting.discard)

    def epoch_given(self, lot: Lot, to: str) -> int | None:
        """Return the epoch of a group that left to some host already; None if it did not."""
        left = self._left.get(lot)
        return left.epoch if left is not None and left.to == to else None

    def back(self, lot: Lot) -> Door | None:
        """Return the door of a group that is back, if who waits there was not passed on."""
        left = self._left.pop(lot, None)
        return None if left is None else left.door

    async def pass_on(self, lot: Lot) -> int:
        """Pass on who waits for a group, this many."""
        left = self._left.pop(lot, None)
        return 0 if left is None else await self.shut(left.door)

    async def pass_on_all(self) -> None:
        """Pass on who waits at any door."""
        for waiting in self._waiting:
            waiting.cancel()
        await asyncio.gather(*self._waiting, return_exceptions=True)
        for lot in self.lots:
            await self.pass_on(lot)

    async def shut(self, door: Door) -> int:
        """Pass on who waits at a door, this many, and close it when they are answered."""
        waited_count = await door.pass_on()
        closing = asyncio.create_task(door.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        return waited_count

    async def close(self) -> None:
        """Wait for the answers to those that were passed on, for a moment."""
        if not self._closing:
            return
        _, late = await asyncio.wait(self._closing, timeout=_END_WITHIN_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _pass_on_in_time(self, lot: Lot, left: Left) -> None:
        """Pass on unless told before: whoever moves the group may have died."""
        began_s = time.monotonic()
        while self._left.get(lot) is left:
            await asyncio.sleep(_ASK_AGAIN_S)
            waited_s = time.monotonic() - began_s
            is_due = waited_s > _PASS_ON_AT_LAST_S
            if not is_due and waited_s > _PASS_ON_AFTER_S:
                with contextlib.suppress(UnavailableError):
                    is_due = await left.is_taken()
            if is_due and self._left.get(lot) is left:
                log.warning("passed_on_untold", group=lot, to=left.to)
                await self.pass_on(lot)
