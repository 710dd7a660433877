"""Readings taken from meters and not yet published, and how they become numbered batches.

Numbers are given here and nowhere else, at the moment a batch is made, so that what is numbered is
what is published. A piece is what one exchange brought; it becomes one run.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from metertwin.core.batch import Int64s, ReadingBatch, UInt8s, UInt16s
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.reading import Origin, Register
from metertwin.gateway.progress import GroupProgress

_TUPLES_REMEMBERED = 4_096

IntegerRows: TypeAlias = "list[int] | Int64s"


@dataclass(slots=True, eq=False)
class Piece:
    """What one exchange with one meter brought.

    Attributes:
        registers: The columns of each row; all of one capture period.
        integers: Row after row, shape (n_rows * n_registers,).
        captured_at_us: Of each row, shape (n_rows,).
        quality: Of each row, shape (n_rows,).
        received_at_us: Of all rows.
        last_number: Number of the last reading once the stream has it; 0 before.
    """

    meter: MeterId
    registers: tuple[Register, ...]
    integers: IntegerRows
    captured_at_us: Sequence[int] | Int64s
    quality: Sequence[int] | UInt8s
    received_at_us: int
    origin: Origin
    last_number: int = 0

    def __len__(self) -> int:
        return len(self.integers)


class NumberedBatch(NamedTuple):
    """A batch and the pieces that are its runs."""

    batch: ReadingBatch
    pieces: list[Piece]


class PendingReadings:
    """The queue between the meters and the stream.

    Args:
        group: The group.
        epoch: The gateway's claim.

    Attributes:
        filled: Set when something is there to be taken.
    """

    def __init__(self, group: GroupId, epoch: int) -> None:
        self._group = group
        self._epoch = epoch
        self._pieces: deque[Piece] = deque()
        self._readings_count = 0
        self._registers: dict[Register, int] = {}
        self.filled = asyncio.Event()
        self._index_by_identity: dict[int, tuple[tuple[Register, ...], UInt16s]] = {}

    def __len__(self) -> int:
        return self._readings_count

    def add(self, piece: Piece) -> None:
        """Take what an exchange brought; pieces without a reading are nothing."""
        if len(piece):
            self._pieces.append(piece)
            self._readings_count += len(piece)
            self.filled.set()

    def take_batch(self, progress: GroupProgress, readings_count_max: int) -> NumberedBatch | None:
        """Return the oldest pieces as one batch, numbered on from `progress`.

        At least one piece is taken, then as many as stay within `readings_count_max`. `progress`
        is not changed: the batch counts once the stream has it.
        """
        taken: list[Piece] = []
        taken_count = 0
        while self._pieces:
            if taken and taken_count + len(self._pieces[0]) > readings_count_max:
                break
            piece = self._pieces.popleft()
            taken.append(piece)
            taken_count += len(piece)
        self._readings_count -= taken_count
        if not self._pieces:
            self.filled.clear()
        return NumberedBatch(self._batch(taken, progress), taken) if taken else None

    def _batch(self, pieces: list[Piece], progress: GroupProgress) -> ReadingBatch:
        integers: list[int] = []
        widths: list[int] = []
        for piece in pieces:
            integers.extend(piece.integers)
            widths.extend([len(piece.registers)] * len(piece.captured_at_us))
        sizes = np.fromiter((len(piece) for piece in pieces), np.uint32, len(pieces))
        return ReadingBatch(
            group=self._group,
            epoch=self._epoch,
            meters=[piece.meter for piece in pieces],
            first_sequences=_first_numbers(pieces, progress),
            counts=sizes,
            register_index=np.concatenate([self._indices(piece) for piece in pieces]),
            # After the indices: they are what makes the table know a register.
            registers=tuple(self._registers),
            integers=np.array(integers, np.int64),
            captured_at_us=_spread([piece.captured_at_us for piece in pieces], widths),
            received_at_us=np.repeat(
                np.fromiter((p.received_at_us for p in pieces), np.int64, len(pieces)), sizes
            ),
            quality=_spread([piece.quality for piece in pieces], widths).astype(np.uint8),
            origin=np.repeat(np.fromiter((p.origin for p in pieces), np.uint8, len(pieces)), sizes),
        )

    def _indices(self, piece: Piece) -> UInt16s:
        # Meters of a model share one tuple object; looking it up by identity spares hashing twenty
        # registers for every poll. Keeping the tuple keeps its identity from being used again.
        known = self._index_by_identity.get(id(piece.registers))
        if known is not None:
            indices = known[1]
        else:
            places = [
                self._registers.setdefault(register, len(self._registers))
                for register in piece.registers
            ]
            indices = np.array(places, np.uint16)
            if len(self._index_by_identity) < _TUPLES_REMEMBERED:
                self._index_by_identity[id(piece.registers)] = (piece.registers, indices)
        rows_count = len(piece.captured_at_us)
        return indices if rows_count == 1 else np.tile(indices, rows_count)


def empty_batch(group: GroupId, epoch: int) -> ReadingBatch:
    """Return a batch of no readings: it tells every consumer that `epoch` reads the group now."""
    return ReadingBatch(
        group=group,
        epoch=epoch,
        meters=(),
        first_sequences=np.empty(0, np.int64),
        counts=np.empty(0, np.uint32),
        registers=(),
        register_index=np.empty(0, np.uint16),
        integers=np.empty(0, np.int64),
        captured_at_us=np.empty(0, np.int64),
        received_at_us=np.empty(0, np.int64),
        quality=np.empty(0, np.uint8),
        origin=np.empty(0, np.uint8),
    )


def _first_numbers(pieces: list[Piece], progress: GroupProgress) -> Int64s:
    next_number: dict[MeterId, int] = {}
    numbers: list[int] = []
    for piece in pieces:
        first = next_number.get(piece.meter) or progress.of(piece.meter).number + 1
        numbers.append(first)
        next_number[piece.meter] = first + len(piece)
    return np.array(numbers, np.int64)


def _spread(rows_of_pieces: Sequence[Sequence[int] | Int64s | UInt8s], widths: list[int]) -> Int64s:
    """Return one value per reading from one value per row."""
    values = np.concatenate([np.asarray(rows, np.int64) for rows in rows_of_pieces])
    return np.repeat(values, widths)
