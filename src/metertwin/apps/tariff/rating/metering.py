"""What becomes of energy fed in, by metering scheme, and the credits it leaves."""

from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from metertwin.apps.tariff.energy import EnergyCharge
from metertwin.apps.tariff.rating.block_lines import add_block_lines, month_energy, year_columns
from metertwin.apps.tariff.rating.book import LineColumn
from metertwin.apps.tariff.rating.carry import (
    CREDIT_EXPIRES,
    CREDIT_MONEY,
    SURPLUS_KWH,
    TRUE_UP_MONTH,
    TRUE_UP_PER_KWH,
    credit_kwh_of,
    credit_time_of,
)
from metertwin.apps.tariff.rating.credit_periods import time_of
from metertwin.apps.tariff.rating.energy_lines import (
    add_critical_peak_line,
    add_real_time_lines,
    is_exporting,
)
from metertwin.apps.tariff.rating.fixed import Fixed, total
from metertwin.apps.tariff.rating.month import Month
from metertwin.apps.tariff.rating.words import number
from metertwin.apps.tariff.tariff import ChargeKind, Metering

_CHARGES = frozenset({ChargeKind.ENERGY, ChargeKind.CRITICAL_PEAK})


@dataclass(frozen=True, slots=True, eq=False)
class EnergyOutcome:
    """What the energy lines of a month leave behind.

    Attributes:
        columns: What is carried into the next month, by name.
        true_up: What is paid out because the credit year ends; None in other months.
        credit_kwh: Net-metering credit handed to the next month.
        credit_amount: Credit in money handed to the next month.
    """

    columns: dict[str, Fixed]
    true_up: LineColumn | None
    credit_kwh: Fixed
    credit_amount: Fixed


def bill_energy(month: Month) -> EnergyOutcome:
    """Add all lines of energy drawn and fed in, and say what they leave behind."""
    outcome = _billed_energy(month)
    return replace(outcome, columns={**outcome.columns, **_credit_terms(month, outcome)})


def _credit_terms(month: Month, outcome: EnergyOutcome) -> dict[str, Fixed]:
    """Return on which terms credit ends; it keeps them if the next month has another tariff."""
    terms = month.plan.tariff.export
    left = outcome.credit_kwh + outcome.credit_amount
    has_credit = _where_any(left)
    return {
        TRUE_UP_MONTH: has_credit.times(Decimal(terms.true_up_month)),
        TRUE_UP_PER_KWH: has_credit.times(terms.true_up_per_kwh),
        CREDIT_EXPIRES: has_credit.times(Decimal(terms.credit_expires)),
    }


def _billed_energy(month: Month) -> EnergyOutcome:
    tariff = month.plan.tariff
    zeros = Fixed.zeros(month.book.meter_count)
    nothing = EnergyOutcome({}, None, zeros, zeros)
    metering = tariff.export.metering
    if not isinstance(tariff.energy, EnergyCharge):
        add_real_time_lines(month, tariff.energy)
        add_critical_peak_line(month)
    elif metering is Metering.NET_METERING_KWH:
        return _net_in_kwh(month, tariff.energy)
    else:
        nothing = replace(nothing, columns=_gross_or_net_lines(month, tariff.energy))
    if metering in {Metering.NET_METERING_MONEY, Metering.NET_BILLING_CARRY}:
        return _with_credit_in_money(month, nothing)
    return nothing


def _gross_or_net_lines(month: Month, charge: EnergyCharge) -> dict[str, Fixed]:
    drawn = month_energy(month, charge, is_sold=False)
    sold = month_energy(month, charge, is_sold=True)
    if month.plan.tariff.export.metering is Metering.NET_METERING_MONEY:
        pairs = zip(drawn.by_period, sold.by_period, strict=True)
        net = [bought - given for bought, given in pairs]
        drawn = replace(drawn, by_period=[kwh.positive() for kwh in net])
        sold = replace(sold, by_period=[(-kwh).positive() for kwh in net])
    add_block_lines(month, charge, drawn, is_sold=False)
    add_critical_peak_line(month)
    if is_exporting(month.plan.tariff.export):
        add_block_lines(month, charge, sold, is_sold=True)
    return {
        **year_columns(month, charge, drawn, is_sold=False),
        **year_columns(month, charge, sold, is_sold=True),
    }


def _net_in_kwh(month: Month, charge: EnergyCharge) -> EnergyOutcome:
    drawn = month_energy(month, charge, is_sold=False)
    sold = month_energy(month, charge, is_sold=True)
    names = charge.calendar.periods
    net = [
        bought - given - month.carry.get(credit_kwh_of(name))
        for name, bought, given in zip(names, drawn.by_period, sold.by_period, strict=True)
    ]
    used = replace(drawn, by_period=[kwh.positive() for kwh in net])
    left = [(-kwh).positive() for kwh in net]
    add_block_lines(month, charge, used, is_sold=False)
    add_critical_peak_line(month)
    count = month.book.meter_count
    surplus = month.carry.get(SURPLUS_KWH) + total(sold.by_period, count)
    # Energy of critical peaks is priced apart, but drawn all the same.
    surplus = (surplus - month.determinants.imports.in_all(month.month_index)).positive()
    columns = year_columns(month, charge, used, is_sold=False)
    true_up = None
    if is_true_up(month):
        true_up = _surplus_line(month, surplus)
        left, surplus = [Fixed.zeros(count) for _ in names], Fixed.zeros(count)
    for place, (name, kwh) in enumerate(zip(names, left, strict=True)):
        time = time_of(charge.calendar, place, month.book.span.first)
        columns[credit_kwh_of(name)] = kwh
        columns[credit_time_of(name)] = _where_any(kwh).times(Decimal(time))
    columns[SURPLUS_KWH] = surplus
    return EnergyOutcome(columns, true_up, total(left, count), Fixed.zeros(count))


def _where_any(column: Fixed) -> Fixed:
    """Return 1 where a column is not 0."""
    return Fixed((column.integers != 0).astype(np.int64), 0)


def is_true_up(month: Month) -> bool:
    """Say whether the credit year ends with this month."""
    span = month.book.span
    return span.is_final and span.first.month == month.plan.tariff.export.true_up_month


def _surplus_line(month: Month, surplus: Fixed) -> LineColumn:
    price = month.plan.tariff.export.true_up_per_kwh
    currency = month.book.tariff.currency

    def because(row: int) -> str:
        return (
            f"The credit year ends: {number(surplus.row(row))} kWh fed in are left after what was "
            f"drawn in the same and later months, paid at {number(price)} {currency} per kWh; "
            "credits in kWh end."
        )

    return LineColumn(
        ChargeKind.TRUE_UP,
        "True-up",
        month.book.billed(-surplus.times(price)),
        because,
        quantity=surplus,
        unit="kWh",
        rate=price,
    )


def _with_credit_in_money(month: Month, outcome: EnergyOutcome) -> EnergyOutcome:
    """Spend credit on energy charges and feed-in that costs; add a line for what became of it."""
    book, terms = month.book, month.plan.tariff.export
    fed_in = book.sum_of(frozenset({ChargeKind.FEED_IN}))
    # Feed-in at negative prices costs: a debt is billed, never carried as credit.
    charges = (book.sum_of(_CHARGES) + fed_in.positive()).positive()
    earned = (-fed_in).positive()
    before = month.carry.get(CREDIT_MONEY)
    starts_later = terms.credit_starts_next_month and terms.metering is Metering.NET_BILLING_CARRY
    usable = before if starts_later else before + earned
    spent = usable.at_most(charges)
    left = before + earned - spent
    book.add(_credit_line(month, earned, spent, left))
    true_up = None
    if is_true_up(month):
        true_up = _pay_out_line(month, left)
        left = Fixed.zeros(book.meter_count)
    columns = {**outcome.columns, CREDIT_MONEY: left}
    return EnergyOutcome(columns, true_up, outcome.credit_kwh, left)


def _credit_line(month: Month, earned: Fixed, spent: Fixed, left: Fixed) -> LineColumn:
    currency, digits = month.book.tariff.currency, month.book.tariff.rounding.digits

    def because(row: int) -> str:
        made, used, rest = (number(c.row(row), digits) for c in (earned, spent, left))
        return (
            f"Feed-in of this month earned {made} {currency}, {used} {currency} of credit were "
            f"spent on energy charges, {rest} {currency} remain as credit."
        )

    return LineColumn(ChargeKind.CREDIT, "Credit", earned - spent, because)


def _pay_out_line(month: Month, left: Fixed) -> LineColumn:
    currency, digits = month.book.tariff.currency, month.book.tariff.rounding.digits
    expires = month.plan.tariff.export.credit_expires

    def because(row: int) -> str:
        end = "expires" if expires else "is paid out"
        return (
            f"The credit year ends: the credit of {number(left.row(row), digits)} {currency} {end}."
        )

    amount = left.times(Decimal(0)) if expires else -left
    return LineColumn(ChargeKind.TRUE_UP, "True-up", amount, because, quantity=left, unit=currency)
