"""What a month hands to the next: credits, peaks that ratchets look back on, the year so far.

Kept by name, so that it outlives a change of tariff: what a tariff does not know is left alone,
what is not there is 0. Credits are the exception: under a tariff that knows none they end, on the
terms under which they came about, and those are handed on with them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metertwin.apps.tariff.rating.fixed import Fixed
from metertwin.core.errors import InvalidInputError
from metertwin.core.profile import Flags

CREDIT_MONEY = "credit"
SURPLUS_KWH = "surplus_kwh"
TRUE_UP_MONTH = "true_up_month"  # of the year, 1 to 12, with which credit ends
TRUE_UP_PER_KWH = "true_up_per_kwh"  # paid then for surplus in kWh
CREDIT_EXPIRES = "credit_expires"  # 1: credit in money is lost then
YEAR_MONEY = "year"
AFTER_MONTH = "after_month"  # after which billing month it holds: 12 x year + month
_CREDIT_KWH = "credit_kwh/"
_FIGURES_MAX = 60


class CarryError(InvalidInputError):
    """A carry that is damaged or of other meters."""

    code = "input.tariff_carry"


def credit_kwh_of(period: str) -> str:
    """Name the net-metering credit of a period, in kWh."""
    return f"{_CREDIT_KWH}{period}"


def credit_time_of(period: str) -> str:
    """Name the time of a working day at which a period with credit held, from 1, of the four."""
    return f"credit_time/{period}"


def year_kwh_of(period: str, *, is_sold: bool) -> str:
    """Name the energy of the billing year so far in yearly blocks, in kWh."""
    return f"{'sold' if is_sold else 'drawn'}_kwh/{period}"


def year_kwh_of_all(*, is_sold: bool) -> str:
    """Name the energy of the billing year so far of all periods together, in kWh."""
    return f"{'sold' if is_sold else 'drawn'}_kwh_of_all"


def peak_kw_of(charge: str, period: str, month: int) -> str:
    """Name the demand of a calendar month, 1 to 12, in kW or kVA."""
    return f"peak_kw/{charge}/{period}/{month}"


def peak_kw_of_all(charge: str, month: int) -> str:
    """Name the highest demand of all periods of a calendar month, in kW or kVA."""
    return f"peak_kw_of_all/{charge}/{month}"


@dataclass(frozen=True, slots=True, eq=False)
class Carry:
    """Columns by name, one row per meter.

    Attributes:
        meter_count: Rows.
        columns: What is not 0, by name.
    """

    meter_count: int
    columns: Mapping[str, Fixed] = field(default_factory=dict)

    @classmethod
    def fresh(cls, meter_count: int) -> "Carry":
        """Return the carry of meters that were never billed."""
        return cls(meter_count)

    @classmethod
    def joined(cls, parts: Sequence["Carry"]) -> "Carry":
        """Return the carry of several batches of meters as one."""
        names = sorted({name for part in parts for name in part.columns})
        columns = {}
        for name in names:
            pieces = [part.get(name) for part in parts]
            digits = max(piece.digits for piece in pieces)
            integers = [piece.with_digits(digits).integers for piece in pieces]
            columns[name] = Fixed(np.concatenate(integers), digits)
        return cls(sum(part.meter_count for part in parts), columns)

    def get(self, name: str) -> Fixed:
        """Return a column, of zeros where there is none."""
        column = self.columns.get(name)
        return Fixed.zeros(self.meter_count) if column is None else column

    def with_columns(self, columns: Mapping[str, Fixed]) -> "Carry":
        """Return the carry with some columns new; columns of zeros are left out."""
        merged = {**self.columns, **columns}
        return Carry(self.meter_count, {name: c for name, c in merged.items() if c.is_any()})

    def without(self, names: Collection[str], rows: Flags) -> "Carry":
        """Return the carry with nothing in some columns of some meters."""
        emptied = {
            name: Fixed(column.integers * ~rows, column.digits)
            for name, column in self.columns.items()
            if name in names
        }
        return self.with_columns(emptied) if emptied else self

    def credits_kwh(self) -> dict[str, Fixed]:
        """Return the credits in kWh by period, of whatever tariff."""
        return {
            name.removeprefix(_CREDIT_KWH): column
            for name, column in self.columns.items()
            if name.startswith(_CREDIT_KWH)
        }

    def peaks_of(self, month: int) -> set[str]:
        """Return the names of demand peaks of a month of the year, 1 to 12."""
        ending = f"/{month}"
        return {n for n in self.columns if n.startswith("peak_kw") and n.endswith(ending)}

    def year_sums(self) -> set[str]:
        """Return the names of what belongs to the billing year, under whatever tariff it was."""
        of_all = {year_kwh_of_all(is_sold=is_sold) for is_sold in (False, True)}
        by_period = tuple(year_kwh_of("", is_sold=is_sold) for is_sold in (False, True))
        return {
            name
            for name in self.columns
            if name in of_all or name == YEAR_MONEY or name.startswith(by_period)
        }

    def take(self, rows: NDArray[np.int64] | Sequence[int]) -> "Carry":
        """Return the carry of some of the meters, in this order."""
        at = np.asarray(rows, np.int64)
        return Carry(len(at), {name: column.take(at) for name, column in self.columns.items()})

    def to_plain(self) -> dict[str, Any]:
        """Return it as plain values: decimals as text, so that nothing is lost."""
        return {
            "meter_count": self.meter_count,
            "columns": {n: [f"{v:f}" for v in c.rows()] for n, c in sorted(self.columns.items())},
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Carry":
        """Take back what `to_plain` gave.

        Raises:
            CarryError: It has another form.
        """
        try:
            count = plain["meter_count"]
            columns = {
                str(name): Fixed.of([_finite(value) for value in values])
                for name, values in plain["columns"].items()
            }
        except (KeyError, TypeError, AttributeError, ValueError, InvalidOperation) as error:
            raise CarryError(
                f"Carry of {str(plain)[:80]!r} cannot be read ({error!r}); give what to_plain made."
            ) from None
        if not isinstance(count, int) or count < 0 or {len(c) for c in columns.values()} - {count}:
            raise CarryError(
                f"Carry says {count!r:.20} meters, its columns have "
                f"{sorted({len(c) for c in columns.values()})} rows; it was cut or written wrongly."
            )
        return cls(count, columns)


def _finite(text: str) -> Decimal:
    value = Decimal(text)
    # An exponent of a billion would become as many figures.
    if not value.is_finite() or abs(value.adjusted()) > _FIGURES_MAX:
        raise ValueError(text)
    return value
