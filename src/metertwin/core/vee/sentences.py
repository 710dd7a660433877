"""Findings and changes as sentences for the customer whose bill rests on them."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from zoneinfo import ZoneInfo

from metertwin.core.interval_table import IntervalTable
from metertwin.core.local_time import local_label
from metertwin.core.reading import Quality
from metertwin.core.units import scaled
from metertwin.core.vee.estimation import EstimationMethod
from metertwin.core.vee.finding import VeeFinding
from metertwin.core.vee.rules import VeeCheck

_AGAINST = {
    VeeCheck.NEGATIVE: "{value} is below {limit}, which a register that only grows cannot gain",
    VeeCheck.MAXIMAL_POWER: "{value} is more than the {limit} the connection can carry",
    VeeCheck.SPIKE: "{value} stands out: the day's other values and usual peaks allow {limit}",
    VeeCheck.ZERO_RUN: "nothing was counted for {value}, more than {limit}, for the first time",
    VeeCheck.FLAT: "one and the same value came for {value}, more than {limit}",
    VeeCheck.HIGH_DAY: "{value} is unusually much: like days allow {limit}",
    VeeCheck.LOW_DAY: "{value} is unusually little: like days have at least {limit}",
    VeeCheck.SUM: "the intervals have {value}, the register gained {limit}",
}
_HOW = {
    EstimationMethod.INTERPOLATED: "on a straight line between the values before and after",
    EstimationMethod.LIKE_DAYS: "from this meter's like days at the same time of day",
    EstimationMethod.OTHER_DAYS: "from this meter's other days at the same time of day",
    EstimationMethod.CLASS_AVERAGE: "from the mean of the group's other meters",
    EstimationMethod.ZERO: "as 0, because there is nothing to go by",
    EstimationMethod.EVEN: "in equal shares",
    EstimationMethod.REMAINDER: "as what the register gained less what is known",
    EstimationMethod.STOOD_STILL: "as 0, because the register stood still",
}

_SHARED = {
    EstimationMethod.LIKE_DAYS: "in the shape of this meter's like days",
    EstimationMethod.OTHER_DAYS: "in the shape of this meter's other days",
    EstimationMethod.CLASS_AVERAGE: "in the shape of the group's other meters",
    EstimationMethod.EVEN: "in equal parts",
    EstimationMethod.STOOD_STILL: "as 0, because the register stood still",
}


class _Change(Protocol):
    """What a sentence needs of an entry of the audit."""

    @property
    def first_index(self) -> int: ...
    @property
    def interval_count(self) -> int: ...
    @property
    def action(self) -> str: ...
    @property
    def before_counts(self) -> tuple[int | None, ...]: ...
    @property
    def after_counts(self) -> tuple[int | None, ...]: ...
    @property
    def reasons(self) -> tuple[VeeCheck, ...]: ...
    @property
    def method(self) -> EstimationMethod: ...
    @property
    def total_gain(self) -> int | None: ...
    @property
    def by(self) -> str: ...
    @property
    def at(self) -> datetime | None: ...
    @property
    def words(self) -> str: ...


def finding_sentence(finding: VeeFinding, table: IntervalTable, zone: ZoneInfo) -> str:
    """Return what was found, when, and against which limit."""
    time = _time(finding.first_index, finding.interval_count, table, zone)
    if finding.check is VeeCheck.QUALITY:
        names = [flag.name or "" for flag in Quality(int(finding.value))]
        return f"{time}: the meter itself marked its values {', '.join(names)}."
    against = _AGAINST[finding.check].format(
        value=_amount(finding.value, finding.unit), limit=_amount(finding.limit, finding.unit)
    )
    return f"{time}: {against}."


def audit_sentences(
    entries: Sequence[_Change], table: IntervalTable, zone: ZoneInfo
) -> list[tuple[int, str]]:
    """Return first interval and sentence of each change; neighbouring totals share a sentence.

    Args:
        entries: Of one meter, estimates by interval.
        table: Which they are of.
        zone: For local times.
    """
    told: list[tuple[int, str]] = []
    totals: list[_Change] = []
    for entry in entries:
        is_next = totals and totals[-1].first_index + totals[-1].interval_count == entry.first_index
        if totals and not (is_next and _is_shared_total(entry)):
            told.append((totals[0].first_index, _totals_sentence(totals, table, zone)))
            totals = []
        if _is_shared_total(entry):
            totals.append(entry)
        else:
            told.append((entry.first_index, _audit_sentence(entry, table, zone)))
    if totals:
        told.append((totals[0].first_index, _totals_sentence(totals, table, zone)))
    return told


def _is_shared_total(entry: _Change) -> bool:
    """Say whether a run has a total of its own, which its intervals share."""
    counts = [count for count in entry.after_counts if count is not None]
    return (
        entry.interval_count > 1
        and entry.method in _SHARED
        and entry.total_gain is not None
        and entry.total_gain == sum(counts)
        and all(count is None for count in entry.before_counts)
    )


def _totals_sentence(entries: Sequence[_Change], table: IntervalTable, zone: ZoneInfo) -> str:
    count = sum(entry.interval_count for entry in entries)
    time = _time(entries[0].first_index, count, table, zone)
    energy = _sum([entry.total_gain for entry in entries], table)
    hours = sorted({_hours(entry.interval_count, table) for entry in entries})
    length = f"{hours[0]:f} h" if len(hours) == 1 else f"{hours[0]:f} to {hours[-1]:f} h"
    methods = list(dict.fromkeys(entry.method for entry in entries))
    if len(methods) > 1:  # a total of 0 is shared in any way
        methods = [method for method in methods if method is not EstimationMethod.STOOD_STILL]
    how = " or ".join(_SHARED[method] for method in methods)
    if len(entries) == 1:
        return f"{time}: only a total of {energy} over {length} is known; shared {how}."
    return (
        f"{time}: only totals over {length} are known, {len(entries)} of them with {energy} in "
        f"all; each shared {how}."
    )


def _hours(interval_count: int, table: IntervalTable) -> Decimal:
    return (Decimal(interval_count * table.register.period_s) / 3600).normalize()


def _audit_sentence(entry: _Change, table: IntervalTable, zone: ZoneInfo) -> str:
    """Return what was changed, from what to what, how and why."""
    time = _time(entry.first_index, entry.interval_count, table, zone)
    after = _sum(entry.after_counts, table)
    if entry.action in ("edited", "withdrawn"):
        by = f"by {entry.by} on {entry.at:%Y-%m-%d %H:%M %Z}" if entry.at else f"by {entry.by}"
        if entry.action == "withdrawn":
            return f"{time}: a correction was withdrawn {by}: {entry.words}."
        before = _sum(entry.before_counts, table)
        return f"{time}: corrected from {before} to {after} {by}: {entry.words}."
    is_replaced = any(count is not None for count in entry.before_counts)
    why = (
        f"{_sum(entry.before_counts, table)} failed validation ({', '.join(entry.reasons)})"
        if is_replaced
        else "no values came from the meter"
    )
    if entry.action == "left_unknown":
        return f"{time}: {why}, and nothing is known to estimate them from; they stay unknown."
    kept = ""
    if entry.total_gain is not None:
        kept = f"; the register's gain of {_sum((entry.total_gain,), table)} is kept exactly"
    return f"{time}: {why}; estimated as {after} {_HOW[entry.method]}{kept}."


def _time(first_index: int, interval_count: int, table: IntervalTable, zone: ZoneInfo) -> str:
    start_us = table.start_us + first_index * table.period_us
    end_us = start_us + interval_count * table.period_us
    return f"{local_label(start_us, zone)} to {local_label(end_us, zone)}"


def _sum(counts: Sequence[int | None], table: IntervalTable) -> str:
    known = [count for count in counts if count is not None]
    if not known:
        return "unknown"
    return _amount(scaled(sum(known), table.register.scaler), table.register.unit.symbol)


def _amount(value: Decimal, unit: str) -> str:
    return f"{value:f} {unit}".strip()
