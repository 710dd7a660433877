"""The request `usage_breakdown`: energy and cost by day, hour, period or weekday of local time."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np

from metertwin.apps.app import Answer, Asked, History, HistoryWanted
from metertwin.apps.tariff.app.answers import UsageBreakdown, UsageBucket
from metertwin.apps.tariff.app.arguments import BreakdownArguments, BreakdownBy
from metertwin.apps.tariff.app.chain import (
    ChainMonth,
    edges_us_of,
    rate_chain,
    tariffs_of_months,
)
from metertwin.apps.tariff.app.desk import Desk, row_of
from metertwin.apps.tariff.app.errors import BillingRequestError, NoUsageError
from metertwin.apps.tariff.app.notes import basis_of
from metertwin.apps.tariff.app.usage import HOUR_US, Span, Usage, source_of
from metertwin.apps.tariff.bill import BillLine
from metertwin.apps.tariff.energy import EnergyCharge
from metertwin.apps.tariff.rating import Carry
from metertwin.apps.tariff.schedule import billing_month_of, period_indices
from metertwin.apps.tariff.tariff import ChargeKind, Tariff
from metertwin.apps.view import GroupView
from metertwin.core.batch import Int64s
from metertwin.core.clock import from_us, to_us
from metertwin.core.ids import MeterId
from metertwin.core.local_time import local_day_edges_us, local_hour_edges_us, local_label
from metertwin.core.money import rounded_together

_DAYS_MAX = 400
_COST_DIGITS = 4
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_COST_IS = (
    "Cost is energy, critical peaks, levies and feed-in, each month's lines shared by energy "
    "within their period; fixed charges, demand and taxes are not in it."
)
_DRAWN = frozenset({ChargeKind.ENERGY, ChargeKind.CRITICAL_PEAK, ChargeKind.LEVY})


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked, checked: local days of a meter, and the months they lie in."""

    row: int
    first_day: date
    day_count: int
    by: BreakdownBy
    tariffs: list[tuple[date, Tariff]]

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.tariffs[0][1].zone)


def breakdown_history(desk: Desk, view: GroupView, asked: Asked) -> HistoryWanted | None:
    """Return the whole months the days lie in; None where the window reaches."""
    what = _read(desk, view, asked)
    start_us, _ = edges_us_of(what.tariffs[0][1], what.tariffs[0][0])
    if start_us >= view.intervals.first_us:
        return None
    end_us = min(
        edges_us_of(what.tariffs[-1][1], what.tariffs[-1][0])[1],
        to_us(view.now) // HOUR_US * HOUR_US,
    )
    registers = desk.settings.registers.all()
    return HistoryWanted(registers, from_us(start_us), from_us(end_us), [view.meters[what.row]])


def answer_breakdown(desk: Desk, view: GroupView, asked: Asked, history: History) -> Answer:
    """Answer `usage_breakdown`."""
    what = _read(desk, view, asked)
    start_us, _ = edges_us_of(what.tariffs[0][1], what.tariffs[0][0])
    _, end_us = edges_us_of(what.tariffs[-1][1], what.tariffs[-1][0])
    now_us = to_us(view.now)
    is_so_far = now_us < end_us
    span = Span(np.array([what.row]), start_us, end_us, now_us, is_so_far=is_so_far)
    tariffs = [tariff for _, tariff in what.tariffs]
    usage = desk.reader.read(source_of(view, history), view.meters, span, tariffs)
    if usage is None or int(usage.first_us[0]) < 0:
        raise NoUsageError(
            f"Meter {asked.meter} has no intervals of these days.", meter=asked.meter
        )
    chain = rate_chain(desk.state, usage, what.tariffs, Carry.fresh(1))
    edges_us, labels = _edges(what)
    inside, bucket = _bucket(what, usage, edges_us)
    cost = _interval_costs(usage, chain)
    buckets = _summed(usage, labels, (inside, bucket), cost)
    last = chain[-1].bill(0)
    notes = [_COST_IS]
    return Answer(
        UsageBreakdown(
            basis=basis_of(last, int(usage.newest_us[0]), view.now, notes),
            start=from_us(int(edges_us[0])),
            end=from_us(int(edges_us[-1])),
            by=what.by.value,
            buckets=buckets,
            import_kwh=sum((each.import_kwh for each in buckets), Decimal(0)),
            export_kwh=sum((each.export_kwh for each in buckets), Decimal(0)),
            cost_amount=sum((each.cost_amount for each in buckets), Decimal(0)),
        )
    )


def _read(desk: Desk, view: GroupView, asked: Asked) -> _Asked:
    arguments, row = asked.arguments, row_of(view, asked)
    assert isinstance(arguments, BreakdownArguments)
    try:
        first, last = date.fromisoformat(arguments.start), date.fromisoformat(arguments.end)
    except ValueError:
        raise BillingRequestError(
            f"Days {arguments.start[:20]} to {arguments.end[:20]} are none; write YYYY-MM-DD."
        ) from None
    meter: MeterId = view.meters[row]
    tariff = desk.settings.tariff_on(meter, first)
    today = view.now.astimezone(ZoneInfo(tariff.zone)).date()
    if not first <= last <= today or (last - first).days >= _DAYS_MAX:
        raise BillingRequestError(
            f"Days {first} to {last} cannot be broken down; give at most {_DAYS_MAX} days, the "
            f"last not after today, {today}."
        )
    months = (billing_month_of(tariff, first), billing_month_of(tariff, last))
    tariffs = tariffs_of_months(desk.settings, meter, *months)
    return _Asked(row, first, (last - first).days + 1, arguments.by, tariffs)


def _edges(what: _Asked) -> tuple[Int64s, list[str]]:
    """Return the edges of local days or hours, and the label of the bucket each belongs to."""
    if what.by is BreakdownBy.HOUR:
        edges_us = local_hour_edges_us(what.first_day, what.day_count, what.zone)
        return edges_us, [local_label(edge_us, what.zone) for edge_us in edges_us[:-1].tolist()]
    edges_us = local_day_edges_us(what.first_day, what.day_count, what.zone)
    days = [what.first_day + timedelta(days=n) for n in range(what.day_count)]
    if what.by is BreakdownBy.PERIOD:
        return edges_us, list(dict.fromkeys(_period_names(what)))
    if what.by is BreakdownBy.WEEKDAY:
        return edges_us, list(_WEEKDAYS)
    return edges_us, [day.isoformat() for day in days]


def _period_names(what: _Asked) -> list[str]:
    return [
        name
        for _, tariff in what.tariffs
        for name in (
            tariff.energy.calendar.periods
            if isinstance(tariff.energy, EnergyCharge)
            else ("real time",)
        )
    ]


def _bucket(what: _Asked, usage: Usage, edges_us: Int64s) -> tuple[Int64s, Int64s]:
    """Return which intervals of the usage lie in the days, and the bucket of each."""
    batch = usage.batch
    starts_us = batch.start_us + np.arange(batch.interval_count) * batch.period_us
    inside = np.flatnonzero((starts_us >= edges_us[0]) & (starts_us < edges_us[-1]))
    place = np.searchsorted(edges_us, starts_us[inside], side="right") - 1
    if what.by is BreakdownBy.WEEKDAY:
        return inside, (place + what.first_day.weekday()) % 7
    if what.by is not BreakdownBy.PERIOD:
        return inside, place
    names = list(dict.fromkeys(_period_names(what)))
    bucket = np.zeros(len(starts_us), np.int64)
    for month, tariff in what.tariffs:
        start_us, end_us = edges_us_of(tariff, month)
        part = np.flatnonzero((starts_us >= start_us) & (starts_us < end_us))
        bucket[part] = _period_places(tariff, starts_us[part], names)
    return inside, bucket[inside]


def _period_places(tariff: Tariff, starts_us: Int64s, names: list[str]) -> Int64s:
    if not isinstance(tariff.energy, EnergyCharge):
        return np.full(len(starts_us), names.index("real time"), np.int64)
    calendar = tariff.energy.calendar
    places = np.array([names.index(name) for name in calendar.periods], np.int64)
    of_calendar: Int64s = places[period_indices(calendar, ZoneInfo(tariff.zone), starts_us)]
    return of_calendar


def _interval_costs(usage: Usage, chain: list[ChainMonth]) -> list[Decimal]:
    """Return what each interval cost: each line's amount shared by energy within its period."""
    batch = usage.batch
    costs = [Decimal(0)] * batch.interval_count
    starts_us = batch.start_us + np.arange(batch.interval_count) * batch.period_us
    exports = batch.export_counts
    for chained in chain:
        part = np.arange(chained.first_index, chained.end_index)
        periods = np.array([""] * len(part), object)
        charge = chained.tariff.energy
        if isinstance(charge, EnergyCharge):
            zone = ZoneInfo(chained.tariff.zone)
            at = period_indices(charge.calendar, zone, starts_us[part])
            periods = np.array(charge.calendar.periods, object)[at]
        for line in chained.bill(0).lines:
            counts = exports if line.kind is ChargeKind.FEED_IN else batch.import_counts
            if counts is None or (line.kind not in _DRAWN and line.kind is not ChargeKind.FEED_IN):
                continue
            _share(line, part, periods, counts[0], costs)
    return costs


def _share(
    line: BillLine, part: Int64s, periods: np.ndarray, counts: np.ndarray, costs: list[Decimal]
) -> None:
    own = part if line.period == "" else part[periods == line.period]
    weights = counts[own].tolist()
    whole = sum(weights)
    if not whole:
        return
    price = line.amount / whole
    for index, weight in zip(own.tolist(), weights, strict=True):
        costs[index] += price * weight


def _summed(
    usage: Usage, labels: list[str], at: tuple[Int64s, Int64s], costs: list[Decimal]
) -> list[UsageBucket]:
    inside, bucket = at
    batch, count = usage.batch, len(labels)
    scale = Decimal(1).scaleb(batch.scaler - 3)
    order = np.argsort(bucket, kind="stable")
    bounds = np.searchsorted(bucket[order], np.arange(count + 1)).tolist()
    owns = [inside[order[first:end]] for first, end in pairwise(bounds)]
    exact = [_cost_of(costs, own) for own in owns]
    amounts = rounded_together(exact, _cost_of(costs, inside), _COST_DIGITS)
    buckets = []
    for label, own, amount in zip(labels, owns, amounts, strict=True):
        if not len(own):
            continue
        exported = 0 if batch.export_counts is None else int(batch.export_counts[0, own].sum())
        buckets.append(
            UsageBucket(
                label=label,
                import_kwh=int(batch.import_counts[0, own].sum()) * scale,
                export_kwh=exported * scale,
                cost_amount=amount,
                estimated_share=_share_of(batch.is_estimated, own),
                known_share=1.0 - _share_of(batch.is_missing, own),
            )
        )
    return buckets


def _cost_of(costs: list[Decimal], own: Int64s) -> Decimal:
    return sum((costs[index] for index in own.tolist()), Decimal(0))


def _share_of(flags: np.ndarray | None, own: Int64s) -> float:
    return 0.0 if flags is None else float(flags[0, own].mean())
