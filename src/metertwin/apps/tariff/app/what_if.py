"""The request `what_if_tariff`: other tariffs on the meter's own energy."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np

from metertwin.apps.app import Answer, Asked, History, HistoryWanted
from metertwin.apps.tariff.app.answers import Basis, LineCost, MonthCost, TariffCost, WhatIf
from metertwin.apps.tariff.app.arguments import WhatIfArguments
from metertwin.apps.tariff.app.chain import (
    ChainMonth,
    edges_us_of,
    month_at,
    month_before,
    rate_chain,
    read_month,
)
from metertwin.apps.tariff.app.desk import Desk, row_of
from metertwin.apps.tariff.app.errors import BillingRequestError, NoUsageError
from metertwin.apps.tariff.app.notes import basis_of
from metertwin.apps.tariff.app.settings import tariff_of_document
from metertwin.apps.tariff.app.usage import HOUR_US, Span, Usage, source_of
from metertwin.apps.tariff.bill import Bill
from metertwin.apps.tariff.rating import Carry
from metertwin.apps.tariff.rating.words import number
from metertwin.apps.tariff.schedule import next_month
from metertwin.apps.tariff.tariff import Tariff
from metertwin.apps.view import GroupView
from metertwin.core.clock import from_us, to_us
from metertwin.core.errors import MeterTwinError

_MONTHS_MAX = 24
_LINES_TOLD = 3


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked, checked: months by the meter's own tariff, and the tariffs to compare."""

    row: int
    own: Tariff
    months: list[date]
    others: list[Tariff]
    left_out: list[str]


def what_if_history(desk: Desk, view: GroupView, asked: Asked) -> HistoryWanted | None:
    """Return the months to compare; None where the window reaches."""
    what = _read(desk, view, asked)
    start_us, end_us = _range_us(what, view)
    if start_us >= view.intervals.first_us:
        return None
    registers = desk.settings.registers.all()
    return HistoryWanted(registers, from_us(start_us), from_us(end_us), [view.meters[what.row]])


def answer_what_if(desk: Desk, view: GroupView, asked: Asked, history: History) -> Answer:
    """Answer `what_if_tariff`."""
    what = _read(desk, view, asked)
    what, usage = _with_usage(desk, view, what, history)
    left_out = list(what.left_out)
    rated: list[tuple[Tariff, list[ChainMonth]]] = []
    for tariff in (what.own, *what.others):
        try:
            months = [(month, tariff) for month in what.months]
            chain = rate_chain(desk.state, usage, months, Carry.fresh(1))
        except MeterTwinError as error:
            left_out.append(f"{tariff.id}: {error}")
            continue
        rated.append((tariff, chain))
    if not rated or rated[0][0] is not what.own:
        raise NoUsageError(f"The own tariff cannot be rated: {left_out[-1]}")
    own = [month.bill(0) for month in rated[0][1]]
    newest_us = int(usage.newest_us[0])
    notes = _notes(what, own)
    costs = []
    for _, chain in rated:
        bills = [month.bill(0) for month in chain]
        basis = basis_of(bills[-1], newest_us, view.now, notes)
        costs.append(_cost(basis, bills, own))
    costs.sort(key=lambda cost: (cost.total, cost.basis.tariff))
    return Answer(
        WhatIf(
            start=own[0].start,
            end=own[-1].end,
            own=what.own.id,
            cheapest=costs[0].basis.tariff,
            saving_amount=-costs[0].difference,
            tariffs=costs,
            left_out=left_out,
        )
    )


def _read(desk: Desk, view: GroupView, asked: Asked) -> _Asked:
    arguments, row = asked.arguments, row_of(view, asked)
    assert isinstance(arguments, WhatIfArguments)
    meter = view.meters[row]
    own = desk.settings.tariff_on(meter, view.now.date())
    running = month_at(own, view.now)
    last = read_month(arguments.end, own) if arguments.end else month_before(running)
    if arguments.start:
        first = read_month(arguments.start, own)
    else:
        first = last.replace(year=last.year - 1)
        first = next_month(first)
    months: list[date] = []
    month = first
    while month <= last and len(months) <= _MONTHS_MAX:
        months.append(month)
        month = next_month(month)
    if not 1 <= len(months) <= _MONTHS_MAX or last > running:
        raise BillingRequestError(
            f"Months {first:%Y-%m} to {last:%Y-%m} cannot be compared; give 1 to {_MONTHS_MAX} "
            f"months, the last not after the running one, {running:%Y-%m}."
        )
    others, left_out = _others(desk, view, arguments, own)
    return _Asked(row, own, months, others, left_out)


def _others(
    desk: Desk, view: GroupView, arguments: WhatIfArguments, own: Tariff
) -> tuple[list[Tariff], list[str]]:
    others: list[Tariff] = []
    left_out: list[str] = []
    for place, wanted in enumerate(arguments.tariffs or sorted(desk.settings.versions)):
        if isinstance(wanted, str):
            tariff = desk.settings.version_on(wanted, view.now.date())
        else:
            tariff = tariff_of_document(wanted, f"tariffs[{place}]")
        ours = (own.zone, own.month_start_day, own.currency)
        if (tariff.zone, tariff.month_start_day, tariff.currency) != ours:
            left_out.append(
                f"{tariff.id}: its zone, first day of the month or currency is another than "
                f"that of {own.id}."
            )
        elif tariff != own:
            others.append(tariff)
    return others, left_out


def _range_us(what: _Asked, view: GroupView) -> tuple[int, int]:
    start_us, _ = edges_us_of(what.own, what.months[0])
    _, end_us = edges_us_of(what.own, what.months[-1])
    return start_us, min(end_us, to_us(view.now) // HOUR_US * HOUR_US)


def _with_usage(
    desk: Desk, view: GroupView, what: _Asked, history: History
) -> tuple[_Asked, Usage]:
    """Return the usage of the months of which anything is known, and those months."""
    source = source_of(view, history)
    tariffs = [what.own, *what.others]
    while True:
        start_us, end_us = _range_us(what, view)
        whole_us = edges_us_of(what.own, what.months[-1])[1]
        is_so_far = whole_us > end_us
        span = Span(np.array([what.row]), start_us, whole_us, to_us(view.now), is_so_far=is_so_far)
        usage = desk.reader.read(source, view.meters, span, tariffs)
        first_us = -1 if usage is None else int(usage.first_us[0])
        if usage is None or not 0 <= first_us < end_us:
            raise NoUsageError(
                f"Meter {view.meters[what.row]} has no intervals of {what.months[0]:%Y-%m} to "
                f"{what.months[-1]:%Y-%m}."
            )
        begun = [month for month in what.months if edges_us_of(what.own, month)[1] > first_us]
        if begun == what.months:
            return what, usage
        what = _Asked(what.row, what.own, begun, what.others, what.left_out)


def _notes(what: _Asked, own: Sequence[Bill]) -> list[str]:
    missing_count = sum(bill.missing_count for bill in own)
    estimated_count = sum(bill.estimated_count for bill in own)
    count = sum(bill.interval_count for bill in own)
    range_told = f"{what.months[0]:%B %Y} to {what.months[-1]:%B %Y}"
    told = [f"Compared on {len(what.months)} months, {range_told}, from a carry of nothing on."]
    if missing_count or estimated_count:
        told.append(
            f"Of {count} intervals, {estimated_count} are estimated and {missing_count} missing."
        )
    return told


def _cost(basis: Basis, bills: list[Bill], own: list[Bill]) -> TariffCost:
    lines, ours = _lines(bills), _lines(own)
    total = sum((bill.total for bill in bills), Decimal(0))
    difference = total - sum((bill.total for bill in own), Decimal(0))
    keys = sorted({*lines, *ours})
    nothing = Decimal(0)
    changes = [(lines.get(key, nothing) - ours.get(key, nothing), key) for key in keys]
    told = sorted((each for each in changes if each[0]), key=lambda each: -abs(each[0]))
    currency = bills[0].currency
    why = [
        f"{' '.join(part for part in key if part)}: {number(abs(amount), 2)} {currency} "
        f"{'more' if amount > 0 else 'less'}."
        for amount, key in told[:_LINES_TOLD]
    ]
    return TariffCost(
        basis=basis,
        total=total,
        difference=difference,
        months=[MonthCost(bill.month, bill.total, bill.is_final) for bill in bills],
        lines=[LineCost(name, period, amount) for (name, period), amount in lines.items()],
        why=why,
    )


def _lines(bills: list[Bill]) -> dict[tuple[str, str], Decimal]:
    summed: dict[tuple[str, str], Decimal] = {}
    for bill in bills:
        for line in bill.lines:
            key = (line.name, line.period)
            summed[key] = summed.get(key, Decimal(0)) + line.amount
    return summed
