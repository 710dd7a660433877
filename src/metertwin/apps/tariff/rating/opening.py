"""A month's beginning: what the months before it hand on, those that were not rated included.

A month that was not rated counts as one without energy. So a billing year or a credit year that
ended in between has ended, peaks fall out of what ratchets look back on, and credits in kWh go from
period to period as they would have, month by month.
"""

from dataclasses import dataclass, field
from datetime import date

import numpy as np

from metertwin.apps.tariff.calendar import Calendar
from metertwin.apps.tariff.energy import EnergyCharge
from metertwin.apps.tariff.rating.book import Book, LineColumn
from metertwin.apps.tariff.rating.carry import (
    AFTER_MONTH,
    CREDIT_EXPIRES,
    CREDIT_MONEY,
    SURPLUS_KWH,
    TRUE_UP_MONTH,
    TRUE_UP_PER_KWH,
    Carry,
    credit_kwh_of,
    credit_time_of,
)
from metertwin.apps.tariff.rating.credit_periods import heir_of, holder_of
from metertwin.apps.tariff.rating.fixed import Fixed, total
from metertwin.apps.tariff.rating.usage import RatingError
from metertwin.apps.tariff.rating.words import number as told_number
from metertwin.apps.tariff.tariff import ChargeKind, Metering
from metertwin.core.batch import Int64s
from metertwin.core.profile import Flags

MONEY_CARRYING = frozenset({Metering.NET_METERING_MONEY, Metering.NET_BILLING_CARRY})


@dataclass(slots=True)
class Opening:
    """A month's beginning, of a batch of meters.

    Attributes:
        carry: What it begins with, as far as is known yet.
        lines: Credits that ended before it began: paid out, or expired.
    """

    book: Book
    carry: Carry
    lines: list[LineColumn] = field(default_factory=list)

    def open(self) -> None:
        """Go from the month after which the carry holds to the beginning of this one.

        Raises:
            RatingError: The carry holds after this month or a later one.
        """
        this = month_number(self.book.span.first)
        after = _after(self.carry, this)
        for number in range(int(after.min()) + 1, this):
            rows = after < number
            self._begin(number, rows)
            self._end_empty(number, rows)
        everyone = np.ones(self.carry.meter_count, bool)
        self._begin(this, everyone)
        self._end_foreign_credit(everyone)

    def _begin(self, number: int, rows: Flags) -> None:
        tariff = self.book.tariff
        if _month_of_year(number) == tariff.year_start_month:
            self.carry = self.carry.without(self.carry.year_sums(), rows)
        if tariff.export.metering is Metering.NET_METERING_KWH:
            assert isinstance(tariff.energy, EnergyCharge)  # checked with the tariff
            self._move_credit(tariff.energy.calendar, number, rows)

    def _end_empty(self, number: int, rows: Flags) -> None:
        """End a month that was not rated."""
        month = _month_of_year(number)
        self.carry = self.carry.without(self.carry.peaks_of(month), rows)
        has_ended = rows & (_whole(self.carry.get(TRUE_UP_MONTH)) == month)
        if has_ended.any():
            name = f"{self._first_day(number):%B %Y}"
            why = f"The credit year ended with {name}, a month that was not billed"
            self._settle_kwh(why, has_ended)
            self._settle_money(why, has_ended)

    def _end_foreign_credit(self, everyone: Flags) -> None:
        """End credits that the month's tariff does not know."""
        metering = self.book.tariff.export.metering
        why = "The tariff is another one than before and carries no such credit"
        if metering is not Metering.NET_METERING_KWH:
            self._settle_kwh(why, everyone)
        if metering not in MONEY_CARRYING:
            self._settle_money(why, everyone)

    def _move_credit(self, calendar: Calendar, number: int, rows: Flags) -> None:
        """Give credits to the periods of a month that take them over."""
        before, first = self._first_day(number - 1), self._first_day(number)
        by_period = self.carry.credits_kwh()
        moved: dict[str, list[Fixed]] = {}
        for name, kwh in by_period.items():
            moved.setdefault(name, []).append(_only(kwh, ~rows))
            if name in calendar.periods:
                heir = heir_of(calendar, calendar.periods.index(name), before, first)
                moved.setdefault(calendar.periods[heir], []).append(_only(kwh, rows))
                continue
            # A tariff before had the period: who holds at its time of day takes the credit.
            times = _whole(self.carry.get(credit_time_of(name)))
            for time in np.unique(times[rows]).tolist():
                heir = holder_of(calendar, time, first)
                part = _only(kwh, rows & (times == time))
                moved.setdefault(calendar.periods[heir], []).append(part)
        count = self.carry.meter_count
        self.carry = self.carry.with_columns(
            {credit_kwh_of(name): total(parts, count) for name, parts in moved.items()}
        ).without({credit_time_of(name) for name in by_period}, rows)

    def _settle_kwh(self, why: str, rows: Flags) -> None:
        carry, currency = self.carry, self.book.tariff.currency
        by_period = carry.credits_kwh()
        if not by_period:
            return
        ended = _only(total(list(by_period.values()), carry.meter_count), rows)
        surplus = _only(carry.get(SURPLUS_KWH), rows)
        price = carry.get(TRUE_UP_PER_KWH)

        def because(row: int) -> str:
            return (
                f"{why}: {told_number(ended.row(row))} kWh of credit ended; "
                f"{told_number(surplus.row(row))} kWh fed in were left after what was drawn, paid "
                f"at {told_number(price.row(row))} {currency} per kWh."
            )

        amount = self.book.billed(-surplus.times_each(price))
        self.lines.append(
            LineColumn(
                ChargeKind.TRUE_UP,
                "True-up of earlier kWh",
                amount,
                because,
                quantity=ended,
                unit="kWh",
            )
        )
        names = {name for period in by_period for name in _names_of(period)} | {SURPLUS_KWH}
        self.carry = carry.without(names, rows)

    def _settle_money(self, why: str, rows: Flags) -> None:
        carry, tariff = self.carry, self.book.tariff
        if CREDIT_MONEY not in carry.columns:
            return
        left = _only(carry.get(CREDIT_MONEY), rows)
        expires = _whole(carry.get(CREDIT_EXPIRES)) != 0

        def because(row: int) -> str:
            money = told_number(left.row(row), tariff.rounding.digits)
            end = "expired" if expires[row] else "is paid out"
            return f"{why}: the credit of {money} {tariff.currency} {end}."

        self.lines.append(
            LineColumn(
                ChargeKind.TRUE_UP,
                "True-up of earlier credit",
                -_only(left, ~expires),
                because,
                quantity=left,
                unit=tariff.currency,
            )
        )
        self.carry = carry.without({CREDIT_MONEY}, rows)

    def _first_day(self, number: int) -> date:
        year, month = divmod(number - 1, 12)
        return date(year, month + 1, self.book.tariff.month_start_day)


def month_number(first: date) -> int:
    """Return the number of a billing month, 12 x year + month, as carries have it."""
    return 12 * first.year + first.month


def _after(carry: Carry, this: int) -> Int64s:
    """Return the number of the month after which each meter's carry holds."""
    after = _whole(carry.get(AFTER_MONTH))
    later = int(after.max())
    if later >= this:
        year, month = divmod(later - 1, 12)
        raise RatingError(
            f"The carry holds after {year}-{month + 1:02}, and the usage begins with the month of "
            f"{(this - 1) // 12}-{_month_of_year(this):02}; give what an earlier month handed on."
        )
    return np.where(after == 0, this - 1, after)


def _month_of_year(number: int) -> int:
    return (number - 1) % 12 + 1


def _names_of(period: str) -> tuple[str, str]:
    return credit_kwh_of(period), credit_time_of(period)


def _only(column: Fixed, rows: Flags) -> Fixed:
    """Return the column with 0 in other rows."""
    return Fixed(column.integers * rows, column.digits)


def _whole(column: Fixed) -> Int64s:
    integers: Int64s = (column.integers // 10**column.digits).astype(np.int64)
    return integers
