"""The whole of it: edits first, then checks, then estimates for what is still missing.

Edits come first because a person's word needs no check and is good to estimate from. Only what a
meter measured is judged, and only that and edits are estimated from, never an estimate: so running
again over a result changes nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from metertwin.core.interval_table import IntervalTable, IntervalTableError, KnownSpans
from metertwin.core.reading import Origin, Quality
from metertwin.core.vee.days import TableDays
from metertwin.core.vee.edits import Edit, PlacedEdit, place_edits
from metertwin.core.vee.estimation import EstimatedRun, EstimationMethod, estimate
from metertwin.core.vee.finding import VeeFinding
from metertwin.core.vee.result import AuditAction, AuditEntry, VeeResult
from metertwin.core.vee.rules import VeeCheck, VeeRules
from metertwin.core.vee.subject import Subject
from metertwin.core.vee.totals import RangeGains, find_totals
from metertwin.core.vee.validation import Validated, validate

Flags = NDArray[np.bool_]
_SUSPECT = np.uint8(Quality.SUSPECT)
_DOUBTS = np.uint8(
    Quality.SUSPECT | Quality.CRITICAL_ERROR | Quality.CLOCK_INVALID | Quality.DATA_INVALID
)


def validate_estimate_edit(
    table: IntervalTable,
    rules: VeeRules,
    edits: Sequence[Edit] = (),
    *,
    zone: ZoneInfo,
    holidays: Collection[date] = frozenset(),
    register_readings: RangeGains | None = None,
    limits_w: NDArray[np.float64] | None = None,
) -> VeeResult:
    """Return the table with doubtful values marked, gaps estimated and edits put in.

    Deterministic; run again over its own table it changes nothing. Measured values stay as they
    are unless a check of `rules.replaced_after` failed or an edit says otherwise, and the audit
    has what was there before.

    Args:
        table: Gains; it is not changed.
        rules: Checks, limits and methods.
        edits: Those about this table (`edits_about`), withdrawn ones included.
        zone: Where the meters are: days, times of day and sentences are local.
        holidays: Days to be taken as Sundays.
        register_readings: What each register gained over the whole table, where that is known.
        limits_w: Highest power of each connection, above 0, shape (n_meters,); var for varh.

    Raises:
        EditError: Edits do not fit the table.
        IntervalTableError: Spans overlap, or limits are not one per meter.
    """
    _check(table, register_readings, limits_w)
    table, audit = _edited(table, place_edits(edits, table))
    days = TableDays.of(table, zone, holidays)
    validated = validate(Subject.of(table, days, limits_w), rules)
    before = table.gain.copy()
    _take_away(table, validated)
    is_missing = ~table.is_known
    totals, sum_findings = find_totals(table, is_missing, register_readings, rules)
    runs = estimate(
        table.gain,
        _is_sound(table),
        is_missing,
        days,
        totals=totals,
        rules=rules,
        period_s=table.register.period_s,
    )
    taken = [finding for finding in validated.findings if finding.check in rules.replaced_after]
    for run in runs:
        audit.append(_estimated(table, run, (before, validated.is_taken), taken))
    findings = sorted([*validated.findings, *sum_findings])
    return VeeResult(replace(table, spans=KnownSpans.none()), findings, audit, zone)


def _check(
    table: IntervalTable, range_gains: RangeGains | None, limits_w: NDArray[np.float64] | None
) -> None:
    shape = (len(table.meters),)
    if (
        range_gains is not None
        and not range_gains.gain.shape == range_gains.is_known.shape == shape
    ):
        raise IntervalTableError(
            f"Register readings are given for {len(range_gains.gain)} meters, the table has "
            f"{shape[0]}; give one for each."
        )
    if limits_w is not None and (limits_w.shape != shape or not (limits_w > 0).all()):
        raise IntervalTableError(
            f"Limits of power are given for {len(limits_w)} meters, the table has {shape[0]}; "
            "give one above 0 W for each."
        )


def _edited(
    table: IntervalTable, placed: Sequence[PlacedEdit]
) -> tuple[IntervalTable, list[AuditEntry]]:
    """Return a copy of the table with the edits in it, and what they changed."""
    table = replace(
        table,
        gain=np.where(table.is_known, table.gain, 0).astype(np.int64),
        is_known=table.is_known.copy(),
        quality=table.quality.copy(),
        origin=table.origin.copy(),
    )
    return table, [_applied(table, each) for each in placed]


def _applied(table: IntervalTable, placed: PlacedEdit) -> AuditEntry:
    edit, stop = placed.edit, placed.first_index + len(placed.gains)
    at = np.s_[placed.row, placed.first_index : stop]
    before = _counts(table.gain[at], table.is_known[at])
    if edit.withdrawn_at is not None:
        return AuditEntry(
            placed.row,
            placed.first_index,
            AuditAction.WITHDRAWN,
            before,
            before,
            by=edit.withdrawn_by,
            at=edit.withdrawn_at,
            words=edit.withdrawn_reason,
        )
    table.gain[at] = placed.gains
    table.is_known[at] = True
    table.quality[at] &= ~_DOUBTS
    table.origin[at] = Origin.SUBSTITUTED
    return AuditEntry(
        placed.row,
        placed.first_index,
        AuditAction.EDITED,
        before,
        placed.gains,
        by=edit.by,
        at=edit.at,
        words=edit.reason,
    )


def _take_away(table: IntervalTable, validated: Validated) -> None:
    """Mark what failed, and make unknown what is to be replaced."""
    table.quality[validated.is_failed] |= _SUSPECT
    taken = validated.is_taken
    if taken.any():
        table.gain[taken] = 0
        table.is_known[taken] = False
        table.quality[taken] &= ~_DOUBTS


def _is_sound(table: IntervalTable) -> Flags:
    """Say which values may be estimated from: good ones of days with supply, no estimates."""
    spoilt = np.uint8(Quality.SUSPECT | Quality.POWER_DOWN)
    is_own = table.origin != Origin.ESTIMATED
    return np.asarray(table.is_known & is_own & ((table.quality & spoilt) == 0))


def _estimated(
    table: IntervalTable,
    run: EstimatedRun,
    taken: tuple[NDArray[np.int64], Flags],
    taking: Sequence[VeeFinding],
) -> AuditEntry:
    """Write a run into the table and return what is to be said of it."""
    at = np.s_[run.row, run.first_index : run.first_index + run.interval_count]
    gain_before, is_taken = taken
    before = _counts(gain_before[at], is_taken[at])
    reasons = {finding.check for finding in taking if is_taken[at].any() and _overlap(finding, run)}
    if not is_taken[at].all():
        reasons.add(VeeCheck.MISSING)
    is_left = run.method is EstimationMethod.NONE
    if not is_left:
        table.gain[at] = run.gains
        table.is_known[at] = True
        table.origin[at] = Origin.ESTIMATED
        if run.is_doubtful:
            table.quality[at] |= _SUSPECT
    return AuditEntry(
        run.row,
        run.first_index,
        AuditAction.LEFT_UNKNOWN if is_left else AuditAction.ESTIMATED,
        before,
        (None,) * run.interval_count if is_left else run.gains,
        reasons=tuple(sorted(reasons)),
        method=run.method,
        total_gain=run.total_gain,
    )


def _overlap(finding: VeeFinding, run: EstimatedRun) -> bool:
    return finding.row == run.row and (
        finding.first_index < run.first_index + run.interval_count
        and run.first_index < finding.first_index + finding.interval_count
    )


def _counts(gain: NDArray[np.int64], is_known: Flags) -> tuple[int | None, ...]:
    pairs = zip(gain.tolist(), is_known.tolist(), strict=True)
    return tuple(count if known else None for count, known in pairs)
