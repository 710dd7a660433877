"""The checks, each a few passes over all meters, and the order in which they take values away.

A check that takes values away changes what the others see: the third largest of a day, its sum.
So the checks run again on what is left until none takes anything; what is then found stands beside
what was taken. This also makes a second run over the result find nothing new.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from metertwin.core.reading import Quality
from metertwin.core.units import scaled
from metertwin.core.vee.finding import RunColumns, VeeFinding, runs_of
from metertwin.core.vee.rules import VeeCheck, VeeRules
from metertwin.core.vee.subject import Subject
from metertwin.core.vee.usage_days import find_unusual_days

Flags = NDArray[np.bool_]
_FLAT_FITTING_MIN = 2
_DOUBTS = np.uint8(Quality.CRITICAL_ERROR | Quality.CLOCK_INVALID | Quality.DATA_INVALID)


@dataclass(frozen=True, slots=True, eq=False)
class Validated:
    """What the checks came to.

    Attributes:
        findings: Sorted by meter and interval.
        is_failed: Judged intervals that a finding speaks of, shape (n_meters, n_intervals).
        is_taken: Those whose value is to be replaced.
    """

    findings: Sequence[VeeFinding]
    is_failed: Flags
    is_taken: Flags


def validate(subject: Subject, rules: VeeRules) -> Validated:
    """Run all checks of single intervals, runs and days."""
    taken_findings: list[VeeFinding] = []
    is_taken = np.zeros(subject.gain.shape, dtype=bool)
    while True:
        found = [finding for check in _CHECKS for finding in check(subject, rules)]
        taking = [finding for finding in found if finding.check in rules.replaced_after]
        newly = _flags_of(taking, subject.gain.shape) & subject.is_judged
        if not newly.any():
            break
        taken_findings += taking
        is_taken |= newly
        subject = replace(subject, is_judged=subject.is_judged & ~newly)
    is_failed = _flags_of(found, subject.gain.shape) & subject.is_judged
    findings = [*find_missing(subject), *taken_findings, *found]
    return Validated(sorted(findings), is_failed, is_taken)


def find_missing(subject: Subject) -> list[VeeFinding]:
    """Find runs of intervals that are not known."""
    table = subject.table
    if table.is_known.all():
        return []
    runs = runs_of(~table.is_known)
    return [
        VeeFinding(row, first, count, VeeCheck.MISSING, subject.hours(count), scaled(0, 0), "h")
        for row, first, count in _rows_of(runs)
    ]


def find_negative(subject: Subject, rules: VeeRules) -> list[VeeFinding]:  # noqa: ARG001
    """Find gains below 0: a register that only grows has none."""
    return [
        _of_interval(subject, at, VeeCheck.NEGATIVE, 0.0)
        for at in np.argwhere((subject.gain < 0) & subject.is_judged).tolist()
    ]


def find_too_much_power(subject: Subject, rules: VeeRules) -> list[VeeFinding]:  # noqa: ARG001
    """Find gains beyond what the connection can carry, one count for rounding allowed."""
    if subject.limits_w is None:
        return []
    register = subject.table.register
    most = subject.limits_w * (register.period_s / 3600) / 10.0**register.scaler + 1.0
    return [
        _of_interval(subject, at, VeeCheck.MAXIMAL_POWER, float(most[at[0]]))
        for at in np.argwhere((subject.gain > most[:, None]) & subject.is_judged).tolist()
    ]


def find_spikes(subject: Subject, rules: VeeRules) -> list[VeeFinding]:
    """Find intervals far above the third largest of their day and above the usual daily peak.

    Usual is the third largest peak of the other days, so that two bad days hide no third one and
    a car that is charged now and then is no news. It takes a second day to find a spike.
    """
    days = subject.days
    if rules.spike_factor is None or not len(days.first_index):
        return []
    gain = np.where(subject.is_judged, subject.gain, -1)
    peaks = np.maximum.reduceat(gain, days.first_index, axis=1)
    thirds = np.full(peaks.shape, -1, np.int64)
    for day, (first, count) in enumerate(
        zip(days.first_index.tolist(), days.interval_count.tolist(), strict=True)
    ):
        if count >= 3:
            thirds[:, day] = np.partition(gain[:, first : first + count], -3, axis=1)[:, -3]
    findings = []
    for row, day in np.argwhere((peaks > rules.spike_factor * thirds) & (thirds >= 0)).tolist():
        others = np.delete(peaks[row], day)
        others = others[others >= 0]
        usual = np.sort(others)[-3:][0] if len(others) else np.inf
        limit = max(rules.spike_factor * thirds[row, day], rules.spike_usual_factor * usual)
        first, count = int(days.first_index[day]), int(days.interval_count[day])
        is_spike = (gain[row, first : first + count] > limit) & (limit > 0)
        findings += [
            _of_interval(subject, [row, first + at], VeeCheck.SPIKE, limit)
            for at in np.flatnonzero(is_spike).tolist()
        ]
    return findings


def find_zero_runs(subject: Subject, rules: VeeRules) -> list[VeeFinding]:
    """Find the first long time without energy of a meter that had energy before.

    Intervals in which the supply failed are no part of it: their zeros are true. Fed-in energy is
    left out, because snow is no fault.
    """
    if rules.zero_run_hours is None or subject.is_feed_in:
        return []
    runs = runs_of((subject.gain == 0) & subject.is_judged & ~subject.is_out)
    most = subject.most_intervals(rules.zero_run_hours)
    is_long = runs.interval_count > most
    has_energy = (subject.gain > 0) & subject.is_judged
    count = subject.table.interval_count
    first_energy = np.where(has_energy, np.arange(count), count).min(axis=1, initial=count)
    seen: set[int] = set()
    findings = []
    for row, first, length in _rows_of(RunColumns(*(column[is_long] for column in runs))):
        if row not in seen and first_energy[row] < first:
            hours, limit = subject.hours(length), _limit_h(rules.zero_run_hours)
            findings.append(VeeFinding(row, first, length, VeeCheck.ZERO_RUN, hours, limit, "h"))
        seen.add(row)
    return findings


def find_flat_runs(subject: Subject, rules: VeeRules) -> list[VeeFinding]:
    """Find one and the same value, not small, over hours.

    Intervals so long that one fills those hours are left out: two days alike are no frozen value.
    """
    if rules.flat_hours is None or subject.most_intervals(rules.flat_hours) < _FLAT_FITTING_MIN:
        return []
    gain, is_judged = subject.gain, subject.is_judged
    is_same = (gain[:, 1:] == gain[:, :-1]) & (gain[:, 1:] >= rules.flat_gain_min)
    runs = runs_of(is_same & is_judged[:, 1:] & is_judged[:, :-1])
    most = subject.most_intervals(rules.flat_hours)
    # A run of n equal neighbours is n + 1 intervals long.
    is_long = runs.interval_count + 1 > most
    limit = _limit_h(rules.flat_hours)
    return [
        VeeFinding(row, first, count + 1, VeeCheck.FLAT, subject.hours(count + 1), limit, "h")
        for row, first, count in _rows_of(RunColumns(*(column[is_long] for column in runs)))
    ]


def find_doubts(subject: Subject, rules: VeeRules) -> list[VeeFinding]:  # noqa: ARG001
    """Find what the meter itself doubts: its clock, its data, its state."""
    bits = np.where(subject.is_judged, subject.table.quality & _DOUBTS, 0)
    if not bits.any():
        return []
    findings = []
    for row, first, count in _rows_of(runs_of(bits > 0)):
        seen = int(np.bitwise_or.reduce(bits[row, first : first + count]))
        findings.append(
            VeeFinding(row, first, count, VeeCheck.QUALITY, scaled(seen, 0), scaled(0, 0), "")
        )
    return findings


_Check = Callable[[Subject, VeeRules], list[VeeFinding]]
_CHECKS: tuple[_Check, ...] = (
    find_negative,
    find_too_much_power,
    find_spikes,
    find_zero_runs,
    find_flat_runs,
    find_unusual_days,
    find_doubts,
)


def _of_interval(
    subject: Subject, at: Sequence[int], check: VeeCheck, limit_counts: float
) -> VeeFinding:
    row, column = at
    value = subject.value(int(subject.gain[row, column]))
    return VeeFinding(row, column, 1, check, value, subject.limit(limit_counts), subject.unit)


def _limit_h(hours: float) -> Decimal:
    return Decimal(str(hours)).normalize()


def _rows_of(runs: RunColumns) -> list[tuple[int, int, int]]:
    return list(zip(*(column.tolist() for column in runs), strict=True))


def _flags_of(findings: Sequence[VeeFinding], shape: tuple[int, ...]) -> Flags:
    flags = np.zeros(shape, dtype=bool)
    for finding in findings:
        stop = finding.first_index + finding.interval_count
        flags[finding.row, finding.first_index : stop] = True
    return flags
