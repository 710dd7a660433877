"""Columns for register arithmetic: readings in, intervals, gaps and findings out.

A series is one cumulative register of one meter place; the caller numbers its series 0, 1, 2 ...
A meter place keeps its series when the meter is replaced; `Replacement` says when that was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from metertwin.core.batch import Int64s, UInt8s
from metertwin.core.errors import InvalidInputError

Float64s = NDArray[np.float64]
US_PER_S = 1_000_000


class RegisterColumnsError(InvalidInputError):
    """The columns or rules of register arithmetic contradict each other."""

    code = "input.register_columns"


@dataclass(frozen=True, slots=True, eq=False)
class RegisterColumns:
    """Cumulative register readings of many series, in any order, all columns of shape (n,).

    Attributes:
        series: Series of each reading, from 0.
        sequences: Number the gateway gave the reading; grows in the order of reading.
        integers: Register integers.
        captured_at_us: Meter's time, microseconds since 1970 UTC.
        received_at_us: Gateway's time, microseconds since 1970 UTC.
        quality: `Quality` bits.
        origin: `Origin` values.
    """

    series: Int64s
    sequences: Int64s
    integers: Int64s
    captured_at_us: Int64s
    received_at_us: Int64s
    quality: UInt8s
    origin: UInt8s

    def __len__(self) -> int:
        return len(self.series)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "RegisterColumns":
        """Return the chosen rows, in the order chosen."""
        return RegisterColumns(
            self.series[rows],
            self.sequences[rows],
            self.integers[rows],
            self.captured_at_us[rows],
            self.received_at_us[rows],
            self.quality[rows],
            self.origin[rows],
        )

    def check(self, rules: "SeriesRules") -> None:
        """Raise RegisterColumnsError unless the columns fit together and the rules cover them."""
        lengths = {
            len(self.series),
            len(self.sequences),
            len(self.integers),
            len(self.captured_at_us),
            len(self.received_at_us),
            len(self.quality),
            len(self.origin),
        }
        if len(lengths) > 1:
            raise RegisterColumnsError(
                f"Register columns have {min(lengths)} to {max(lengths)} rows; give all the same."
            )
        if len(self) and not 0 <= int(self.series.min()) <= int(self.series.max()) < len(rules):
            raise RegisterColumnsError(
                f"Series {int(self.series.min())} to {int(self.series.max())} occur, rules are "
                f"given for 0 to {len(rules) - 1}; give one rule per series.",
                series_count=len(rules),
            )


@dataclass(frozen=True, slots=True, eq=False)
class SeriesRules:
    """What is known of each series beforehand, all columns of shape (n_series,).

    Attributes:
        modulus_count: Counts after which the register begins again at 0, 10^8 for eight digits;
            1 to 2^62.
        scaler: Power of ten of the register's integer.
        maximal_power_w: Highest power the connection can carry, above 0; W for Wh registers,
            var for varh.
        period_s: Capture period of the load profile the readings come from; 0 for values read
            at a moment.
        clock_tolerance_s: By how much the meter's clock may differ unremarked.
    """

    modulus_count: Int64s
    scaler: Int64s
    maximal_power_w: Float64s
    period_s: Int64s
    clock_tolerance_s: float = 60.0

    @classmethod
    def uniform(
        cls,
        series_count: int,
        *,
        modulus_count: int,
        scaler: int,
        maximal_power_w: float,
        period_s: int,
        clock_tolerance_s: float = 60.0,
    ) -> Self:
        """Return the same rules for every series."""
        return cls(
            np.full(series_count, modulus_count, np.int64),
            np.full(series_count, scaler, np.int64),
            np.full(series_count, maximal_power_w, np.float64),
            np.full(series_count, period_s, np.int64),
            clock_tolerance_s,
        )

    def __post_init__(self) -> None:
        in_range = (self.modulus_count >= 1) & (self.modulus_count <= 2**62)
        if not (in_range & (self.maximal_power_w > 0) & (self.period_s >= 0)).all():
            raise RegisterColumnsError(
                "A series has a modulus outside 1 to 2^62 counts, a maximal power not above 0 W, "
                "or a negative capture period; give the register's width and the fuse's power."
            )

    def __len__(self) -> int:
        return len(self.modulus_count)

    def plausible_counts(self, series: Int64s, elapsed_us: Int64s) -> Float64s:
        """Return the most counts each series can gain in `elapsed_us`, shape as `series`.

        One count is added, because both ends of an interval are cut to whole counts.
        """
        counts_per_us = self.maximal_power_w / (3600.0 * US_PER_S) / 10.0**self.scaler
        most: Float64s = counts_per_us[series] * np.maximum(elapsed_us, 0) + 1.0
        return most


@dataclass(frozen=True, slots=True)
class Replacement:
    """Another meter from `at_us` on: readings captured before belong to the old one."""

    series: int
    at_us: int


class FindingKind(StrEnum):
    """What register arithmetic can find out about a series."""

    ROLLOVER = "rollover"  # the register went through its end; the gain is known
    RESET = "reset"  # it fell, and going through its end would need more than maximal power
    REPLACED = "replaced"  # two meters; no gain between them
    CLOCK_SHIFT = "clock_shift"  # the meter's clock was set or is ahead
    CORRECTED = "corrected"  # a later number brought another value for the same captured_at
    IMPLAUSIBLE = "implausible"  # it rose by more than maximal power allows
    AMBIGUOUS = "ambiguous"  # so long apart that the register may have gone round once more
    OUT_OF_RANGE = "out_of_range"  # the integer does not fit into the register; left out


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One finding, between two readings that follow each other.

    A finding about one reading alone gives it as both.
    """

    series: int
    before_us: int
    after_us: int
    kind: FindingKind
    before_integer: int
    after_integer: int


class GapKind(IntEnum):
    """Why a time has no interval of the length the capture period promises."""

    MISSING = 0  # captures are missing: what was gained in all stands in one long interval
    RESET = 1  # the gain is not known
    REPLACED = 2  # the gain is not known


@dataclass(frozen=True, slots=True, eq=False)
class GapColumns:
    """Times without intervals, all columns of shape (n_gaps,), sorted by series and start."""

    series: Int64s
    start_us: Int64s
    length_us: Int64s
    kind: UInt8s


@dataclass(frozen=True, slots=True, eq=False)
class IntervalColumns:
    """Gains, all columns of shape (n_intervals,), sorted by series and true order.

    Attributes:
        series: Series of each interval.
        start_us: Its first microsecond since 1970 UTC, by the meter's clock.
        length_us: Its length; across a clock set back the gateway's time between the two
            readings, else the meter's.
        gain: Counts gained, at least 0.
        quality: `Quality` bits: what is known against either end.
        origin: `Origin`, the less direct of the two ends.
        received_at_us: When the later end was received.
    """

    series: Int64s
    start_us: Int64s
    length_us: Int64s
    gain: Int64s
    quality: UInt8s
    origin: UInt8s
    received_at_us: Int64s

    def __len__(self) -> int:
        return len(self.series)


@dataclass(frozen=True, slots=True, eq=False)
class Gains:
    """The outcome: what was gained, where that is not known, and what was found on the way."""

    intervals: IntervalColumns
    gaps: GapColumns
    findings: Sequence[Finding]
