"""From messages of the READINGS stream to a harvest: current, numbered, nothing twice."""

from collections.abc import Sequence

import numpy as np
import structlog

from metertwin.bus.intake import Refused, understand
from metertwin.bus.subjects import READING_STREAM
from metertwin.bus.tail import Delivered
from metertwin.bus.wire import ReadingMessage, join_messages
from metertwin.core.batch import ReadingBatch
from metertwin.core.clock import Clock
from metertwin.core.ids import GroupId
from metertwin.core.ledger import Kept
from metertwin.recorder.counters import Counters
from metertwin.store.harvest import GroupEpoch, Harvest, LedgerRows, RefusedMessage
from metertwin.store.port import HistoryStore

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
        self._changed: dict[GroupId, GroupEpoch] = {}

    def harvest(self, messages: Sequence[Delivered]) -> Harvest:
        """Return what at least one message brought, and move the ledger forward by it."""
        self._changed = {}
        intake = understand(messages, self._is_current)
        readings, ledger = self._admit(intake.batches)
        return Harvest(
            readings=readings,
            ledger=ledger,
            epochs=list(self._changed.values()),
            refused=[self._put_aside(refused) for refused in intake.refused],
            positions={READING_STREAM: messages[-1].stream_sequence},
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

    def _admit(
        self, batches: Sequence[ReadingBatch]
    ) -> tuple[list[tuple[ReadingBatch, Kept | None]], LedgerRows | None]:
        if not batches:
            return [], None
        with_ids = [(batch, self._store.meter_ids(batch.group, batch.meters)) for batch in batches]
        meter_ids = np.concatenate([ids for _, ids in with_ids])
        if len(self._ledger.received) <= meter_ids.max():
            self._ledger.resize(int(meter_ids.max()) * 2 + 1)
        kept = self._ledger.admit_batches(with_ids)
        dropped = sum(int((~flags).sum()) for flags in kept if flags is not None)
        self._counters.duplicate_count += dropped
        return list(zip(batches, kept, strict=True)), LedgerRows.of(self._ledger, meter_ids)

    def _put_aside(self, refused: Refused) -> RefusedMessage:
        delivered, error = refused
        message = RefusedMessage(
            stream=READING_STREAM,
            stream_sequence=delivered.stream_sequence,
            subject=delivered.subject,
            octets=bytes(delivered.data),
            code=error.code,
            reason=str(error),
            refused_at=self._clock.now(),
        )
        _log.warning(
            "message_refused",
            subject=message.subject,
            stream_sequence=message.stream_sequence,
            code=message.code,
            reason=message.reason,
        )
        return message
