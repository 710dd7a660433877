"""A lot that is being cut otherwise: it is held, settles, and looks whether it is decided.

What is held answers and applies nothing. If nobody decides in time the attempt is given up in the
record first; only then may the lot go on.
"""

import asyncio
import time
from dataclasses import dataclass, field

from metertwin.bus.cuts import CutOrder, CutRecord, Cuts
from metertwin.bus.ownership import Bequest
from metertwin.bus.subjects import READING_STREAM, Kind, of_group
from metertwin.bus.tail import StreamTail
from metertwin.core.errors import ConflictError
from metertwin.twins.door import Door
from metertwin.twins.follow import apply_delivered
from metertwin.twins.hosted import HostedGroup
from metertwin.twins.recut.first_checkpoint import begun_cut

# Whoever orders it says twice a second that it lives, and who asks meanwhile waits.
GO_ON_AFTER_S = 2.5
_CATCH_UP_WITHIN_S = 4.0


@dataclass(slots=True, eq=False)
class HeldLot:
    """A lot that answers and applies nothing.

    Attributes:
        number: Of the cut it is held for.
        ordered_s: When the last order came, by the monotonic clock.
    """

    hosted: HostedGroup
    door: Door
    number: int
    ordered_s: float = field(default_factory=time.monotonic)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def cuts(self) -> Cuts:
        """The record of its group."""
        return Cuts(self.hosted.bus, self.hosted.group.settings.id)

    async def settle(self, number: int, until_sequence: int) -> Bequest:
        """Apply the stream up to a place and nothing beyond, and write the last checkpoint.

        Raises:
            ConflictError: It is beyond that place.
            CutGivenUpError: It is not under way any more.
            SupersededError: Another host took the lot.
            UnavailableError: The bus does not answer.
        """
        self.ordered_s = time.monotonic()
        async with self._turn:
            await begun_cut(self.hosted.bus, self.hosted.group.settings.id, number)
            group = self.hosted.group
            if group.stream_sequence > until_sequence:
                raise ConflictError(
                    f"Lot {self.hosted.lot} is at {group.stream_sequence} of the stream, beyond "
                    f"{until_sequence}.",
                    lot=self.hosted.lot,
                )
            self.hosted.go_on()  # settled before, for an attempt that was given up
            if group.stream_sequence < until_sequence:
                await self._catch_up(until_sequence)
            self.ordered_s = time.monotonic()
            return await self.hosted.settle()

    async def look(self) -> CutOrder | bool:
        """Return what was decided; False when it was given up, True while it is open.

        An attempt that nobody decided in time is given up here.

        Raises:
            UnavailableError: The bus does not answer.
        """
        async with self._turn:
            record = await self.cuts.look()
            is_late = time.monotonic() > self.ordered_s + GO_ON_AFTER_S
            if is_open(record, self.number):
                if not is_late:
                    return True
                record = await self.cuts.give_up(self.number)
            if record is None or record.decided is None or record.number < self.number:
                return False
            return record.decided

    async def _catch_up(self, until_sequence: int) -> None:
        group = self.hosted.group
        subjects = [of_group(group.settings.id, Kind.READING)]
        tail = StreamTail(self.hosted.bus, READING_STREAM, group.stream_sequence, subjects)
        try:
            async for messages in tail.until_now(_CATCH_UP_WITHIN_S):
                wanted = [each for each in messages if each.stream_sequence <= until_sequence]
                applied = apply_delivered([group], wanted)
                await self.hosted.note_applied(applied)
                await self.hosted.carry_out()
        finally:
            await tail.close()
        group.stream_sequence = until_sequence


def is_open(record: CutRecord | None, number: int) -> bool:
    """Whether a cut is under way and not decided."""
    return record is not None and record.begun is not None and record.begun.number == number
