"""In step: the stream's readings into the twins, many messages at a time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from metertwin.bus.intake import Refused, understand
from metertwin.bus.tail import Delivered
from metertwin.bus.wire import ReadingMessage, join_messages
from metertwin.core.batch import ReadingBatch
from metertwin.core.ids import GroupId, LotId
from metertwin.twins.columns import FallenRegisters
from metertwin.twins.group import TwinGroup


@dataclass(frozen=True, slots=True)
class Fall:
    """Registers that fell in one lot."""

    lot: LotId
    registers: FallenRegisters


@dataclass(frozen=True, slots=True)
class Applied:
    """What a fetch from the stream did.

    Attributes:
        lots: Lots that changed.
        falls: Counting registers that fell.
        refused: Messages that are no readings; the recorder keeps them.
    """

    lots: frozenset[LotId]
    falls: Sequence[Fall]
    refused: Sequence[Refused]


def apply_delivered(groups: Iterable[TwinGroup], delivered: Sequence[Delivered]) -> Applied:
    """Apply messages of the readings stream to the groups, or shares of groups, they belong to.

    A message that a lot's checkpoint already covers, or of a group that is not here, is passed
    over. Afterwards each lot's `stream_sequence` covers what was delivered.
    """
    changed: set[LotId] = set()
    falls: list[Fall] = []
    refused: dict[int, Refused] = {}  # once, however many shares of its group are here
    for layer in _layers(groups):
        applied = _apply(layer, delivered)
        changed |= applied.lots
        falls += applied.falls
        refused.update((each.delivered.stream_sequence, each) for each in applied.refused)
    return Applied(frozenset(changed), falls, [*refused.values()])


def _layers(groups: Iterable[TwinGroup]) -> Iterator[dict[GroupId, TwinGroup]]:
    """Yield all, at most one share of each group at a time."""
    of_group: dict[GroupId, list[TwinGroup]] = {}
    for group in groups:
        of_group.setdefault(group.settings.id, []).append(group)
    most_count = max((len(each) for each in of_group.values()), default=0)
    for turn in range(most_count):
        yield {group: each[turn] for group, each in of_group.items() if turn < len(each)}


def _apply(layer: Mapping[GroupId, TwinGroup], delivered: Iterable[Delivered]) -> Applied:
    news: list[Delivered] = []
    newest: dict[GroupId, int] = {}
    for message in delivered:
        group_id = GroupId(message.subject.split(".", 2)[1])
        group = layer.get(group_id)
        if group is not None and message.stream_sequence > group.stream_sequence:
            newest[group_id] = message.stream_sequence
            news.append(message)

    def is_current(message: ReadingMessage) -> bool:
        group = layer[GroupId(message.group)]
        if message.epoch == group.gateway_epoch:
            return True
        # A higher epoch makes everything of the one before stale, so it is believed only of a
        # message that is whole.
        return group.is_current(message.epoch, len(group.own_of(join_messages([message]))))

    intake = understand(news, is_current)
    of_group: dict[GroupId, list[ReadingBatch]] = {}
    for batch in intake.batches:
        if len(own := layer[batch.group].own_of(batch)):
            of_group.setdefault(batch.group, []).append(own)
    falls = [
        Fall(layer[group_id].settings.lot, fallen)
        for group_id, batches in of_group.items()
        for fallen in layer[group_id].apply(batches)
    ]
    for group_id, stream_sequence in newest.items():
        layer[group_id].stream_sequence = stream_sequence
    changed = frozenset(layer[group].settings.lot for group in of_group)
    return Applied(changed, falls, intake.refused)
