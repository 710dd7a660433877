"""What a host does with its lots while their group is cut otherwise, and after the decision.

Whoever ordered it may be dead by then: a lot that was held goes on when the attempt was given up,
and leaves when it was decided; then its host passes the claims on, as the next owners do.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from metertwin.bus.cuts import CutOrder, Cuts
from metertwin.bus.ending import is_ending
from metertwin.bus.ownership import Bequest
from metertwin.core.errors import MeterTwinError, NotFoundError, UnavailableError
from metertwin.core.ids import Lot, LotId, group_of
from metertwin.twins.owned import OwnedGroups
from metertwin.twins.ready import ReadyGroup
from metertwin.twins.recut.compose import objections_to_cut
from metertwin.twins.recut.first_checkpoint import (
    ExpectedLot,
    begun_cut,
    write_first_checkpoint,
)
from metertwin.twins.recut.held import HeldLot, is_open
from metertwin.twins.settings import GroupSettings

_LOOK_S = 0.2
_EXPECTED_FOR_S = 120.0  # the order to compose follows within seconds, or whoever gives it is gone

log = structlog.get_logger(__name__)


class NotExpectedError(NotFoundError):
    """The host has nothing ready of the lot."""

    code = "not_found.expected_lot"


class NotHeldError(NotFoundError):
    """The host does not hold the lot."""

    code = "not_found.held_lot"


@dataclass(slots=True)
class CutDesk:
    """What a host does with the lots that it holds.

    Args:
        owned: What the host owns.
    """

    owned: OwnedGroups
    _expected: dict[Lot, ExpectedLot] = field(default_factory=dict)

    async def hold(self, lot: Lot, number: int) -> int:
        """Hold a lot and return its place in the stream; held already, it stays so.

        Raises:
            NotHostedError: The lot is not here.
            CutGivenUpError: The cut is not under way any more.
            UnavailableError: The bus does not answer.
        """
        await begun_cut(self.owned.bus, group_of(lot), number)
        held = self.owned.held.get(lot)
        if held is None:
            held = await self.owned.hold(lot, number)
            self.owned.do_beside(self._see_through(lot, held))
        held.number, held.ordered_s = max(held.number, number), time.monotonic()
        return held.hosted.group.stream_sequence

    async def settle(self, lot: Lot, number: int, until_sequence: int) -> Bequest:
        """See `HeldLot.settle`; raises NotHeldError where it is not held."""
        held = self.owned.held.get(lot)
        if held is None:
            raise NotHeldError(f"Lot {lot} is not held here, or went on meanwhile.", lot=lot)
        return await held.settle(number, until_sequence)

    async def look(self, lot: Lot) -> None:
        """See now whether a lot that is held may go on or must go; raises UnavailableError."""
        held = self.owned.held.get(lot)
        if held is not None:
            await self._look(lot, held)

    def objections(self, lot: Lot, size: int) -> list[str]:
        """Return why a lot cannot be cut otherwise; see `objections_to_cut`.

        Raises:
            NotHostedError: The lot is not here.
        """
        hosted = self.owned.owned(lot)
        return objections_to_cut(ReadyGroup(hosted.group, hosted.apps), size)

    async def expect(self, settings: GroupSettings, olds: Sequence[LotId], size: int) -> None:
        """Get ready to be given a lot, before anybody is held; see `ExpectedLot.make`."""
        expected = await ExpectedLot.make(self.owned.bus, self.owned.clock, settings, olds, size)
        self._expected[settings.lot] = expected
        self.know(settings)
        self.owned.do_beside(self._forget(settings.lot, expected))

    def know(self, settings: GroupSettings) -> None:
        """Be ready to take a lot once it is given, as if the host had been told at its start."""
        self.owned.known[settings.lot] = settings

    async def compose(self, lot: Lot, number: int) -> int:
        """Compose what this host is about to be given; return how many twins it has.

        Raises:
            NotExpectedError: The host was not told to expect it, or composed it already.
            Exception: What `write_first_checkpoint` raises.
        """
        expected = self._expected.pop(lot, None)
        if expected is None:
            raise NotExpectedError(f"Lot {lot} is not expected here.", lot=lot)
        ready = await write_first_checkpoint(self.owned.bus, expected, number)
        self.owned.have_ready(ready)
        self.owned.do_beside(self._see_decided(expected.new.group.settings, number))
        return len(expected.new.group.columns)

    async def _forget(self, lot: Lot, expected: ExpectedLot) -> None:
        """Forget what was made ready and not composed: it is as large as a window."""
        await asyncio.sleep(_EXPECTED_FOR_S)
        if self._expected.get(lot) is expected:
            del self._expected[lot]

    async def _see_decided(self, settings: GroupSettings, number: int) -> None:
        """Pass the claims on when it is decided."""
        cuts = Cuts(self.owned.bus, settings.id)
        while not is_ending():
            with contextlib.suppress(UnavailableError):
                record = await cuts.look()
                if not is_open(record, number):
                    if record is not None and record.decided is not None:
                        await cuts.pass_claims(record.decided)
                    return
            await asyncio.sleep(_LOOK_S)

    async def _see_through(self, lot: Lot, held: HeldLot) -> None:
        while self.owned.held.get(lot) is held:
            try:
                await self._look(lot, held)
            except MeterTwinError as error:
                # Decided or not: going on here could make two owners, so the bus has to say.
                log.warning("cut_open", lot=lot, number=held.number, reason=str(error))
            await asyncio.sleep(_LOOK_S)

    async def _look(self, lot: Lot, held: HeldLot) -> None:
        told = await held.look()
        if isinstance(told, CutOrder):
            await held.cuts.pass_claims(told)
        if self.owned.held.get(lot) is not held:
            return  # somebody else looked meanwhile
        if told is False:
            log.warning("cut_given_up", lot=lot, number=held.number)
            self.owned.let_go_on(lot)
        elif isinstance(told, CutOrder):
            self.owned.leave_to_cut(lot, told)
