"""From messages of the READINGS stream to batches: understood, current, joined, or refused.

Messages of one group, gateway epoch and register block are joined before their columns are looked
at, so that a thousand meters that push alone cost little more than one poll round of a thousand.
What cannot be understood is put aside with its reason; its neighbours go on. Twin host and recorder
both read the stream through here, so they take and refuse the same messages.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from metertwin.bus.subjects import ROOT, Kind
from metertwin.bus.tail import Delivered
from metertwin.bus.wire import ReadingMessage, WireError, decode_message, join_messages
from metertwin.core.batch import ReadingBatch
from metertwin.core.errors import MeterTwinError
from metertwin.core.ids import group_id, meter_id

# A gateway that numbers a reading a microsecond reaches this in 285 years; a number above it is
# damage, and would make every later reading of its meter look like the filling of a hole.
_HIGHEST_SEQUENCE = 2**53

_Joinable = tuple[str, int, bytes]  # group, epoch, register block
_Understood = list[tuple[Delivered, ReadingMessage]]


class Refused(NamedTuple):
    """A message that cannot be taken, and why."""

    delivered: Delivered
    error: MeterTwinError


class Intake(NamedTuple):
    """What messages held.

    Attributes:
        batches: Each of one group and epoch; a group's epochs in the order in which they came.
        refused: Messages put aside.
    """

    batches: Sequence[ReadingBatch]
    refused: Sequence[Refused]


def understand(
    messages: Iterable[Delivered], is_current: Callable[[ReadingMessage], bool]
) -> Intake:
    """Return the batches in messages.

    Args:
        messages: In the order of the stream.
        is_current: Asked of each message in turn whether it comes from the group's newest
            gateway; others are left out. It may raise a MeterTwinError to refuse the message.
    """
    refused: list[Refused] = []
    joinable: dict[_Joinable, _Understood] = {}
    for delivered in messages:
        try:
            message = decode_message(delivered.data)
            _check_subject(delivered.subject, message.group)
            if not is_current(message):
                continue
        except MeterTwinError as error:
            refused.append(Refused(delivered, error))
            continue
        key = (message.group, message.epoch, message.register_block)
        joinable.setdefault(key, []).append((delivered, message))
    batches = [batch for each in joinable.values() for batch in _joined(each, refused)]
    return Intake([batch for batch in batches if len(batch)], refused)


def _check_subject(subject: str, group: str) -> None:
    if not subject.startswith(f"{ROOT}.{group}.{Kind.READING}."):
        raise WireError(
            f"Reading message at {subject} says it is of group {group[:64]!r}.", subject=subject
        )


def _joined(understood: _Understood, refused: list[Refused]) -> list[ReadingBatch]:
    """Return one batch, or, where a message spoils it, each message's own."""
    try:
        batch = join_messages([message for _, message in understood])
        _check_names(batch)
        _check_sequences(batch)
    except MeterTwinError as error:
        if len(understood) == 1:
            refused.append(Refused(understood[0][0], error))
            return []
        return [batch for pair in understood for batch in _joined([pair], refused)]
    return [batch]


def _check_names(batch: ReadingBatch) -> None:
    _checked_group(batch.group)
    for meter in batch.meters:
        _checked_meter(meter)


# The same names come again and again: asked of a table, a name costs a tenth of a microsecond.
_checked_group = lru_cache(maxsize=2**14)(group_id)
_checked_meter = lru_cache(maxsize=2**20)(meter_id)


def _check_sequences(batch: ReadingBatch) -> None:
    highest = int(batch.first_sequences.max(initial=0))
    if highest > _HIGHEST_SEQUENCE:
        raise WireError(
            f"Reading message of group {batch.group} has the number {highest}; numbers above "
            f"{_HIGHEST_SEQUENCE} are damage.",
            sequence=highest,
        )
