"""The registers of a group's twins as columns: one plane per register, one row per twin.

Only the newest value of each register lives here; history is the recorder's. Which value is
newest depends on the register. A value read at a moment is superseded by the next one the meter
gives, even when the meter's clock was set back in between, so the reading's number decides. A
load-profile value is superseded by a later interval, even when an older one is read again
afterwards, so the time of capture decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metertwin.core.batch import Int64s, ReadingBatch, UInt8s
from metertwin.core.ids import MeterId
from metertwin.core.ledger import Kept, Rows
from metertwin.core.obis import Obis
from metertwin.core.reading import Register

_NEVER = -1
_FIRST_CAPACITY = 16


@dataclass(frozen=True, slots=True, eq=False)
class FallenRegisters:
    """Counting registers whose new value is below the one before: reset, rollover or a new meter.

    Attributes:
        rows: Twin of each fall, shape (n,).
        columns: Register of each fall, shape (n,).
        before_integers: Integer before, shape (n,).
        after_integers: Integer after, shape (n,).
        captured_at_us: When the lower value was captured, shape (n,).
    """

    rows: Rows
    columns: Rows
    before_integers: Int64s
    after_integers: Int64s
    captured_at_us: Int64s


class TwinColumns:
    """The newest value of every register of every twin of one group.

    Attributes:
        meters: Meter of each row in use.
        registers: Register of each column in use.
        integers: Register integers, shape (n_columns, capacity).
        captured_at_us: Meter's time, microseconds since 1970 UTC, shape (n_columns, capacity);
            -1 where the twin has no such value.
        received_at_us: Gateway's time, as above.
        quality: `Quality` bits, shape (n_columns, capacity).
        origin: `Origin` values, shape (n_columns, capacity).
        last_received_at_us: Newest gateway's time per twin, -1 before the first, shape (capacity,).
    """

    def __init__(self) -> None:
        self.meters: list[MeterId] = []
        self.registers: list[Register] = []
        self._row_of: dict[MeterId, int] = {}
        self._column_of: dict[Register, int] = {}
        self._momentary_columns_of: dict[Obis, list[int]] = {}
        self._counts_up: NDArray[np.bool_] = np.zeros(0, dtype=bool)
        self._ranked_by_capture: NDArray[np.bool_] = np.zeros(0, dtype=bool)
        self._index_of_block: dict[int, tuple[Sequence[Register], Rows]] = {}
        self.capacity = _FIRST_CAPACITY
        self.integers: Int64s = np.zeros((0, self.capacity), dtype=np.int64)
        self.captured_at_us: Int64s = np.zeros((0, self.capacity), dtype=np.int64)
        self.received_at_us: Int64s = np.zeros((0, self.capacity), dtype=np.int64)
        self.quality: UInt8s = np.zeros((0, self.capacity), dtype=np.uint8)
        self.origin: UInt8s = np.zeros((0, self.capacity), dtype=np.uint8)
        self._rank: Int64s = np.zeros((0, self.capacity), dtype=np.int64)
        self.last_received_at_us: Int64s = np.full(self.capacity, _NEVER, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.meters)

    @property
    def size_bytes(self) -> int:
        """Memory of the columns, ids left out, in bytes."""
        return sum(plane.nbytes for plane in self.planes())

    def row_of(self, meter: MeterId) -> int | None:
        """Return the meter's row, or None when it has no twin here."""
        return self._row_of.get(meter)

    def column_of(self, register: Register) -> int | None:
        """Return the register's column, or None when no twin has it."""
        return self._column_of.get(register)

    def momentary_columns_of(self, obis: Obis) -> Sequence[int]:
        """Return the columns of values read at a moment with this code; one per scaling in use."""
        return self._momentary_columns_of.get(obis, ())

    def add_meters(self, meters: Sequence[MeterId]) -> Rows:
        """Return the rows of meters, making twins of those not yet known."""
        row_of = self._row_of
        rows = [row_of.get(meter, _NEVER) for meter in meters]
        if _NEVER in rows:
            for position, meter in enumerate(meters):
                rows[position] = row_of.setdefault(meter, len(self.meters))
                if rows[position] == len(self.meters):
                    self.meters.append(meter)
            self._grow_rows(len(self.meters))
        return np.array(rows, dtype=np.int64)

    def add_registers(self, registers: Sequence[Register]) -> Rows:
        """Return the columns of registers, making those not yet known."""
        remembered = self._index_of_block.get(id(registers))
        # The sequence is kept beside its columns, so its id cannot be given to another one.
        if remembered is not None and remembered[0] is registers:
            return remembered[1]
        columns = np.array([self._add_register(register) for register in registers], dtype=np.int64)
        if len(self._index_of_block) > 256:
            self._index_of_block.clear()
        self._index_of_block[id(registers)] = (registers, columns)
        return columns

    def apply(
        self, batch: ReadingBatch, row_of_run: Rows, kept: Kept | None
    ) -> FallenRegisters | None:
        """Take a batch's newest values into the columns.

        Args:
            batch: Readings of this group; values older than the ones here change nothing.
            row_of_run: The row of each run's meter, as `add_meters` gave it, shape (n_runs,).
            kept: Which readings are new to the ledger, shape (n,); None for all.

        Returns:
            Counting registers that fell, or None when none did.
        """
        columns = self.add_registers(batch.registers)[batch.register_index]
        rows = np.repeat(row_of_run, batch.counts)
        np.maximum.at(self.last_received_at_us, rows, batch.received_at_us)
        rank = np.where(self._ranked_by_capture[columns], batch.captured_at_us, batch.sequences())
        chosen = _newest_last(rank, kept)
        cells = columns[chosen] * self.capacity + rows[chosen]
        is_newer = rank[chosen] >= self._rank.ravel()[cells]
        chosen, cells = chosen[is_newer], cells[is_newer]
        fallen = self._fallen(batch, columns, rows, chosen, cells)
        # Where a cell occurs twice the last assignment stays: the newest, by the order above.
        self._rank.ravel()[cells] = rank[chosen]
        self.integers.ravel()[cells] = batch.integers[chosen]
        self.captured_at_us.ravel()[cells] = batch.captured_at_us[chosen]
        self.received_at_us.ravel()[cells] = batch.received_at_us[chosen]
        self.quality.ravel()[cells] = batch.quality[chosen]
        self.origin.ravel()[cells] = batch.origin[chosen]
        return fallen

    def _fallen(
        self, batch: ReadingBatch, columns: Rows, rows: Rows, chosen: Rows, cells: Rows
    ) -> FallenRegisters | None:
        before = self.integers.ravel()[cells]
        fell = (
            (batch.integers[chosen] < before)
            & self._counts_up[columns[chosen]]
            & (self.captured_at_us.ravel()[cells] != _NEVER)
        )
        if not fell.any():
            return None
        where = chosen[fell]
        return FallenRegisters(
            rows=rows[where],
            columns=columns[where],
            before_integers=before[fell],
            after_integers=batch.integers[where],
            captured_at_us=batch.captured_at_us[where],
        )

    def _add_register(self, register: Register) -> int:
        column = self._column_of.setdefault(register, len(self.registers))
        if column == len(self.registers):
            self.registers.append(register)
            self._counts_up = np.append(self._counts_up, _counts_up(register))
            self._ranked_by_capture = np.append(self._ranked_by_capture, register.period_s > 0)
            self._grow_columns(1)
            if not register.period_s:
                self._momentary_columns_of.setdefault(register.obis, []).append(column)
        return column

    def planes(self) -> tuple[Int64s | UInt8s, ...]:
        """Return all columns, in the order in which a checkpoint keeps them."""
        return (
            self.integers,
            self.captured_at_us,
            self.received_at_us,
            self.quality,
            self.origin,
            self._rank,
            self.last_received_at_us,
        )

    def _grow_columns(self, added: int) -> None:
        self._pad(added, 0)

    def _grow_rows(self, needed: int) -> None:
        if needed <= self.capacity:
            return
        # An eighth more than needed: growth stays rare and a million twins waste little.
        added = max(needed + needed // 8, _FIRST_CAPACITY) - self.capacity
        self._pad(0, added)
        self.capacity += added
        self.last_received_at_us = np.pad(
            self.last_received_at_us, (0, added), constant_values=_NEVER
        )

    def _pad(self, columns: int, rows: int) -> None:
        grown = ((0, columns), (0, rows))
        self.integers = np.pad(self.integers, grown)
        self.captured_at_us = np.pad(self.captured_at_us, grown, constant_values=_NEVER)
        self.received_at_us = np.pad(self.received_at_us, grown, constant_values=_NEVER)
        self.quality = np.pad(self.quality, grown)
        self.origin = np.pad(self.origin, grown)
        self._rank = np.pad(self._rank, grown, constant_values=_NEVER)


def _newest_last(rank: Int64s, kept: Kept | None) -> Rows:
    """Return positions of the kept readings, ordered so that the newest come last."""
    if kept is None:
        return np.argsort(rank, kind="stable")
    positions = np.flatnonzero(kept)
    ordered: Rows = positions[np.argsort(rank[positions], kind="stable")]
    return ordered


def _counts_up(register: Register) -> bool:
    """Whether the register only grows: electricity (A = 1), time integral 1 (D = 8)."""
    return register.obis.a == 1 and register.obis.d == 8
