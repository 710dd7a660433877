"""Interval energies of several meters on one grid: what bills and other analyses are made from.

One row per meter, one column per interval of the capture period, all in UTC. What is not known is
said, not filled: estimating is `core.vee`'s business and leaves its mark in `origin`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metertwin.core.batch import Int64s, UInt8s
from metertwin.core.errors import InvalidInputError
from metertwin.core.ids import MeterId
from metertwin.core.reading import Register

Flags = NDArray[np.bool_]
_US_PER_S = 1_000_000


class IntervalTableError(InvalidInputError):
    """The columns of an interval table contradict each other."""

    code = "input.interval_table"


@dataclass(frozen=True, slots=True, eq=False)
class KnownSpans:
    """What was gained in all over a run of intervals not known one by one, columns (n_spans,).

    Attributes:
        row: Meter.
        first_index: First interval of the run.
        interval_count: Intervals in the run, 1 or more.
        gain: Counts gained over the run: register at its end less register at its start.
    """

    row: Int64s
    first_index: Int64s
    interval_count: Int64s
    gain: Int64s

    def __len__(self) -> int:
        return len(self.row)

    @classmethod
    def none(cls) -> "KnownSpans":
        """Return no spans."""
        empty = np.zeros(0, np.int64)
        return cls(empty, empty, empty, empty)


@dataclass(frozen=True, slots=True, eq=False)
class IntervalTable:
    """Gains of one register over intervals [start + k period, start + (k + 1) period).

    Attributes:
        meters: Meter of each row.
        register: What was counted; gain x 10^scaler in its unit. `period_s` is above 0.
        start_us: Start of the first interval, microseconds since 1970 UTC, on the period's grid.
        gain: Counts gained, any integer dtype, 0 where not known, shape (n_meters, n_intervals).
        is_known: Whether the gain is known, same shape.
        quality: `Quality` bits, same shape.
        origin: `Origin` values, same shape.
        spans: Totals over runs that are not known one by one; their intervals are not `is_known`.
    """

    meters: Sequence[MeterId]
    register: Register
    start_us: int
    gain: NDArray[np.signedinteger]
    is_known: Flags
    quality: UInt8s
    origin: UInt8s
    spans: KnownSpans

    def __post_init__(self) -> None:
        shape = self.gain.shape
        shapes = {each.shape for each in (self.is_known, self.quality, self.origin)}
        if len(shape) != 2 or shape[0] != len(self.meters) or shapes != {shape}:
            raise IntervalTableError(
                f"Interval table of {len(self.meters)} meters has gains of shape {shape} and other "
                f"columns of {sorted(shapes)}; give one row per meter, all of one shape."
            )
        if self.register.period_s <= 0 or self.start_us % self.period_us:
            raise IntervalTableError(
                f"Interval table starts at {self.start_us} us with a period of "
                f"{self.register.period_s} s; the period must be above 0 and the start on its grid "
                "since 1970 UTC.",
                period_s=self.register.period_s,
            )

    @property
    def interval_count(self) -> int:
        """Intervals of each meter."""
        return int(self.gain.shape[1])

    @property
    def period_us(self) -> int:
        """Length of an interval in microseconds."""
        return self.register.period_s * _US_PER_S

    @property
    def end_us(self) -> int:
        """First microsecond after the last interval."""
        return self.start_us + self.interval_count * self.period_us

    def starts_us(self) -> Int64s:
        """Return the start of each interval, shape (n_intervals,)."""
        return self.start_us + np.arange(self.interval_count, dtype=np.int64) * self.period_us
