"""How far a gateway is with each meter: its highest reading number, and where its profile is read.

The same steps rebuild it after a crash: the last checkpoint, then every batch of the stream since.
A batch is taken by the same rule the twin host and the recorder use, so all three agree on which
numbers exist: one that carries a lower gateway epoch than a batch before it does not count.
"""

from dataclasses import dataclass, field

import msgspec
import numpy as np

from metertwin.bus.wire import check_version
from metertwin.core.batch import ReadingBatch
from metertwin.core.errors import InvalidInputError
from metertwin.core.ids import MeterId

CHECKPOINT_VERSION = 1


class GatewayCheckpointError(InvalidInputError):
    """A gateway's checkpoint cannot be read."""

    code = "gateway.checkpoint"


@dataclass(slots=True)
class MeterProgress:
    """How far the gateway is with one meter.

    Attributes:
        number: Number of the last reading published; 0 before the first.
        profile_us: Per capture period in s, the end of the last interval published,
            microseconds since 1970 UTC by the meter's clock.
        log_us: The last entry of the event log published; None before the first read.
        serial: Serial number of the device last seen; empty before the first contact.
        is_silent: Whether it was last called silent.
    """

    number: int = 0
    profile_us: dict[int, int] = field(default_factory=dict)
    log_us: int | None = None
    serial: str = ""
    is_silent: bool = False


@dataclass(slots=True)
class GroupProgress:
    """How far the gateway is with a group.

    Attributes:
        stream_sequence: The last message of the reading stream that is in here.
        epoch: Highest gateway epoch seen in the stream.
    """

    stream_sequence: int = 0
    epoch: int = 0
    meters: dict[MeterId, MeterProgress] = field(default_factory=dict)

    def of(self, meter: MeterId) -> MeterProgress:
        """Return a meter's progress, beginning it if the meter is new."""
        progress = self.meters.get(meter)
        if progress is None:
            progress = self.meters[meter] = MeterProgress()
        return progress

    def take(self, batch: ReadingBatch, stream_sequence: int) -> None:
        """Take a batch that is in the stream at `stream_sequence`."""
        self.stream_sequence = max(self.stream_sequence, stream_sequence)
        if batch.epoch < self.epoch:
            return
        self.epoch = batch.epoch
        if not len(batch):
            return
        starts = np.cumsum(batch.counts, dtype=np.int64) - batch.counts
        newest_us = np.maximum.reduceat(batch.captured_at_us, starts).tolist()
        first_registers = batch.register_index[starts].tolist()
        last_numbers = (batch.first_sequences + batch.counts - 1).tolist()
        for run, meter in enumerate(batch.meters):
            progress = self.of(meter)
            progress.number = max(progress.number, last_numbers[run])
            # A gateway puts the entries of one profile into a run, so its first row says which.
            period_s = batch.registers[first_registers[run]].period_s
            if period_s:
                progress.profile_us[period_s] = max(
                    progress.profile_us.get(period_s, newest_us[run]), newest_us[run]
                )


class _Checkpoint(msgspec.Struct, array_like=True, frozen=True):
    version: int
    stream_sequence: int
    epoch: int
    meters: dict[MeterId, MeterProgress]


def encode_progress(progress: GroupProgress) -> bytes:
    """Return the progress as one value."""
    return msgspec.msgpack.encode(
        _Checkpoint(CHECKPOINT_VERSION, progress.stream_sequence, progress.epoch, progress.meters)
    )


def decode_progress(octets: bytes) -> GroupProgress:
    """Return the progress of a checkpoint.

    Raises:
        WireVersionError: Another version wrote it; the error names both.
        GatewayCheckpointError: It is damaged.
    """
    try:
        saved = msgspec.msgpack.decode(octets, type=_Checkpoint)
    except msgspec.DecodeError as error:
        check_version("gateway checkpoint", octets, CHECKPOINT_VERSION)
        raise GatewayCheckpointError(
            f"A gateway's checkpoint of {len(octets)} bytes is damaged: {error}. Delete it; the "
            "numbers are then found again from the stream."
        ) from None
    check_version("gateway checkpoint", octets, CHECKPOINT_VERSION)
    return GroupProgress(saved.stream_sequence, saved.epoch, saved.meters)
