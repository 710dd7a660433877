"""In step: the stream's readings into the twins, many messages at a time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from metertwin.bus.intake import Refused, understand
from metertwin.bus.tail import Delivered
from metertwin.bus.wire import ReadingMessage, join_messages
from metertwin.core.batch import ReadingBatch
from metertwin.core.ids import GroupId
from metertwin.twins.columns import FallenRegisters
from metertwin.twins.group import TwinGroup


@dataclass(frozen=True, slots=True)
class Fall:
    """Registers that fell in one group."""

    group: GroupId
    registers: FallenRegisters


@dataclass(frozen=True, slots=True)
class Applied:
    """What a fetch from the stream did.

    Attributes:
        groups: Groups that changed.
        falls: Counting registers that fell.
        refused: Messages that are no readings; the recorder keeps them.
    """

    groups: frozenset[GroupId]
    falls: Sequence[Fall]
    refused: Sequence[Refused]


def apply_delivered(groups: Mapping[GroupId, TwinGroup], delivered: Iterable[Delivered]) -> Applied:
    """Apply messages of the readings stream to the groups they belong to.

    A message that a group's checkpoint already covers, or of a group that is not here, is passed
    over. Afterwards each group's `stream_sequence` covers what was delivered.
    """
    news: list[Delivered] = []
    newest: dict[GroupId, int] = {}
    for message in delivered:
        group_id = GroupId(message.subject.split(".", 2)[1])
        group = groups.get(group_id)
        if group is not None and message.stream_sequence > group.stream_sequence:
            newest[group_id] = message.stream_sequence
            news.append(message)

    def is_current(message: ReadingMessage) -> bool:
        group = groups[GroupId(message.group)]
        if message.epoch == group.gateway_epoch:
            return True
        # A higher epoch makes everything of the one before stale, so it is believed only of a
        # message that is whole.
        return group.is_current(message.epoch, len(join_messages([message])))

    intake = understand(news, is_current)
    of_group: dict[GroupId, list[ReadingBatch]] = {}
    for batch in intake.batches:
        of_group.setdefault(batch.group, []).append(batch)
    falls = [
        Fall(group_id, fallen)
        for group_id, batches in of_group.items()
        for fallen in groups[group_id].apply(batches)
    ]
    for group_id, stream_sequence in newest.items():
        groups[group_id].stream_sequence = stream_sequence
    return Applied(frozenset(of_group), falls, intake.refused)
