"""The lines of one billing month, for all meters of a batch at once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from metertwin.apps.tariff.rating.axis import MonthSpan
from metertwin.apps.tariff.rating.fixed import Fixed, total
from metertwin.apps.tariff.tariff import ChargeKind, Tariff
from metertwin.core.money import RoundingPlace


@dataclass(frozen=True, slots=True, eq=False)
class LineColumn:
    """One line of every meter's bill; what it says is written when somebody asks.

    Attributes:
        quantity: How much; None where the amount stands alone.
        rate: Price per unit or percent, of all rows or of each.
        amount: Rounded if the tariff rounds lines.
        because: Gives the sentence of a row.
    """

    kind: ChargeKind
    name: str
    amount: Fixed
    because: Callable[[int], str]
    period: str = ""
    tier: int = 0
    quantity: Fixed | None = None
    unit: str = ""
    rate: Decimal | Fixed | None = None

    def rate_of(self, row: int) -> Decimal | None:
        """Return the price or percent of a row."""
        return self.rate.row(row) if isinstance(self.rate, Fixed) else self.rate


@dataclass(slots=True, eq=False)
class Book:
    """Lines as they are added; amounts are rounded on the way in if the tariff rounds lines."""

    tariff: Tariff
    span: MonthSpan
    meter_count: int
    lines: list[LineColumn] = field(default_factory=list)

    def billed(self, amount: Fixed) -> Fixed:
        """Return an amount as a line of this tariff shows it."""
        rounding = self.tariff.rounding
        return amount.rounded(rounding) if rounding.place is RoundingPlace.LINE else amount

    def add(self, line: LineColumn) -> None:
        """Add a line whose amount is as it shall be billed; lines of all zeros are left out."""
        if line.amount.is_any() or (line.quantity and line.quantity.is_any()):
            self.lines.append(line)

    def sum_of(self, kinds: frozenset[ChargeKind]) -> Fixed:
        """Return what the lines of some kinds come to."""
        return total([line.amount for line in self.lines if line.kind in kinds], self.meter_count)

    def sum_of_all(self) -> Fixed:
        """Return what all lines come to."""
        return total([line.amount for line in self.lines], self.meter_count)

    def constant(self, value: Decimal) -> Fixed:
        """Return a value as a column of this batch."""
        return Fixed.constant(value, self.meter_count)
