"""One host's ownership of a group, from its claim until another's.

Checkpoint and claim are written by compare-and-set and so know by themselves when they come too
late. A command is refused by the gateway when its epoch is not the newest. Whatever else a host
writes asks here before: one that stood still while another was put in its place, stopped by its
machine for example, goes on where it stopped and does not know.
"""

import asyncio
from dataclasses import dataclass

import structlog

from metertwin.bus.connection import Bus
from metertwin.bus.ending import end_if_told
from metertwin.bus.ownership import SupersededError, claim, current_epoch, hand_over, twins_key
from metertwin.bus.streams import last_sequence_of
from metertwin.bus.subjects import COMMAND_STREAM
from metertwin.core.errors import UnavailableError
from metertwin.core.ids import LotId

_ASK_AGAIN_S = 0.2

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Tenure:
    """A claim that this host made.

    Attributes:
        epoch: Of the claim.
        is_leaving: The group is being handed over: nothing may come about that the next host, who
            begins from the last checkpoint, would not know.
    """

    bus: Bus
    lot: LotId
    epoch: int
    is_leaving: bool = False

    @classmethod
    async def begin(cls, bus: Bus, lot: LotId, host: str) -> "Tenure":
        """Claim a group.

        Raises:
            OwnedElsewhereError: Another host owns the group.
            UnavailableError: The bus does not answer.
        """
        return cls(bus, lot, await claim(bus, twins_key(lot), host))

    async def check(self) -> None:
        """Return if this host may still write for the group.

        Raises:
            SupersededError: Another host took the group over.
            UnavailableError: The bus does not answer, or the group is being handed over.
        """
        if self.is_leaving:
            raise UnavailableError(
                f"Group {self.lot} is being handed over; ask again in a moment.", group=self.lot
            )
        epoch = await current_epoch(self.bus, twins_key(self.lot))
        if epoch > self.epoch:
            raise SupersededError(
                f"Group {self.lot} was taken over by epoch {epoch}; epoch {self.epoch} may write "
                "nothing more.",
                group=self.lot,
                epoch=self.epoch,
            )

    async def give(self, to: str) -> int:
        """Make another host the owner; return its epoch.

        Waits for as long as it is open whether the claim was given.

        Raises:
            SupersededError: Another host took the group already.
        """
        key = twins_key(self.lot)
        while True:
            try:
                # Nothing more is accepted here, so what the stream has is all there is.
                last_sequence = await last_sequence_of(self.bus, COMMAND_STREAM)
                return await hand_over(self.bus, key, self.epoch, to, last_sequence)
            except UnavailableError as error:
                # Given or not: going on here could make two owners, so the bus has to say.
                log.warning("hand_over_open", key=key, reason=str(error))
                end_if_told()
                await asyncio.sleep(_ASK_AGAIN_S)
