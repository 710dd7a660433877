"""What a rating sums up: decided once per tariff and axis, the same for every meter."""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from metertwin.apps.tariff.calendar import Calendar
from metertwin.apps.tariff.demand import DemandMeasure
from metertwin.apps.tariff.energy import EnergyCharge
from metertwin.apps.tariff.rating.axis import Axis, Runs, axis_of
from metertwin.apps.tariff.rating.fixed import Fixed
from metertwin.apps.tariff.rating.switches import check_intervals, check_windows
from metertwin.apps.tariff.rating.usage import Dynamics, PriceSeries, RatingError, UsageBatch
from metertwin.apps.tariff.schedule import billing_month_of
from metertwin.apps.tariff.tariff import Tariff
from metertwin.core.batch import Int64s, UInt8s
from metertwin.core.clock import from_us

_US_PER_S = 1_000_000
_US_PER_HOUR = 3_600_000_000
_ALWAYS = Calendar.always()


@dataclass(frozen=True, slots=True, eq=False)
class EnergyPlan:
    """Runs over which energy is summed.

    Attributes:
        runs: Slot is the period, plus `event_offset` within critical-peak events.
        event_offset: How many periods there are.
        run_price_per_kwh: Price of each run with a real-time price, else None.
    """

    runs: Runs
    event_offset: int
    run_price_per_kwh: Fixed | None


@dataclass(frozen=True, slots=True, eq=False)
class PeakPlan:
    """Windows over which demand is averaged, and runs of windows over which the highest counts.

    Attributes:
        window_s: Length of a window.
        measure: kW or kVA.
        windows_index: First interval of each window; None where each interval is one.
        runs: Over windows; slot is the period of the window's start.
    """

    window_s: int
    measure: DemandMeasure
    windows_index: Int64s | None
    runs: Runs


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """All that is the same for every meter.

    Attributes:
        demand: Of each demand charge.
        plain_peak: The month's highest power, for blocks in kWh/kW.
        capacity_peak: The month's highest power, for declared demand.
        months: Runs that are the months themselves.
    """

    tariff: Tariff
    axis: Axis
    energy: EnergyPlan
    demand: tuple[PeakPlan, ...]
    plain_peak: PeakPlan
    capacity_peak: PeakPlan | None
    months: Runs


def plan_of(tariff: Tariff, usage: UsageBatch, dynamics: Dynamics) -> Plan:
    """Return the plan of a usage under a tariff.

    Raises:
        RatingError: The axis does not fit the tariff, prices or events are missing or not allowed.
    """
    return _plan(tariff, axis_of(tariff, usage), dynamics)


@lru_cache(maxsize=32)
def _plan(tariff: Tariff, axis: Axis, dynamics: Dynamics) -> Plan:
    zone = ZoneInfo(tariff.zone)
    _check_events(tariff, dynamics, zone)
    _check_event_grid(axis, dynamics.critical_peaks_us)
    _check_switches(tariff, axis)
    demand = tuple(
        _peak_plan(axis, axis.periods(charge.calendar, zone), charge.window_s, charge.measure)
        for charge in tariff.demand
    )
    always = axis.periods(_ALWAYS, zone)
    capacity = tariff.capacity
    return Plan(
        tariff=tariff,
        axis=axis,
        energy=_energy_plan(tariff, axis, dynamics),
        demand=demand,
        plain_peak=_peak_plan(axis, always, 0, DemandMeasure.KW),
        capacity_peak=(
            None
            if capacity is None
            else _peak_plan(axis, always, capacity.window_s, DemandMeasure.KW)
        ),
        months=axis.runs(always.astype(np.int64)),
    )


def _energy_plan(tariff: Tariff, axis: Axis, dynamics: Dynamics) -> EnergyPlan:
    events = axis.during(dynamics.critical_peaks_us).astype(np.int64)
    if isinstance(tariff.energy, EnergyCharge):
        calendar = tariff.energy.calendar
        periods = axis.periods(calendar, ZoneInfo(tariff.zone)).astype(np.int64)
        offset = len(calendar.periods)
        return EnergyPlan(axis.runs(periods + offset * events), offset, None)
    if dynamics.prices is None:
        raise RatingError(
            f"Tariff {tariff.id} has a real-time price; give the price series with the usage.",
            tariff=tariff.id,
        )
    steps = _price_steps(axis, dynamics.prices)
    runs = axis.runs(2 * steps + events)
    prices = Fixed.of(list(dynamics.prices.prices_per_kwh)).take(runs.run_slot_index // 2)
    slots = runs.run_slot_index % 2
    return EnergyPlan(Runs(runs.starts_index, slots, runs.month_place), 1, prices)


def _price_steps(axis: Axis, prices: PriceSeries) -> Int64s:
    """Return the number of the price that holds in each interval."""
    interval_us, step_us = axis.period_s * _US_PER_S, prices.period_s * _US_PER_S
    if step_us <= 0 or step_us % interval_us or (axis.start_us - prices.start_us) % interval_us:
        raise RatingError(
            f"Prices hold {prices.period_s} s each from {from_us(prices.start_us).isoformat()}, "
            f"intervals are {axis.period_s} s long; prices must change where intervals begin.",
            period_s=prices.period_s,
        )
    starts_us = axis.start_us + np.arange(axis.interval_count, dtype=np.int64) * interval_us
    steps: Int64s = (starts_us - prices.start_us) // step_us
    if steps[0] < 0 or steps[-1] >= len(prices.prices_per_kwh):
        end_us = prices.start_us + len(prices.prices_per_kwh) * step_us
        raise RatingError(
            f"Prices are known from {from_us(prices.start_us).isoformat()} to "
            f"{from_us(end_us).isoformat()}, usage is from {from_us(axis.start_us).isoformat()} to "
            f"{from_us(int(starts_us[-1]) + interval_us).isoformat()}; give prices for all of it."
        )
    return steps


def _peak_plan(axis: Axis, slots: UInt8s, window_s: int, measure: DemandMeasure) -> PeakPlan:
    window_s = window_s or axis.period_s
    wide = slots.astype(np.int64)
    if window_s == axis.period_s:
        return PeakPlan(window_s, measure, None, axis.runs(wide))
    windows = axis.windows(window_s)
    places = np.searchsorted(windows, [m.first_index for m in axis.months] + [axis.interval_count])
    slot_of_window = wide[windows]
    is_start = np.ones(len(windows), bool)
    is_start[1:] = slot_of_window[1:] != slot_of_window[:-1]
    is_start[places[:-1]] = True
    starts = np.flatnonzero(is_start).astype(np.int64)
    runs = Runs(starts, slot_of_window[starts], np.searchsorted(starts, places).astype(np.int64))
    return PeakPlan(window_s, measure, windows, runs)


def kw_per_count(window_s: int, scaler: int) -> Fraction:
    """Return the mean power, in kW, of one count of 10^scaler Wh in a window."""
    return Fraction(10) ** (scaler - 3) * Fraction(3600, window_s)


def _check_events(tariff: Tariff, dynamics: Dynamics, zone: ZoneInfo) -> None:
    spans_us = dynamics.critical_peaks_us
    terms = tariff.critical_peak
    if spans_us and terms is None:
        raise RatingError(
            f"Tariff {tariff.id} has no critical-peak price, but {len(spans_us)} events are given.",
            tariff=tariff.id,
        )
    edges_us = [edge_us for span_us in spans_us for edge_us in span_us]
    if edges_us != sorted(edges_us) or any(start == end for start, end in spans_us):
        raise RatingError("Critical-peak events must be ascending, apart and longer than nothing.")
    if terms is None:
        return
    for start_us, end_us in spans_us:
        hours = Fraction(end_us - start_us, _US_PER_HOUR)
        if terms.hours_per_event_max is not None and hours > Fraction(terms.hours_per_event_max):
            raise RatingError(
                f"The critical-peak event from {from_us(start_us).isoformat()} lasts "
                f"{float(hours):g} h; the tariff allows {terms.hours_per_event_max} h."
            )
    years = [_billing_year(tariff, start_us, zone) for start_us, _ in spans_us]
    most = max(map(years.count, years), default=0)
    if terms.events_per_year_max is not None and most > terms.events_per_year_max:
        raise RatingError(
            f"{most} critical-peak events lie in one billing year; the tariff allows "
            f"{terms.events_per_year_max}."
        )


def _check_event_grid(axis: Axis, spans_us: tuple[tuple[int, int], ...]) -> None:
    step_us = axis.period_s * _US_PER_S
    for start_us, end_us in spans_us:
        if (start_us - axis.start_us) % step_us or (end_us - axis.start_us) % step_us:
            raise RatingError(
                f"The critical-peak event from {from_us(start_us).isoformat()} to "
                f"{from_us(end_us).isoformat()} begins or ends within an interval of "
                f"{axis.period_s} s; events must begin and end where intervals do."
            )


def _check_switches(tariff: Tariff, axis: Axis) -> None:
    starts_us, until_us = axis.starts_us, axis.months[-1].end_us
    ends_us = starts_us + axis.period_s * _US_PER_S
    check_intervals(tariff, (starts_us, ends_us), axis.period_s, until_us)
    for charge in tariff.demand:
        if charge.window_s > axis.period_s:
            first = axis.windows(charge.window_s)
            # The last window of a month may be shorter: it ends where the next one begins.
            edges_us = np.append(starts_us[first], ends_us[-1])
            check_windows(tariff, charge, (edges_us[:-1], edges_us[1:]), until_us)


def _billing_year(tariff: Tariff, moment_us: int, zone: ZoneInfo) -> int:
    month = billing_month_of(tariff, from_us(moment_us).astimezone(zone).date())
    return month.year - (month.month < tariff.year_start_month)
