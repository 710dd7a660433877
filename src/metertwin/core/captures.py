"""From load-profile captures to interval energies: registers on a grid, and their differences.

A capture at a grid point is what the register showed there, so an interval's energy is the
difference of its two ends. The rules are those of `core.registers`: a register that falls went
through its end if the connection could carry the gain that implies, otherwise the gain is not
known; where captures are missing, what was gained in all is known and the single intervals are not.
Captures are placed on the grid by the meter's clock; of several for one point the one read last
counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metertwin.core.batch import Int64s, UInt8s
from metertwin.core.errors import InvalidInputError
from metertwin.core.ids import MeterId
from metertwin.core.interval_table import IntervalTable, KnownSpans
from metertwin.core.profile import align_captures
from metertwin.core.reading import Quality, Register
from metertwin.core.registers import DOUBTS, MARKS

Flags = NDArray[np.bool_]
_US_PER_S = 1_000_000
_S_PER_HOUR = 3600


class CaptureGridError(InvalidInputError):
    """A range that is not on the grid of its period, or captures of other registers."""

    code = "input.capture_grid"


@dataclass(frozen=True, slots=True)
class ConnectionRules:
    """What is known of the connections beforehand.

    Attributes:
        modulus_count: Counts after which a register begins again at 0: 2^32 for the usual
            32 bits, 10^8 for eight digits; 1 to 2^62.
        maximal_power_w: Highest power a connection can carry, above 0.
    """

    modulus_count: int = 1 << 32
    maximal_power_w: float = 100_000.0

    def __post_init__(self) -> None:
        if not (1 <= self.modulus_count <= 1 << 62 and self.maximal_power_w > 0):
            raise CaptureGridError(
                f"A register of {self.modulus_count} counts on a connection of "
                f"{self.maximal_power_w:g} W is impossible; give 1 to 2^62 counts and a power "
                "above 0 W."
            )

    def most_counts(self, register: Register, interval_count: Int64s) -> NDArray[np.float64]:
        """Return the most counts the connection can gain over so many intervals.

        One count is added, because both ends are cut to whole counts.
        """
        hours = interval_count * (register.period_s / _S_PER_HOUR)
        return np.asarray(hours * self.maximal_power_w / 10.0**register.scaler + 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class CaptureGrid:
    """Register values of several meters at the grid points start, start + period, ...

    All matrices have shape (n_meters, n_points); n_points is one more than the intervals.

    Attributes:
        integers: Register integers, 0 where there is no capture.
        is_present: Where there is one.
        quality: `Quality` bits.
        origin: `Origin` values.
    """

    meters: Sequence[MeterId]
    register: Register
    start_us: int
    integers: Int64s
    is_present: Flags
    quality: UInt8s
    origin: UInt8s


@dataclass(frozen=True, slots=True, eq=False)
class CaptureColumns:
    """Captures of one register of several meters, in any order, columns (n,).

    Attributes:
        row: Meter.
        sequences: Number of the reading; of two captures of one point the higher counts.
        captured_at_us: By the meter's clock, microseconds since 1970 UTC.
        integers: Register integers.
        quality: `Quality` bits.
        origin: `Origin` values.
    """

    row: Int64s
    sequences: Int64s
    captured_at_us: Int64s
    integers: Int64s
    quality: UInt8s
    origin: UInt8s


def grid_of(
    meters: Sequence[MeterId],
    register: Register,
    captures: CaptureColumns,
    start_us: int,
    end_us: int,
) -> CaptureGrid:
    """Place captures on the grid points from `start_us` to `end_us`, both included.

    Captures outside the range or more than five seconds off the grid are left out.

    Raises:
        CaptureGridError: The range is reversed or not on the period's grid since 1970 UTC.
        ProfileGridError: The register has no capture period.
    """
    aligned = align_captures(captures.captured_at_us, register.period_s)
    period_us = register.period_s * _US_PER_S
    if start_us > end_us or start_us % period_us or end_us % period_us:
        raise CaptureGridError(
            f"Range {start_us} us to {end_us} us is reversed or off the grid of "
            f"{register.period_s} s; begin and end it on multiples of the period since 1970 UTC.",
            start_us=start_us,
            end_us=end_us,
        )
    point = (aligned.interval_start_us - start_us) // period_us + 1
    shape = (len(meters), (end_us - start_us) // period_us + 1)
    fits = aligned.is_on_grid & (point >= 0) & (point < shape[1])
    # The last assignment to a cell stands, so the highest number comes last.
    order = np.flatnonzero(fits)
    if len(order) > 1 and (np.diff(captures.sequences[order]) < 0).any():
        order = order[np.argsort(captures.sequences[order], kind="stable")]
    at = (captures.row[order], point[order])
    integers = np.zeros(shape, np.int64)
    is_present = np.zeros(shape, bool)
    quality, origin = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    integers[at] = captures.integers[order]
    is_present[at] = True
    quality[at] = captures.quality[order]
    origin[at] = captures.origin[order]
    return CaptureGrid(meters, register, start_us, integers, is_present, quality, origin)


def table_from_captures(grid: CaptureGrid, rules: ConnectionRules) -> IntervalTable:
    """Return the energies between neighbouring captures.

    A rise beyond what the connection can carry is known and marked SUSPECT; a register that does
    not fit into its modulus makes the intervals at both sides unknown.
    """
    integers = grid.integers
    is_present = grid.is_present & (integers >= 0) & (integers < rules.modulus_count)
    before, after = is_present[:, :-1], is_present[:, 1:]
    is_known = before & after
    gain = np.where(is_known, integers[:, 1:] - integers[:, :-1], 0)
    most = float(rules.most_counts(grid.register, np.array([1]))[0])
    if (gain < 0).any():
        gain[gain < 0] += rules.modulus_count
        is_reset = (integers[:, 1:] < integers[:, :-1]) & (gain > most)
        is_known &= ~is_reset
        gain[is_reset] = 0
    quality = grid.quality[:, :-1] & DOUBTS | grid.quality[:, 1:] & (DOUBTS | MARKS)
    quality[gain > most] |= np.uint8(Quality.SUSPECT)
    quality[~is_known] = 0
    origin = np.where(is_known, np.maximum(grid.origin[:, :-1], grid.origin[:, 1:]), 0)
    return IntervalTable(
        meters=grid.meters,
        register=grid.register,
        start_us=grid.start_us,
        gain=gain,
        is_known=is_known,
        quality=quality,
        origin=origin.astype(np.uint8),
        spans=_spans(integers, is_present, grid.register, rules),
    )


def _spans(
    integers: Int64s, is_present: Flags, register: Register, rules: ConnectionRules
) -> KnownSpans:
    """Return what was gained between present captures with missing ones between them."""
    if is_present.all():
        return KnownSpans.none()
    row, point = np.nonzero(is_present)
    follows = np.flatnonzero((row[1:] == row[:-1]) & (point[1:] - point[:-1] > 1))
    first, last = point[follows], point[follows + 1]
    of_row = row[follows]
    gain = integers[of_row, last] - integers[of_row, first]
    fell = gain < 0
    gain[fell] += rules.modulus_count
    is_sound = ~fell | (gain <= rules.most_counts(register, last - first))
    kept = (of_row, first, last - first, gain)
    return KnownSpans(*(column[is_sound].astype(np.int64) for column in kept))
