"""Prepaid accounts: payments, what is left, and telling it when that is little."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

from metertwin.apps.app import Answer, Asked, Finding, History
from metertwin.apps.tariff.app.answers import Balance
from metertwin.apps.tariff.app.arguments import TopUpArguments
from metertwin.apps.tariff.app.chain import edges_us_of, month_at
from metertwin.apps.tariff.app.desk import Desk, row_of
from metertwin.apps.tariff.app.errors import (
    BillingRequestError,
    NotBilledError,
    TopUpConflictError,
)
from metertwin.apps.tariff.app.notes import basis_of_tariff, named
from metertwin.apps.tariff.app.so_far import OpenMonths
from metertwin.apps.tariff.app.state import Purse
from metertwin.apps.tariff.app.usage import DAY_US
from metertwin.apps.tariff.tariff import Prepayment, Tariff
from metertwin.apps.view import GroupView
from metertwin.core.errors import MeterTwinError
from metertwin.core.ids import MeterId

_NOTHING = Decimal(0)
_FINDINGS = {"low": "balance_low", "exhausted": "credit_exhausted"}
_ORDER = ("ok", "low", "exhausted")


def answer_top_up(desk: Desk, view: GroupView, asked: Asked, history: History) -> Answer:
    """Answer `top_up`: the payment counts once, and whatever keeps bills from being rated."""
    arguments = asked.arguments
    assert isinstance(arguments, TopUpArguments)
    row = row_of(view, asked)
    meter = view.meters[row]
    tariff, _ = _prepayment(desk, view, meter)
    digits = tariff.rounding.digits
    exponent = arguments.amount.as_tuple().exponent
    is_exact = isinstance(exponent, int) and exponent >= -digits
    if not arguments.id or not is_exact or not 0 < arguments.amount < 10**9:
        raise BillingRequestError(
            f"Payment {arguments.id!r} of {arguments.amount} {tariff.currency} is none; give an id "
            f"and an amount above 0 with at most {digits} digits behind the point."
        )
    purse = desk.state.purses.get(meter, Purse(month_at(tariff, view.now)))
    known = purse.top_ups.get(arguments.id, arguments.amount)
    if known != arguments.amount:
        raise TopUpConflictError(
            f"Payment {arguments.id} was {known} {tariff.currency} before and is "
            f"{arguments.amount} {tariff.currency} now; give each payment an id of its own.",
            id=arguments.id,
        )
    months = _open_months(desk, view, row, history)
    purse.top_ups[arguments.id] = arguments.amount
    desk.state.purses[meter] = purse
    return Answer(_balance(desk, view, row, months))


def answer_balance(desk: Desk, view: GroupView, asked: Asked, history: History) -> Answer:
    """Answer `balance`."""
    row = row_of(view, asked)
    return Answer(_balance(desk, view, row, _open_months(desk, view, row, history)))


def watch_purses(desk: Desk, view: GroupView) -> list[Finding]:
    """Return which balances became low or were used up since the last run, each crossing once."""
    findings = []
    for row, meter in enumerate(view.meters):
        terms = desk.settings.terms(meter)
        if terms is None or not terms.is_prepaid:
            continue
        try:
            tariff, _ = _prepayment(desk, view, meter)
            purse = desk.state.purses.setdefault(meter, Purse(month_at(tariff, view.now)))
            balance = _balance(desk, view, row, desk.open_months(view, row, {}))
        except MeterTwinError:
            continue  # without intervals or prices there is nothing new to say
        if _ORDER.index(balance.standing) > _ORDER.index(purse.standing):
            detail = f"The prepaid balance is {balance.balance} {tariff.currency}"
            left = balance.left_days
            when = "." if left is None or left <= 0 else f", enough for about {left:.1f} days."
            name = _FINDINGS[balance.standing]
            findings.append(Finding(meter, name, view.now, detail + when))
        purse.standing = balance.standing
    return findings


def _open_months(
    desk: Desk, view: GroupView, row: int, history: History
) -> OpenMonths | MeterTwinError:
    try:
        return desk.open_months(view, row, history)
    except MeterTwinError as error:
        return error


def _balance(desk: Desk, view: GroupView, row: int, months: OpenMonths | MeterTwinError) -> Balance:
    """Return the balance; of months that cannot be rated, only what was issued is charged."""
    meter = view.meters[row]
    tariff, terms = _prepayment(desk, view, meter)
    purse = desk.state.purses.get(meter, Purse(month_at(tariff, view.now)))
    if isinstance(months, MeterTwinError):
        not_issued, per_day = _NOTHING, None
        told = f"What was not issued yet is not charged yet: {months}"
        basis = basis_of_tariff(tariff, -1, view.now, [told])
    else:
        not_issued, per_day = _not_issued(months, purse.opened), _per_day(months)
        notes = [] if months.bill is None else months.notes(months.chain[-1])
        basis = months.basis(view.now, notes)
    if free := _not_charged(desk, meter, purse.opened):
        told = f"Not issued and not charged: {named(free)}; `bill` says what it comes to."
        basis = replace(basis, notes=[told, *basis.notes])
    charged = purse.charged_before_amount + _issued(desk, meter, purse.opened) + not_issued
    topped_up = sum(list(purse.top_ups.values()), _NOTHING)
    balance = topped_up - charged
    return Balance(
        basis=basis,
        balance=balance,
        topped_up_amount=topped_up,
        charged_amount=charged,
        emergency_credit=terms.emergency_credit,
        per_day_amount=per_day,
        left_days=None if not per_day or per_day < 0 else max(float(balance / per_day), 0.0),
        standing=_standing(balance, terms),
    )


def _not_charged(desk: Desk, meter: MeterId, opened: date) -> list[date]:
    account = desk.state.accounts.get(meter)
    return [] if account is None else [month for month in account.skipped if month >= opened]


def _issued(desk: Desk, meter: MeterId, opened: date) -> Decimal:
    totals = [
        each.revisions[-1].total for month, each in desk.state.issued_of(meter) if month >= opened
    ]
    return sum(totals, _NOTHING)


def _not_issued(months: OpenMonths, opened: date) -> Decimal:
    totals = [
        chained.rated.totals(chained.month_index)[0]
        for chained in months.chain
        if chained.month >= opened
    ]
    return sum(totals, _NOTHING)


def _per_day(months: OpenMonths) -> Decimal | None:
    if months.projected_total is None:
        return None
    start_us, end_us = edges_us_of(months.tariff, months.month)
    days = round((end_us - start_us) / DAY_US)
    return (months.projected_total / days).quantize(Decimal("0.0001"))


def _standing(balance: Decimal, terms: Prepayment) -> str:
    if balance <= -terms.emergency_credit:
        return "exhausted"
    return "low" if balance < terms.low_balance else "ok"


def _prepayment(desk: Desk, view: GroupView, meter: MeterId) -> tuple[Tariff, Prepayment]:
    tariff = desk.settings.tariff_on(meter, view.now.date())
    terms = desk.settings.terms(meter)
    if terms is None or not terms.is_prepaid or tariff.prepayment is None:
        raise NotBilledError(
            f"Meter {meter} is not prepaid: it needs `prepaid: true` and a tariff with prepayment.",
            meter=meter,
        )
    return tariff, tariff.prepayment
