"""The gateway's checkpoint on the bus, and how it is brought up to date after a crash.

Taking a group over has four steps, and their order is the proof that no number is given twice:

1. claim the group: the new epoch is higher than any before;
2. publish an empty batch under it: every consumer now refuses what an earlier gateway may still
   have on its way, from this place in the stream on;
3. read the stream from the checkpoint to exactly that place: all that counts is in there;
4. write the checkpoint: an earlier gateway that is still alive fails at its next one and ends.
"""

from dataclasses import dataclass

import structlog
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from metertwin.bus.connection import Bus
from metertwin.bus.ending import end_if_told
from metertwin.bus.ownership import SupersededError
from metertwin.bus.subjects import CHECKPOINT_BUCKET, READING_STREAM, Kind, of_group, subject
from metertwin.bus.tail import StreamTail
from metertwin.bus.wire import decode_readings, encode_readings
from metertwin.core.errors import UnavailableError
from metertwin.core.ids import GroupId
from metertwin.gateway.durable import publish_until_stored
from metertwin.gateway.pending import empty_batch
from metertwin.gateway.progress import GroupProgress, decode_progress, encode_progress

_FETCH_COUNT = 1_000
_FETCH_TIMEOUT_S = 5.0
_QUIET_FETCHES_COUNT = 12

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class CheckpointKeeper:
    """Writes one group's checkpoint, and notices when somebody else does.

    Attributes:
        bucket: The checkpoint bucket.
        group: The group.
        epoch: This gateway's claim.
    """

    bucket: KeyValue
    group: GroupId
    epoch: int
    _revision: int = 0
    _written: bytes = b""

    @property
    def key(self) -> str:
        """Where the checkpoint lies."""
        return f"gateway.{self.group}"

    @classmethod
    async def open(cls, bus: Bus, group: GroupId, epoch: int) -> "CheckpointKeeper":
        """Return the keeper of a group's checkpoint."""
        return cls(await bus.js.key_value(CHECKPOINT_BUCKET), group, epoch)

    async def load(self) -> GroupProgress:
        """Return the last checkpoint, or empty progress when there is none.

        Raises:
            GatewayCheckpointError: It is damaged.
        """
        try:
            entry = await self.bucket.get(self.key)
        except KeyNotFoundError:
            return GroupProgress()
        self._revision = entry.revision or 0
        return decode_progress(entry.value or b"")

    async def save(self, progress: GroupProgress) -> None:
        """Write a checkpoint unless nothing changed.

        Raises:
            SupersededError: Another gateway wrote one.
        """
        octets = encode_progress(progress)
        if octets == self._written:
            return
        try:
            if self._revision:
                self._revision = await self.bucket.update(self.key, octets, self._revision)
            else:
                self._revision = await self.bucket.create(self.key, octets)
        except KeyWrongLastSequenceError:
            # A write whose confirmation was lost finds itself there when it is repeated.
            entry = await self.bucket.get(self.key)
            if entry.value != octets:
                raise SupersededError(
                    f"Group {self.group} was claimed by another gateway; epoch {self.epoch} reads "
                    "it no more.",
                    group=self.group,
                    epoch=self.epoch,
                ) from None
            self._revision = entry.revision or 0
        self._written = octets


async def recover(bus: Bus, keeper: CheckpointKeeper) -> GroupProgress:
    """Return how far the group is read, after shutting out every earlier gateway.

    Raises:
        GatewayCheckpointError: The checkpoint is damaged.
        UnavailableError: The stream cannot be read up to where it must be.
        SupersededError: A later gateway claimed the group meanwhile.
    """
    progress = await keeper.load()
    known_sequence = progress.stream_sequence
    fence = encode_readings(empty_batch(keeper.group, keeper.epoch))
    fence_sequence = await publish_until_stored(
        bus,
        subject(keeper.group, Kind.READING),
        fence,
        f"{keeper.group}:{keeper.epoch}:fence",
    )
    await _read_up_to(bus, keeper.group, progress, fence_sequence)
    await keeper.save(progress)
    log.info(
        "gateway_recovered",
        group=keeper.group,
        epoch=keeper.epoch,
        from_sequence=known_sequence,
        to_sequence=fence_sequence,
        meters_count=len(progress.meters),
    )
    return progress


async def _read_up_to(
    bus: Bus, group: GroupId, progress: GroupProgress, last_sequence: int
) -> None:
    if progress.stream_sequence > last_sequence:
        progress.stream_sequence = 0  # another stream, begun anew; known numbers stay known
    tail = StreamTail(
        bus, READING_STREAM, progress.stream_sequence, [of_group(group, Kind.READING)]
    )
    quiet_count = 0
    try:
        while progress.stream_sequence < last_sequence:
            end_if_told()
            messages = await tail.fetch(_FETCH_COUNT, _FETCH_TIMEOUT_S)
            quiet_count = 0 if messages else quiet_count + 1
            if quiet_count > _QUIET_FETCHES_COUNT:
                raise UnavailableError(
                    f"The reading stream of group {group} was read to {progress.stream_sequence} "
                    f"and should reach {last_sequence}; the bus delivers no more.",
                    group=group,
                )
            for message in messages:
                if message.stream_sequence <= last_sequence:
                    progress.take(decode_readings(message.data), message.stream_sequence)
    finally:
        await tail.close()
