"""The end of a bill: fixed charges, minimums, true-up, taxes, rounding."""

from decimal import Decimal

from metertwin.apps.tariff.rating.book import Book, LineColumn
from metertwin.apps.tariff.rating.carry import YEAR_MONEY
from metertwin.apps.tariff.rating.fixed import Fixed
from metertwin.apps.tariff.rating.month import Month
from metertwin.apps.tariff.rating.words import number
from metertwin.apps.tariff.tariff import ChargeKind, ChargePeriod, FixedCharge, Metering, Tax
from metertwin.core.money import Rounding, RoundingPlace

_MONTHS = 12


def add_fixed_lines(month: Month) -> None:
    """Add what does not depend on usage."""
    for charge in month.plan.tariff.fixed:
        month.book.add(_fixed_line(month, charge))


def _fixed_line(month: Month, charge: FixedCharge) -> LineColumn:
    book, currency = month.book, month.book.tariff.currency
    money = number(charge.amount, book.tariff.rounding.digits)
    if charge.per is ChargePeriod.DAY:
        days, unit = Decimal(book.span.begun_days), "day"
        amount = charge.amount * days
        text = f"{number(days)} days at {money} {currency} a day."
    elif charge.per is ChargePeriod.YEAR:
        days, unit = Decimal(1), "month"
        place = month_of_year(month)
        amount = _year_part(charge.amount, place, book.tariff.rounding)
        text = f"Part {place} of 12 of {money} {currency} a year."
    else:
        days, unit, amount = Decimal(1), "month", charge.amount
        text = f"{money} {currency} a month, whatever is used."
    return LineColumn(
        ChargeKind.FIXED,
        charge.name,
        book.billed(book.constant(amount)),
        lambda _: text,
        quantity=book.constant(days),
        unit=unit,
        rate=charge.amount if charge.per is not ChargePeriod.YEAR else amount,
    )


def month_of_year(month: Month) -> int:
    """Return which month of the billing year it is, 1 to 12."""
    return (month.book.span.first.month - month.plan.tariff.year_start_month) % _MONTHS + 1


def _year_part(amount: Decimal, place: int, rounding: Rounding) -> Decimal:
    """Return one twelfth, so rounded that the twelve come to the whole."""
    exponent = amount.as_tuple().exponent
    assert isinstance(exponent, int)
    digits = max(rounding.digits, -exponent)

    def up_to(months: int) -> Decimal:
        integer = int(amount.scaleb(digits)) * months
        sign = -1 if integer < 0 else 1
        return Decimal(sign * ((2 * abs(integer) + _MONTHS) // (2 * _MONTHS))).scaleb(-digits)

    return up_to(place) - up_to(place - 1)


def add_minimum_lines(month: Month) -> dict[str, Fixed]:
    """Add what is missing to the month's and the year's minimum; return the year so far.

    Only a whole month is held against a minimum. What feeding in earns beyond nothing does not
    make up for it, and where all generated energy is sold apart, does not count at all.
    """
    book, tariff = month.book, month.plan.tariff
    if not book.span.is_final:
        return {}
    base = book.sum_of_all()
    if tariff.export.metering is Metering.BUY_ALL_SELL_ALL:
        base = base - book.sum_of(frozenset({ChargeKind.FEED_IN}))
    base = base.positive()
    billed = base
    if tariff.minimum_per_month:
        missing = (book.constant(tariff.minimum_per_month) - base).positive()
        book.add(_minimum_line(book, "Monthly minimum", missing, tariff.minimum_per_month))
        billed = billed + book.billed(missing)
    if not tariff.minimum_per_year:
        return {}
    so_far = month.carry.get(YEAR_MONEY) + billed
    if month_of_year(month) == _MONTHS:
        missing = (book.constant(tariff.minimum_per_year) - so_far).positive()
        book.add(_minimum_line(book, "Yearly minimum", missing, tariff.minimum_per_year))
    return {YEAR_MONEY: so_far}


def _minimum_line(book: Book, name: str, missing: Fixed, minimum: Decimal) -> LineColumn:
    currency, digits = book.tariff.currency, book.tariff.rounding.digits
    span = "year" if name.startswith("Year") else "month"

    def because(row: int) -> str:
        return (
            f"The {span} costs at least {number(minimum, digits)} {currency} before taxes; "
            f"{number(missing.row(row), digits)} {currency} are missing to it."
        )

    return LineColumn(ChargeKind.MINIMUM, name, book.billed(missing), because)


def add_tax_lines(book: Book) -> None:
    """Add each tax on the lines it is levied on, as billed, none of them on another tax."""
    bases = [(tax, book.sum_of(tax.on)) for tax in book.tariff.taxes]
    for tax, base in bases:
        book.add(_tax_line(book, tax, base))


def _tax_line(book: Book, tax: Tax, base: Fixed) -> LineColumn:
    currency, digits = book.tariff.currency, book.tariff.rounding.digits

    def because(row: int) -> str:
        return f"{number(tax.percent)} % of {number(base.row(row), digits)} {currency}."

    amount = book.billed(base.times(tax.percent).times(Decimal("0.01")))
    return LineColumn(
        ChargeKind.TAX, tax.name, amount, because, quantity=base, unit=currency, rate=tax.percent
    )


def closed_total(book: Book) -> Fixed:
    """Return what is owed; where only the total is rounded, add the line that makes up for it."""
    rounding = book.tariff.rounding
    exact = book.sum_of_all()
    owed = exact.rounded(rounding)
    if rounding.place is RoundingPlace.BILL:
        text = f"The total is rounded to {rounding.digits} digits behind the point."
        book.add(LineColumn(ChargeKind.ROUNDING, "Rounding", owed - exact, lambda _: text))
    return owed
