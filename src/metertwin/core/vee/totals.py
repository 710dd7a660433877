"""Totals that estimates must meet: what a register gained over intervals not known one by one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metertwin.core.batch import Int64s
from metertwin.core.interval_table import IntervalTable, IntervalTableError
from metertwin.core.units import scaled
from metertwin.core.vee.finding import VeeFinding
from metertwin.core.vee.rules import VeeCheck, VeeRules

Flags = NDArray[np.bool_]
NO_TOTAL = -1


@dataclass(frozen=True, slots=True, eq=False)
class RangeGains:
    """What each meter's register gained over the whole table, by its readings at both ends.

    Attributes:
        gain: Counts, shape (n_meters,); any where not known.
        is_known: Whether both readings are there and one meter's, shape (n_meters,).
    """

    gain: Int64s
    is_known: Flags

    @classmethod
    def of(
        cls, start_integers: Int64s, end_integers: Int64s, is_known: Flags, modulus_count: int
    ) -> "RangeGains":
        """Subtract readings of registers that may have gone through their end once."""
        return cls((end_integers - start_integers) % modulus_count, is_known)


@dataclass(frozen=True, slots=True, eq=False)
class Totals:
    """Totals and the intervals that share them.

    Attributes:
        total_index: Total each missing interval belongs to, `NO_TOTAL` for none, shape
            (n_meters, n_intervals).
        gain: Counts that each total's intervals must sum to, from 0.
    """

    total_index: Int64s
    gain: Sequence[int]


def find_totals(
    table: IntervalTable, is_missing: Flags, range_gains: RangeGains | None, rules: VeeRules
) -> tuple[Totals, list[VeeFinding]]:
    """Return what missing intervals must sum to, and what does not sum up.

    A span shares its gain, less what was edited in it, among what is missing of it. Where the
    gain of the whole range is known, the gaps without a span share what is left of it.

    Raises:
        IntervalTableError: Spans overlap or reach over the table.
    """
    total_index = np.full(table.gain.shape, NO_TOTAL, np.int64)
    gains, findings = _of_spans(table, is_missing, total_index)
    if range_gains is not None:
        in_spans = [0] * len(table.meters)
        for row, gain in zip(table.spans.row.tolist(), gains, strict=True):
            in_spans[row] += gain
        known = np.where(is_missing, 0, table.gain).sum(axis=1, dtype=np.int64)
        for row in np.flatnonzero(range_gains.is_known).tolist():
            total = int(range_gains.gain[row])
            left = total - int(known[row]) - in_spans[row]
            is_open = is_missing[row] & (total_index[row] == NO_TOTAL)
            is_off = abs(left) > rules.sum_tolerance_counts
            if left < -rules.sum_tolerance_counts or (is_off and not is_open.any()):
                run = (row, 0, table.interval_count)
                findings.append(_mismatch(table, run, total - left, total))
            if is_open.any():
                total_index[row, is_open] = len(gains)
                gains.append(max(left, 0))
    return Totals(total_index, gains), findings


def _of_spans(
    table: IntervalTable, is_missing: Flags, total_index: Int64s
) -> tuple[list[int], list[VeeFinding]]:
    spans = table.spans
    columns = (spans.row, spans.first_index, spans.interval_count, spans.gain)
    gains: list[int] = []
    findings = []
    for row, first, count, gain in zip(*(column.tolist() for column in columns), strict=True):
        inside = np.s_[row, first : first + count]
        if first < 0 or first + count > table.interval_count or (total_index[inside] >= 0).any():
            raise IntervalTableError(
                f"Span of {count} intervals from interval {first} on of meter "
                f"{table.meters[row]} overlaps another or reaches over the table's "
                f"{table.interval_count} intervals; give spans apart and inside."
            )
        known = int(table.gain[inside][~is_missing[inside]].sum())
        left = gain - known
        if left < 0 or (left > 0 and not is_missing[inside].any()):
            findings.append(_mismatch(table, (row, first, count), known, gain))
        total_index[inside] = np.where(is_missing[inside], len(gains), NO_TOTAL)
        gains.append(max(left, 0))
    return gains, findings


def _mismatch(
    table: IntervalTable, run: tuple[int, int, int], seen: int, expected: int
) -> VeeFinding:
    scaler, unit = table.register.scaler, table.register.unit.symbol
    return VeeFinding(*run, VeeCheck.SUM, scaled(seen, scaler), scaled(expected, scaler), unit)


def shared(gain: int, shares: Sequence[int]) -> list[int]:
    """Return counts split in proportion to whole shares: largest remainders, no count lost or made.

    Shares that are all 0 count as equal. Of equal remainders the earlier gets the count.

    Example:
        >>> shared(10, [1, 1, 1]), shared(7, [0, 3, 1]), shared(2, [0, 0])
        ([4, 3, 3], [0, 5, 2], [1, 1])
    """
    total = sum(shares)
    if not total:
        shares, total = [1] * len(shares), len(shares)
    parts = [gain * share // total for share in shares]
    remainders = [gain * share % total for share in shares]
    order = sorted(range(len(shares)), key=lambda at: (-remainders[at], at))
    for at in order[: gain - sum(parts)]:
        parts[at] += 1
    return parts
