"""What a check found, and runs of neighbouring intervals."""

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metertwin.core.batch import Int64s
from metertwin.core.vee.rules import VeeCheck

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, order=True)
class VeeFinding:
    """Something against a run of intervals of one meter.

    Attributes:
        row: Meter's row in the table.
        first_index: First interval.
        interval_count: Intervals in the run.
        check: What was checked.
        value: What was seen, in `unit`; for QUALITY the bits.
        limit: What it was held against, in `unit`.
        unit: Unit of both: the register's, or h for durations, empty for bits.
    """

    row: int
    first_index: int
    interval_count: int
    check: VeeCheck
    value: Decimal
    limit: Decimal
    unit: str


class RunColumns(NamedTuple):
    """Runs of flagged intervals, columns (n_runs,), sorted by row and first interval."""

    row: Int64s
    first_index: Int64s
    interval_count: Int64s


def runs_of(flags: Flags) -> RunColumns:
    """Return the runs of neighbouring flags within each row.

    Example:
        >>> runs_of(np.array([[True, True, False], [True, False, True]]))
        RunColumns(row=array([0, 1, 1]), first_index=array([0, 0, 2]),
                   interval_count=array([2, 1, 1]))
    """
    row_count, column_count = flags.shape
    # A column of False between the rows ends every run with its row.
    apart = np.zeros((row_count, column_count + 1), dtype=bool)
    apart[:, 1:] = flags
    flat = np.append(apart.ravel(), np.False_)
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    starts, ends = changes[0::2], changes[1::2]
    row = starts // (column_count + 1)
    return RunColumns(row, starts - row * (column_count + 1), ends - starts)
