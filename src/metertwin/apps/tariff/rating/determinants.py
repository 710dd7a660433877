"""What prices apply to, per meter and month: energies, peaks, power factor."""

from dataclasses import dataclass
from decimal import Decimal
from math import isqrt

import numpy as np

from metertwin.apps.tariff.demand import DemandMeasure
from metertwin.apps.tariff.rating.axis import Runs
from metertwin.apps.tariff.rating.fixed import Fixed
from metertwin.apps.tariff.rating.plan import PeakPlan, Plan, kw_per_count
from metertwin.apps.tariff.rating.reduction import run_peaks, run_sums
from metertwin.apps.tariff.rating.usage import Counts, RatingError, UsageBatch
from metertwin.core.batch import Int64s

_KVA_DIGITS = 3
_SQUARES_MAX = 2**31


@dataclass(frozen=True, slots=True, eq=False)
class RunEnergies:
    """Energy of each run in counts, shape (n_meters, n_runs); a count is 10^(3 - digits) kWh."""

    runs: Runs
    counts: Int64s
    scaler: int

    def of_month(self, month_index: int) -> tuple[Int64s, Int64s]:
        """Return a month's counts per run, shape (n_meters, n), and each run's slot."""
        part = self.runs.of_month(month_index)
        return self.counts[:, part], self.runs.run_slot_index[part]

    def in_slot(self, month_index: int, slot_index: int) -> Fixed:
        """Return a month's energy in one slot, in kWh."""
        counts, slots = self.of_month(month_index)
        return in_kwh(counts[:, slots == slot_index].sum(axis=1), self.scaler)

    def in_all(self, month_index: int) -> Fixed:
        """Return a month's energy, in kWh."""
        return in_kwh(self.of_month(month_index)[0].sum(axis=1), self.scaler)


@dataclass(frozen=True, slots=True, eq=False)
class RunPeaks:
    """Highest window of each run; squares of counts where demand is in kVA."""

    plan: PeakPlan
    highest_counts: Int64s
    scaler: int

    def in_slot(self, month_index: int, slot_index: int) -> Fixed:
        """Return a month's demand in one slot, in kW or kVA; 0 where the slot does not occur."""
        part = self.plan.runs.of_month(month_index)
        columns = self.highest_counts[:, part][:, self.plan.runs.run_slot_index[part] == slot_index]
        highest = columns.max(axis=1, initial=0)
        return _in_kva(highest, self) if self.is_square else _in_kw(highest, self)

    @property
    def is_square(self) -> bool:
        """Whether the counts are squares."""
        return self.plan.measure is DemandMeasure.KVA


@dataclass(frozen=True, slots=True, eq=False)
class Determinants:
    """All that is priced, of a batch of meters.

    Attributes:
        exports: None where nothing is fed in or it does not matter.
        demand: Of each demand charge.
        plain_peak: Highest power; None unless blocks are in kWh/kW.
        capacity_peak: Highest power; None unless demand is declared.
        reactive: Reactive energy per month; None unless the power factor is priced.
    """

    imports: RunEnergies
    exports: RunEnergies | None
    demand: tuple[RunPeaks, ...]
    plain_peak: RunPeaks | None
    capacity_peak: RunPeaks | None
    reactive: RunEnergies | None


def determinants_of(plan: Plan, usage: UsageBatch, *, needs_peak: bool) -> Determinants:
    """Reduce interval counts to what is priced.

    Args:
        plan: Of the same axis.
        usage: Some of the meters.
        needs_peak: Whether blocks depend on the month's highest power.

    Raises:
        RatingError: Reactive energy is priced and not metered, or counts are impossible.
    """
    runs, scaler = plan.energy.runs, usage.scaler
    exports = usage.export_counts
    return Determinants(
        imports=RunEnergies(runs, run_sums(usage.import_counts, runs.starts_index), scaler),
        exports=(
            None
            if exports is None
            else RunEnergies(runs, run_sums(exports, runs.starts_index), scaler)
        ),
        demand=_peaks_of(plan.demand, usage),
        plain_peak=_peaks_of((plan.plain_peak,), usage)[0] if needs_peak else None,
        capacity_peak=(
            None if plan.capacity_peak is None else _peaks_of((plan.capacity_peak,), usage)[0]
        ),
        reactive=_reactive(plan, usage),
    )


def in_kwh(counts: Int64s, scaler: int) -> Fixed:
    """Return counts of 10^scaler Wh as kWh."""
    return Fixed(counts, 3 - scaler)


def _peaks_of(plans: tuple[PeakPlan, ...], usage: UsageBatch) -> tuple[RunPeaks, ...]:
    return tuple(RunPeaks(plan, _highest(plan, usage), usage.scaler) for plan in plans)


def _highest(plan: PeakPlan, usage: UsageBatch) -> Int64s:
    active = _window_counts(plan, usage.import_counts)
    if plan.measure is DemandMeasure.KW:
        return run_peaks(active, plan.runs.starts_index)
    reactive = _window_counts(plan, _reactive_counts(usage))
    if max(int(active.max()), int(reactive.max())) >= _SQUARES_MAX:
        raise RatingError(
            "Usage has windows of 2^31 counts or more; demand in kVA needs a coarser scaler."
        )
    squares = active.astype(np.int64) ** 2 + reactive.astype(np.int64) ** 2
    return run_peaks(squares, plan.runs.starts_index)


def _window_counts(plan: PeakPlan, counts: Counts) -> Counts:
    return counts if plan.windows_index is None else run_sums(counts, plan.windows_index)


def _reactive_counts(usage: UsageBatch) -> Counts:
    if usage.import_varh_counts is None:
        raise RatingError(
            "The tariff prices reactive energy (kVA demand or power factor), and the usage has "
            "none; give the reactive energy drawn (3.8.0) as well."
        )
    return usage.import_varh_counts


def _reactive(plan: Plan, usage: UsageBatch) -> RunEnergies | None:
    if plan.tariff.power_factor is None:
        return None
    counts = run_sums(_reactive_counts(usage), plan.months.starts_index)
    return RunEnergies(plan.months, counts, usage.scaler)


def _in_kw(highest: Int64s, peaks: RunPeaks) -> Fixed:
    factor = kw_per_count(peaks.plan.window_s, peaks.scaler)
    power = 0
    while (10**power) % factor.denominator:
        power += 1
        if power > 40:
            raise RatingError(
                f"Energy of {peaks.plan.window_s} s has no exact mean power in decimals; average "
                "demand over a window such as 900, 1800 or 3600 s.",
                window_s=peaks.plan.window_s,
            )
    integer = factor.numerator * 10**power // factor.denominator
    return Fixed(highest, power).times(Decimal(integer))


def _in_kva(squares: Int64s, peaks: RunPeaks) -> Fixed:
    factor = kw_per_count(peaks.plan.window_s, peaks.scaler) * 10**_KVA_DIGITS
    a, b = factor.numerator, factor.denominator
    # Half up, exactly: floor((floor(2 a sqrt(s)) + b) / 2 b).
    integers = [(isqrt(4 * a * a * square) + b) // (2 * b) for square in squares.tolist()]
    return Fixed(np.array(integers, np.int64), _KVA_DIGITS)
