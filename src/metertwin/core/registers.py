"""What registers gained: interval energies out of cumulative readings, many series at once.

The rules a bill rests on. A register that falls went through its end if the gain that implies is
possible at the connection's maximal power; otherwise it was reset and the gain is not known. Two
meters have no gain between them. Where captures are missing, what was gained over the whole time
stands in one long interval and the time is listed as a gap: nothing is ever spread over it. The
outcome depends on the set of readings alone, not on their order, so a re-run is identical.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metertwin.core.batch import Int64s, UInt8s
from metertwin.core.reading import Quality
from metertwin.core.register_order import OrderedReadings, elapsed_by_gateway_us, order_readings
from metertwin.core.register_series import (
    US_PER_S,
    Finding,
    FindingKind,
    Gains,
    GapColumns,
    GapKind,
    IntervalColumns,
    RegisterColumns,
    Replacement,
    SeriesRules,
)

Flags = NDArray[np.bool_]

# A doubt about a value spoils both intervals it bounds; a mark such as POWER_DOWN tells of the
# time before the capture only. DAYLIGHT_SAVING says nothing once the start is in UTC.
_DOUBTS = np.uint8(
    Quality.CRITICAL_ERROR | Quality.CLOCK_INVALID | Quality.DATA_INVALID | Quality.SUSPECT
)
_MARKS = np.uint8(Quality.CLOCK_ADJUSTED | Quality.RECOVERED | Quality.POWER_DOWN)


def energy_gained(
    columns: RegisterColumns,
    rules: SeriesRules,
    replacements: Sequence[Replacement] = (),
) -> Gains:
    """Return what each series gained between its readings.

    Args:
        columns: Readings in any order, repeated and corrected ones included.
        rules: Register width, scaler, maximal power and capture period per series.
        replacements: When another meter took a series over. A removal reading and an
            installation reading one microsecond apart leave nothing unknown.

    Returns:
        Intervals with known gain, gaps, and findings; all sorted, and the same for every order
        of the same readings. Without reset and replacement, a series' gains sum to its last
        integer less its first, plus the modulus per rollover found.

    Raises:
        RegisterColumnsError: Columns differ in length or a series has no rules.
    """
    columns.check(rules)
    modulus = rules.modulus_count[columns.series]
    fits = (columns.integers >= 0) & (columns.integers < modulus)
    ordered = order_readings(columns.take(fits), rules, replacements)
    pairs = _Pairs.of(ordered, rules)
    findings = [
        *_findings_about_readings(columns.take(~fits), FindingKind.OUT_OF_RANGE),
        *_findings_about_corrections(columns.take(fits), ordered),
        *pairs.findings(),
    ]
    return Gains(pairs.intervals(), pairs.gaps(rules), sorted(set(findings)))


def quality_between(before_quality: UInt8s, after_quality: UInt8s) -> UInt8s:
    """Return what the `Quality` bits of two readings say of the interval between them."""
    return before_quality & _DOUBTS | after_quality & (_DOUBTS | _MARKS)


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Neighbours of one series in true order, all columns of shape (n_pairs,)."""

    before: RegisterColumns
    after: RegisterColumns
    length_us: Int64s
    gain: Int64s  # only where neither reset nor replaced
    is_rollover: Flags
    is_reset: Flags
    is_replaced: Flags
    is_shifted: Flags
    is_ahead: Flags  # either end claims to come from the future
    is_implausible: Flags
    is_ambiguous: Flags

    @classmethod
    def of(cls, ordered: OrderedReadings, rules: SeriesRules) -> "_Pairs":
        """Pair the readings and judge each pair."""
        rows = np.flatnonzero(ordered.columns.series[1:] == ordered.columns.series[:-1])
        before, after = ordered.columns.take(rows), ordered.columns.take(rows + 1)
        is_replaced = ordered.meter_numbers[rows] != ordered.meter_numbers[rows + 1]
        is_set_back = ~is_replaced & (
            ordered.section_numbers[rows] != ordered.section_numbers[rows + 1]
        )
        captured_us = after.captured_at_us - before.captured_at_us
        received_us = after.received_at_us - before.received_at_us
        tolerance_us = round(rules.clock_tolerance_s * US_PER_S)
        was_ahead = before.captured_at_us - before.received_at_us > tolerance_us
        is_ahead = after.captured_at_us - after.received_at_us > tolerance_us
        is_polled = rules.period_s[before.series] == 0
        jumped = is_polled & (np.abs(captured_us - received_us) > tolerance_us)
        is_shifted = is_set_back | (~is_replaced & (jumped | (was_ahead != is_ahead)))

        step = after.integers - before.integers
        modulus = rules.modulus_count[before.series]
        gain = np.where(step < 0, step + modulus, step)
        by_gateway_us = elapsed_by_gateway_us(before, after, rules)
        # A clock may be moved by less than the tolerance between two polls: either may be right.
        elapsed_us = np.where(is_polled, np.maximum(captured_us, received_us), captured_us)
        elapsed_us = np.where(is_shifted, by_gateway_us, elapsed_us)
        most = rules.plausible_counts(before.series, elapsed_us)
        is_reset = ~is_replaced & (step < 0) & (gain > most)
        has_gain = ~is_replaced & ~is_reset
        return cls(
            before=before,
            after=after,
            length_us=np.where(is_set_back, np.maximum(received_us, 0), captured_us),
            gain=gain,
            is_rollover=has_gain & (step < 0),
            is_reset=is_reset,
            is_replaced=is_replaced,
            is_shifted=is_shifted,
            is_ahead=was_ahead | is_ahead,
            is_implausible=has_gain & (gain > most),
            is_ambiguous=has_gain & (gain + modulus.astype(np.float64) <= most),
        )

    def intervals(self) -> IntervalColumns:
        """Return the pairs whose gain is known."""
        known = ~(self.is_reset | self.is_replaced)
        return IntervalColumns(
            series=self.before.series[known],
            start_us=self.before.captured_at_us[known],
            length_us=self.length_us[known],
            gain=self.gain[known],
            quality=self._quality()[known],
            origin=np.maximum(self.before.origin, self.after.origin)[known],
            received_at_us=np.maximum(self.before.received_at_us, self.after.received_at_us)[known],
        )

    def _quality(self) -> UInt8s:
        quality = quality_between(self.before.quality, self.after.quality)
        quality[self.is_implausible | self.is_ambiguous] |= Quality.SUSPECT.value
        quality[self.is_shifted] |= Quality.CLOCK_ADJUSTED.value
        quality[self.is_ahead] |= Quality.CLOCK_INVALID.value
        return quality

    def gaps(self, rules: SeriesRules) -> GapColumns:
        """Return the pairs further apart than their period, and those without known gain."""
        period_us = rules.period_s[self.before.series] * US_PER_S
        kind = np.full(len(self.before), GapKind.MISSING, np.uint8)
        kind[self.is_reset] = GapKind.RESET
        kind[self.is_replaced] = GapKind.REPLACED
        # Captures jitter by seconds; half a period more means that one is not there.
        is_long = (period_us > 0) & (2 * self.length_us > 3 * period_us)
        is_gap = is_long | self.is_reset | self.is_replaced
        return GapColumns(
            self.before.series[is_gap],
            self.before.captured_at_us[is_gap],
            self.length_us[is_gap],
            kind[is_gap],
        )

    def findings(self) -> list[Finding]:
        """Return one finding for each flag of each pair."""
        flags = {
            FindingKind.ROLLOVER: self.is_rollover,
            FindingKind.RESET: self.is_reset,
            FindingKind.REPLACED: self.is_replaced,
            FindingKind.CLOCK_SHIFT: self.is_shifted,
            FindingKind.IMPLAUSIBLE: self.is_implausible,
            FindingKind.AMBIGUOUS: self.is_ambiguous,
        }
        return [
            _finding(kind, self.before, row, self.after, row)
            for kind, is_found in flags.items()
            for row in np.flatnonzero(is_found).tolist()
        ]


def _findings_about_readings(readings: RegisterColumns, kind: FindingKind) -> list[Finding]:
    return [_finding(kind, readings, row, readings, row) for row in range(len(readings))]


def _findings_about_corrections(
    readings: RegisterColumns, ordered: OrderedReadings
) -> list[Finding]:
    return [
        _finding(FindingKind.CORRECTED, readings, dropped, readings, kept)
        for dropped, kept in ordered.corrected_rows
    ]


def _finding(
    kind: FindingKind, before: RegisterColumns, row: int, after: RegisterColumns, after_row: int
) -> Finding:
    return Finding(
        series=int(before.series[row]),
        before_us=int(before.captured_at_us[row]),
        after_us=int(after.captured_at_us[after_row]),
        kind=kind,
        before_integer=int(before.integers[row]),
        after_integer=int(after.integers[after_row]),
    )
