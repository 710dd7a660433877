"""The ledger: which numbered readings arrived, once, and which did not.

Gateways number each meter's readings 1, 2, 3 ... without a hole. Whoever consumes them, twin host
or recorder, keeps per meter the highest number heard of, how many were taken, how many came again,
and the holes. Then `received == taken + missing` always, and `missing == 0` is the proof that
nothing was lost.

Nearly every batch continues each meter exactly where the last one ended; that case is a handful of
array operations for the whole batch. A hole, a repetition or a changed order is handled run by run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from metertwin.core.batch import Int64s, ReadingBatch

Rows = NDArray[np.int64]
Kept = NDArray[np.bool_]
Hole = tuple[int, int]  # first and last missing number, both included


@dataclass(slots=True)
class Ledger:
    """Ledger of `capacity` meters, one row each; rows are the caller's.

    Attributes:
        received: Highest number heard of, shape (capacity,).
        taken: Distinct readings taken, shape (capacity,).
        duplicate: Readings that came again and were dropped, shape (capacity,).
        holes: Missing numbers of a row, sorted, disjoint.
    """

    received: Int64s
    taken: Int64s
    duplicate: Int64s
    holes: dict[int, list[Hole]] = field(default_factory=dict)

    @classmethod
    def sized(cls, capacity: int) -> "Ledger":
        """Return an empty ledger of `capacity` rows."""
        return cls(_zeros(capacity), _zeros(capacity), _zeros(capacity))

    def resize(self, capacity: int) -> None:
        """Grow to `capacity` rows; new ones are empty."""
        added = _zeros(max(capacity - len(self.received), 0))
        self.received = np.concatenate([self.received, added])
        self.taken = np.concatenate([self.taken, added])
        self.duplicate = np.concatenate([self.duplicate, added])

    def missing(self) -> Int64s:
        """Return the count of missing readings per row, shape (capacity,)."""
        return self.received - self.taken

    def admit(self, rows: Rows, first_sequences: Int64s, counts: Int64s) -> Kept | None:
        """Take runs of numbered readings and say which readings are new.

        Args:
            rows: Ledger row of each run, shape (n_runs,).
            first_sequences: Number of each run's first reading, at least 1, shape (n_runs,).
            counts: Readings in each run, above 0, shape (n_runs,).

        Returns:
            None when all readings are new, else one flag per reading, shape (counts.sum(),).
        """
        order = np.argsort(rows, kind="stable")
        sorted_rows, firsts, sizes = rows[order], first_sequences[order], counts[order]
        expected = self.received[sorted_rows] + 1
        continues = np.zeros(len(rows), dtype=bool)
        continues[1:] = sorted_rows[1:] == sorted_rows[:-1]
        expected[continues] = (firsts + sizes)[:-1][continues[1:]]
        if np.array_equal(firsts, expected):
            np.maximum.at(self.received, sorted_rows, firsts + sizes - 1)
            np.add.at(self.taken, sorted_rows, sizes)
            return None
        return self._admit_run_by_run(rows, first_sequences, counts)

    def admit_batches(self, batches: Sequence[tuple[ReadingBatch, Rows]]) -> Sequence[Kept | None]:
        """Take several batches at once and say of each which readings are new.

        Joining messages puts the runs of one meter out of order where polls and load profiles
        alternate; sorted by number, the ledger takes them all in one step.

        Args:
            batches: Each with the ledger row of each of its runs.

        Returns:
            For each batch None when all its readings are new, else one flag per reading.
        """
        rows = np.concatenate([rows for _, rows in batches])
        firsts = np.concatenate([batch.first_sequences for batch, _ in batches])
        counts = np.concatenate([batch.counts for batch, _ in batches]).astype(np.int64)
        order = np.argsort(firsts, kind="stable")
        admitted = self.admit(rows[order], firsts[order], counts[order])
        if admitted is None:
            return [None] * len(batches)
        ends = np.cumsum([len(batch) for batch, _ in batches])[:-1]
        return np.split(_in_order_of_runs(admitted, order, counts), ends)

    def _admit_run_by_run(self, rows: Rows, first_sequences: Int64s, counts: Int64s) -> Kept:
        kept = np.zeros(int(counts.sum()), dtype=bool)
        start = 0
        for row, first, count in zip(
            rows.tolist(), first_sequences.tolist(), counts.tolist(), strict=True
        ):
            self._admit_run(row, first, kept[start : start + count])
            start += count
        return kept

    def _admit_run(self, row: int, first: int, kept: Kept) -> None:
        """Take one run; set `kept` (a view, one flag per reading) where the reading is new."""
        last = first + len(kept) - 1
        received = int(self.received[row])
        for low, high in self._fill_holes(row, first, last):
            kept[low - first : high - first + 1] = True
        if last > received:
            new_from = max(first, received + 1)
            kept[new_from - first :] = True
            if new_from > received + 1:
                self.holes.setdefault(row, []).append((received + 1, new_from - 1))
            self.received[row] = last
        new_count = int(kept.sum())
        self.taken[row] += new_count
        self.duplicate[row] += len(kept) - new_count

    def _fill_holes(self, row: int, first: int, last: int) -> list[Hole]:
        """Cut [first, last] out of the row's holes and return what was cut out."""
        filled: list[Hole] = []
        left: list[Hole] = []
        for low, high in self.holes.get(row, ()):
            cut_low, cut_high = max(low, first), min(high, last)
            if cut_low > cut_high:
                left.append((low, high))
                continue
            filled.append((cut_low, cut_high))
            left.extend(
                part for part in ((low, cut_low - 1), (cut_high + 1, high)) if part[0] <= part[1]
            )
        if left:
            self.holes[row] = left
        else:
            self.holes.pop(row, None)
        return filled


def _in_order_of_runs(flags: Kept, order: Rows, counts: Int64s) -> Kept:
    """Return flags that were given run by run in `order` in the order of the runs themselves."""
    starts = np.empty(len(counts), dtype=np.int64)
    starts[order] = np.cumsum(counts[order]) - counts[order]
    own_starts = np.cumsum(counts) - counts
    offsets = np.arange(len(flags), dtype=np.int64) - np.repeat(own_starts, counts)
    in_order: Kept = flags[np.repeat(starts, counts) + offsets]
    return in_order


def _zeros(count: int) -> Int64s:
    return np.zeros(count, dtype=np.int64)
