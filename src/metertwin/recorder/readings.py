"""From messages of the READINGS stream to a harvest: decoded, numbered, nothing twice.

Messages of one group, epoch and register block are joined before their columns are looked at.
Whatever cannot be understood is put aside with its reason; the rest goes on.
"""

from collections.abc import Sequence

import numpy as np
import structlog

from metertwin.bus.subjects import READING_STREAM, ROOT, Kind
from metertwin.bus.tail import Delivered
from metertwin.bus.wire import ReadingMessage, WireError, decode_message, join_messages
from metertwin.core.batch import Int64s, ReadingBatch
from metertwin.core.clock import Clock
from metertwin.core.errors import MeterTwinError
from metertwin.core.ids import GroupId
from metertwin.core.ledger import Kept
from metertwin.recorder.counters import Counters
from metertwin.store.harvest import GroupEpoch, Harvest, LedgerRows, RefusedMessage
from metertwin.store.port import HistoryStore

# A gateway that numbers a reading a microsecond reaches this in 285 years; a number above it is
# damage, and would make every later reading of its meter look like the filling of a hole.
_HIGHEST_SEQUENCE = 2**53

_Joinable = tuple[str, int, bytes]  # group, epoch, register block
_Understood = list[tuple[Delivered, ReadingMessage]]
_log = structlog.get_logger(__name__)


class ReadingIntake:
    """Makes harvests of messages, in the order of the stream.

    Args:
        store: Where they will be recorded; every harvest must be, in order, and once.
        clock: For the time a message was refused.
        counters: Where duplicates and stale readings are counted.
    """

    def __init__(self, store: HistoryStore, clock: Clock, counters: Counters) -> None:
        remembered = store.remembered()
        self._store = store
        self._clock = clock
        self._counters = counters
        self._ledger = remembered.ledger
        self._epochs = remembered.epochs
        self._prefixes: dict[str, str] = {}
        self._refused: list[RefusedMessage] = []
        self._changed: dict[GroupId, GroupEpoch] = {}

    def harvest(self, messages: Sequence[Delivered]) -> Harvest:
        """Return what at least one message brought, and move the ledger forward by it."""
        self._refused, self._changed = [], {}
        batches: list[tuple[ReadingBatch, Int64s]] = []
        for understood in self._sorted_out(messages).values():
            batches.extend(self._joined(understood))
        readings, ledger = self._admit(batches)
        return Harvest(
            readings=readings,
            ledger=ledger,
            epochs=list(self._changed.values()),
            refused=self._refused,
            positions={READING_STREAM: messages[-1].stream_sequence},
        )

    def _sorted_out(self, messages: Sequence[Delivered]) -> dict[_Joinable, _Understood]:
        joinable: dict[_Joinable, _Understood] = {}
        for delivered in messages:
            try:
                message = decode_message(delivered.data)
                self._check_subject(delivered.subject, message.group)
                if not self._is_current(message):
                    continue
            except MeterTwinError as error:
                self._refuse(delivered, error)
                continue
            key = (message.group, message.epoch, message.register_block)
            joinable.setdefault(key, []).append((delivered, message))
        return joinable

    def _check_subject(self, subject: str, group: str) -> None:
        prefix = self._prefixes.get(group)
        if prefix is None:
            prefix = self._prefixes.setdefault(group, f"{ROOT}.{group}.{Kind.READING}.")
        if not subject.startswith(prefix):
            raise WireError(
                f"Reading message at {subject} says it is of group {group[:64]!r}.",
                subject=subject,
            )

    def _is_current(self, message: ReadingMessage) -> bool:
        """Whether the message comes from the group's newest gateway; an older one's is stale."""
        group = GroupId(message.group)
        known = self._epochs.get(group)
        if known is not None and message.epoch == known.epoch:
            return True
        # A higher epoch makes everything of the one before stale, so it is believed only of a
        # message that is whole.
        stale_count = len(join_messages([message]))
        if known is None or message.epoch > known.epoch:
            self._set_epoch(GroupEpoch(group, message.epoch, known.stale_count if known else 0))
            return True
        self._set_epoch(GroupEpoch(group, known.epoch, known.stale_count + stale_count))
        self._counters.stale_count += stale_count
        return False

    def _set_epoch(self, epoch: GroupEpoch) -> None:
        self._epochs[epoch.group] = self._changed[epoch.group] = epoch

    def _joined(self, understood: _Understood) -> list[tuple[ReadingBatch, Int64s]]:
        try:
            return [self._batch([message for _, message in understood])]
        except MeterTwinError as error:
            if len(understood) == 1:
                self._refuse(understood[0][0], error)
                return []
        return [batch for pair in understood for batch in self._joined([pair])]

    def _batch(self, messages: Sequence[ReadingMessage]) -> tuple[ReadingBatch, Int64s]:
        batch = join_messages(messages)
        highest = int(batch.first_sequences.max(initial=0))
        if highest > _HIGHEST_SEQUENCE:
            raise WireError(
                f"Reading message of group {batch.group} has the number {highest}; numbers above "
                f"{_HIGHEST_SEQUENCE} are damage.",
                sequence=highest,
            )
        return batch, self._store.meter_ids(batch.group, batch.meters)

    def _admit(
        self, batches: Sequence[tuple[ReadingBatch, Int64s]]
    ) -> tuple[list[tuple[ReadingBatch, Kept | None]], LedgerRows | None]:
        batches = [(batch, ids) for batch, ids in batches if len(batch)]
        if not batches:
            return [], None
        meter_ids = np.concatenate([ids for _, ids in batches])
        firsts = np.concatenate([batch.first_sequences for batch, _ in batches])
        counts = np.concatenate([batch.counts for batch, _ in batches]).astype(np.int64)
        if len(self._ledger.received) <= meter_ids.max():
            self._ledger.resize(int(meter_ids.max()) * 2 + 1)
        # Joining put the runs of one meter out of order where polls and load profiles alternate;
        # in order the ledger takes them all at once.
        order = np.argsort(firsts, kind="stable")
        admitted = self._ledger.admit(meter_ids[order], firsts[order], counts[order])
        ledger = LedgerRows.of(self._ledger, meter_ids)
        if admitted is None:
            return [(batch, None) for batch, _ in batches], ledger
        self._counters.duplicate_count += int((~admitted).sum())
        kept = _in_order_of_runs(admitted, order, counts)
        ends = np.cumsum([len(batch) for batch, _ in batches])[:-1]
        masks = np.split(kept, ends)
        return [(batch, mask) for (batch, _), mask in zip(batches, masks, strict=True)], ledger

    def _refuse(self, delivered: Delivered, error: MeterTwinError) -> None:
        refused = RefusedMessage(
            stream=READING_STREAM,
            stream_sequence=delivered.stream_sequence,
            subject=delivered.subject,
            octets=bytes(delivered.data),
            code=error.code,
            reason=str(error),
            refused_at=self._clock.now(),
        )
        self._refused.append(refused)
        _log.warning(
            "message_refused",
            subject=refused.subject,
            stream_sequence=refused.stream_sequence,
            code=refused.code,
            reason=refused.reason,
        )


def _in_order_of_runs(flags: Kept, order: Int64s, counts: Int64s) -> Kept:
    """Return flags that were given run by run in `order` in the order of the runs themselves."""
    starts = np.empty(len(counts), dtype=np.int64)
    starts[order] = np.cumsum(counts[order]) - counts[order]
    own_starts = np.cumsum(counts) - counts
    offsets = np.arange(len(flags), dtype=np.int64) - np.repeat(own_starts, counts)
    in_order: Kept = flags[np.repeat(starts, counts) + offsets]
    return in_order
