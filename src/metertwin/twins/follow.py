"""In step: the stream's readings into the twins, many messages at a time.

Messages that share group, gateway epoch and register block are joined before anything looks at
them, so that a thousand meters that push alone cost little more than one poll round of a thousand.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from metertwin.bus.tail import Delivered
from metertwin.bus.wire import ReadingMessage, WireError, decode_message, join_messages
from metertwin.core.batch import BatchShapeError
from metertwin.core.ids import GroupId
from metertwin.twins.columns import FallenRegisters
from metertwin.twins.group import TwinGroup

_JoinKey = tuple[int, bytes]  # epoch, register block


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that could not be applied, and why."""

    stream_sequence: int
    subject: str
    reason: str


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
    waiting: dict[GroupId, list[ReadingMessage]] = {}
    refused: list[Refused] = []
    newest: dict[GroupId, int] = {}
    for message in delivered:
        group_id = GroupId(message.subject.split(".", 2)[1])
        group = groups.get(group_id)
        if group is None or message.stream_sequence <= group.stream_sequence:
            continue
        newest[group_id] = message.stream_sequence
        try:
            waiting.setdefault(group_id, []).append(decode_message(message.data))
        except WireError as error:
            refused.append(Refused(message.stream_sequence, message.subject, str(error)))
    falls: list[Fall] = []
    for group_id, messages in waiting.items():
        for joined in _joinable(messages):
            falls.extend(_apply_joined(groups[group_id], joined, newest[group_id], refused))
    for group_id, stream_sequence in newest.items():
        groups[group_id].stream_sequence = stream_sequence
    return Applied(frozenset(waiting), falls, refused)


def _joinable(messages: Sequence[ReadingMessage]) -> list[list[ReadingMessage]]:
    """Cut messages into stretches that can be joined, their order kept."""
    stretches: list[list[ReadingMessage]] = []
    last_key: _JoinKey | None = None
    for message in messages:
        key = (message.epoch, message.register_block)
        if key != last_key:
            stretches.append([])
            last_key = key
        stretches[-1].append(message)
    return stretches


def _apply_joined(
    group: TwinGroup,
    messages: list[ReadingMessage],
    stream_sequence: int,
    refused: list[Refused],
) -> list[Fall]:
    try:
        fallen = group.apply(join_messages(messages))
    except (WireError, BatchShapeError) as error:
        if len(messages) == 1:
            refused.append(Refused(stream_sequence, str(group.settings.id), str(error)))
            return []
        # One damaged message must not take its neighbours with it.
        return [
            fall
            for message in messages
            for fall in _apply_joined(group, [message], stream_sequence, refused)
        ]
    return [] if fallen is None else [Fall(group.settings.id, fallen)]
