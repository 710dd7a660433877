"""The first checkpoint of a lot that shall be, from the last ones of the lots that are.

Apps are made and past days decoded before anybody is held; what is left to do then is what changed
since.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from metertwin.bus.connection import Bus
from metertwin.bus.cuts import CutGivenUpError, CutOrder, Cuts
from metertwin.core.clock import Clock
from metertwin.core.ids import GroupId, LotId, share_of
from metertwin.twins.checkpoint import encode_checkpoint, restore_checkpoint
from metertwin.twins.checkpoint_store import CheckpointStore
from metertwin.twins.ready import ReadyGroup
from metertwin.twins.recut.check import number_of_cut
from metertwin.twins.recut.compose import compose
from metertwin.twins.settings import GroupSettings


@dataclass(frozen=True, slots=True)
class ExpectedLot:
    """A lot that a host is about to be given, and what it is made of.

    Attributes:
        new: It, empty: what it is composed in.
        olds: The lots of the group as they are, empty, with their past days decoded.
        to_take: It, empty: what it will be taken in.
    """

    new: ReadyGroup
    olds: Mapping[LotId, ReadyGroup]
    to_take: ReadyGroup

    @classmethod
    async def make(
        cls, bus: Bus, clock: Clock, settings: GroupSettings, olds: Sequence[LotId], size: int
    ) -> "ExpectedLot":
        """Make apps and decode what will not change.

        Args:
            bus: A connection to the group's home.
            clock: The host's.
            settings: Of the lot.
            olds: The lots of the group as they are.
            size: Most twins in a container as it is; 0 for all in one.

        Raises:
            UnavailableError: The bus does not answer.
        """
        number, of_olds = await number_of_cut(bus, settings), {}
        for lot in sorted(olds, key=share_of):
            old = ReadyGroup.empty(_as_it_was(settings, lot, len(olds), size), clock)
            store = await CheckpointStore.open(bus, lot, epoch=0, cut_number=number)
            await old.decode(await store.fetch_ahead())
            of_olds[lot] = old
        new, to_take = ReadyGroup.empty(settings, clock), ReadyGroup.empty(settings, clock)
        return cls(new, of_olds, to_take)


async def begun_cut(bus: Bus, group: GroupId, number: int) -> tuple[CutOrder, int]:
    """Return a cut that is under way, and the number of the one before it.

    Raises:
        CutGivenUpError: It is not under way any more.
        UnavailableError: The bus does not answer.
    """
    record = await Cuts(bus, group).look()
    if record is None or record.begun is None or record.begun.number != number:
        raise CutGivenUpError(
            f"Group {group} is not being cut under number {number}: it was given up or decided.",
            group=group,
        )
    return record.begun, record.number


async def write_first_checkpoint(bus: Bus, expected: ExpectedLot, number: int) -> ReadyGroup:
    """Compose and write a lot's first checkpoint; return what it can be taken in.

    Args:
        bus: A connection to the group's home.
        expected: The lot; used once.
        number: Of the cut it is of.

    Raises:
        CutGivenUpError: The cut is not under way any more.
        NotDivisibleError: The state of an app cannot be cut.
        CheckpointError: A checkpoint is damaged.
        UnavailableError: The bus does not answer.
    """
    new = expected.new
    order, number_before = await begun_cut(bus, new.group.settings.id, number)
    olds = []
    for lot in sorted(order.old, key=share_of):
        olds.append(await _settled(bus, expected.olds[lot], number_before))
        await asyncio.sleep(0)  # the host's other groups have their turn
    compose(new, olds)
    store = await CheckpointStore.open(bus, new.group.settings.lot, epoch=0, cut_number=number)
    await store.load()  # of an order that was given twice
    await store.save(encode_checkpoint(new.group, new.apps))
    expected.to_take.blocks.update(
        (block.packed()[0], block)
        for series in new.apps.window.series.values()
        for block in series.blocks.values()
    )
    return expected.to_take


async def _settled(bus: Bus, ready: ReadyGroup, number: int) -> ReadyGroup:
    store = await CheckpointStore.open(bus, ready.group.settings.lot, epoch=0, cut_number=number)
    store.have(ready.octets)
    saved = await store.peek()
    if saved is not None:
        restore_checkpoint(ready.group, ready.apps, saved, ready.blocks)
    return ready


def _as_it_was(settings: GroupSettings, lot: LotId, lots_count: int, size: int) -> GroupSettings:
    """Return the settings of a lot as it was, without its meters: its checkpoint has them."""
    return msgspec.structs.replace(
        settings,
        meters=(),
        share=share_of(lot),
        shares_count=lots_count if share_of(lot) else 0,
        twins_per_container=size,
    )
