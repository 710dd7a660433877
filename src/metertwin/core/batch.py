"""Many readings as columns, in runs: the form in which they travel, are applied and are stored.

A run is the readings of one meter, numbered one after the other. Numbering by run makes the
question "is anything missing or doubled?" one comparison per meter instead of one per reading.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from metertwin.core.clock import from_us
from metertwin.core.errors import InvalidInputError
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.reading import Origin, Quality, Register, RegisterReading

Int64s = NDArray[np.int64]
UInt32s = NDArray[np.uint32]
UInt16s = NDArray[np.uint16]
UInt8s = NDArray[np.uint8]


class BatchShapeError(InvalidInputError):
    """The columns of a batch contradict each other."""

    code = "input.batch_shape"


@dataclass(frozen=True, slots=True, eq=False)
class ReadingBatch:
    """Readings of one group, sorted into runs.

    Attributes:
        group: The group all meters belong to.
        epoch: Which gateway numbered the runs: the revision under which it claimed the group.
        meters: Meter of each run, shape (n_runs,); a meter may have several runs.
        first_sequences: Number of each run's first reading, from 1, shape (n_runs,).
        counts: Readings in each run, above 0, shape (n_runs,); they sum to n.
        registers: The registers that occur.
        register_index: Position in `registers` of each reading, shape (n,).
        integers: Register integers, shape (n,).
        captured_at_us: Meter's time of each value, microseconds since 1970 UTC, shape (n,).
        received_at_us: Gateway's time of each value, microseconds since 1970 UTC, shape (n,).
        quality: `Quality` bits, shape (n,).
        origin: `Origin` values, shape (n,).
    """

    group: GroupId
    epoch: int
    meters: Sequence[MeterId]
    first_sequences: Int64s
    counts: UInt32s
    registers: Sequence[Register]
    register_index: UInt16s
    integers: Int64s
    captured_at_us: Int64s
    received_at_us: Int64s
    quality: UInt8s
    origin: UInt8s

    def __len__(self) -> int:
        return len(self.integers)

    def check(self) -> None:
        """Raise BatchShapeError unless the columns fit together."""
        n_runs, n = len(self.meters), len(self.integers)
        columns = (
            self.register_index,
            self.captured_at_us,
            self.received_at_us,
            self.quality,
            self.origin,
        )
        runs_agree = len(self.first_sequences) == len(self.counts) == n_runs
        if not runs_agree or any(len(column) != n for column in columns):
            raise BatchShapeError(
                f"Batch of group {self.group} has {n_runs} runs and {n} readings, but its columns "
                "have other lengths; it was cut or written by something else.",
                group=self.group,
            )
        if int(self.counts.sum()) != n or (n_runs and int(self.counts.min()) == 0):
            raise BatchShapeError(
                f"Batch of group {self.group} has {n} readings, its runs announce "
                f"{int(self.counts.sum())}, each at least 1; it was cut or written wrongly.",
                group=self.group,
            )
        if n_runs and int(self.first_sequences.min()) < 1:
            raise BatchShapeError(
                f"Batch of group {self.group} has a run numbered from "
                f"{int(self.first_sequences.min())}; numbers begin at 1.",
                group=self.group,
            )
        if n and int(self.register_index.max()) >= len(self.registers):
            raise BatchShapeError(
                f"Batch of group {self.group} names register {int(self.register_index.max())} of "
                f"{len(self.registers)}; it was cut or written by something else.",
                group=self.group,
            )
        if n and int(self.origin.max()) > max(Origin):
            raise BatchShapeError(
                f"Batch of group {self.group} has origin {int(self.origin.max())}; known are "
                f"0 to {max(Origin)}.",
                group=self.group,
            )

    def only(self, meters: AbstractSet[MeterId]) -> "ReadingBatch":
        """Return the readings of some meters, in the same order; itself where it has no others."""
        is_kept = np.fromiter((meter in meters for meter in self.meters), bool, len(self.meters))
        if is_kept.all():
            return self
        rows = np.repeat(is_kept, self.counts)
        return replace(
            self,
            meters=[self.meters[run] for run in np.flatnonzero(is_kept).tolist()],
            first_sequences=self.first_sequences[is_kept],
            counts=self.counts[is_kept],
            register_index=self.register_index[rows],
            integers=self.integers[rows],
            captured_at_us=self.captured_at_us[rows],
            received_at_us=self.received_at_us[rows],
            quality=self.quality[rows],
            origin=self.origin[rows],
        )

    def sequences(self) -> Int64s:
        """Return the number of each reading, shape (n,)."""
        run_starts = np.cumsum(self.counts, dtype=np.int64) - self.counts
        offsets = np.arange(len(self), dtype=np.int64) - np.repeat(run_starts, self.counts)
        numbers: Int64s = np.repeat(self.first_sequences, self.counts) + offsets
        return numbers

    def readings(self) -> list[RegisterReading]:
        """Return the rows as objects: for people and tests, never on the hot path."""
        meter_of_row = np.repeat(np.arange(len(self.meters)), self.counts)
        return [
            RegisterReading(
                meter=self.meters[meter_of_row[row]],
                register=self.registers[self.register_index[row]],
                integer=int(self.integers[row]),
                captured_at=_moment(self.captured_at_us[row]),
                received_at=_moment(self.received_at_us[row]),
                quality=Quality(int(self.quality[row])),
                origin=Origin(int(self.origin[row])),
            )
            for row in range(len(self))
        ]


def _moment(since_epoch_us: np.int64) -> datetime:
    return from_us(int(since_epoch_us))
