"""The result of a rating: totals of all meters at once, a bill for whoever asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from hashlib import sha256

import numpy as np

from metertwin.apps.tariff.bill import Bill, BillLine
from metertwin.apps.tariff.energy import EnergyCharge
from metertwin.apps.tariff.rating.axis import MonthSpan
from metertwin.apps.tariff.rating.book import Book, LineColumn
from metertwin.apps.tariff.rating.carry import Carry
from metertwin.apps.tariff.rating.determinants import in_kwh
from metertwin.apps.tariff.rating.fixed import Fixed
from metertwin.apps.tariff.rating.usage import Counts, RatingError, UsageBatch
from metertwin.apps.tariff.rating.words import tidy
from metertwin.core.clock import from_us
from metertwin.core.profile import Flags


@dataclass(frozen=True, slots=True, eq=False)
class RatedMonth:
    """One month of a batch of meters."""

    book: Book
    owed: Fixed
    carry: Carry
    import_kwh: Fixed
    export_kwh: Fixed
    credit_kwh: Fixed
    credit_amount: Fixed


@dataclass(frozen=True, slots=True, eq=False)
class RatedPart:
    """All months of some rows."""

    usage: UsageBatch
    months: Sequence[RatedMonth]


@dataclass(frozen=True, slots=True, eq=False)
class Rated:
    """What `rate` found; rows are those of the usage."""

    parts: Sequence[RatedPart]
    part_size: int

    @property
    def months(self) -> list[date]:
        """First day of each billing month rated."""
        return [month.book.span.first for month in self.parts[0].months]

    def is_final(self, month_index: int) -> bool:
        """Say whether the usage covers the whole month."""
        return self._span(month_index).is_final

    def totals(self, month_index: int) -> list[Decimal]:
        """Return what each meter owes for a month."""
        return [owed for part in self.parts for owed in part.months[month_index].owed.rows()]

    def carry_after(self, month_index: int) -> Carry:
        """Return what a month hands to the next.

        Raises:
            RatingError: The usage ends within the month: it hands nothing on yet.
        """
        if not self.is_final(month_index):
            raise RatingError(
                f"Billing month {self.months[month_index]} is rated in part only; it hands nothing "
                "to the next before it is whole."
            )
        return Carry.joined([part.months[month_index].carry for part in self.parts])

    def bill(self, row: int, month_index: int) -> Bill:
        """Return the bill of one meter for one month."""
        part = self.parts[row // self.part_size]
        return _bill(part, part.months[month_index], row % self.part_size)

    def _span(self, month_index: int) -> MonthSpan:
        return self.parts[0].months[month_index].book.span


def _bill(part: RatedPart, month: RatedMonth, row: int) -> Bill:
    book, usage = month.book, part.usage
    tariff, span = book.tariff, book.span
    part_of_row = slice(span.first_index, span.end_index)
    is_estimated = _flags(usage.is_estimated, row, part_of_row)
    is_missing = _flags(usage.is_missing, row, part_of_row)
    energy = tariff.energy
    return Bill(
        meter=usage.meters[row],
        tariff=tariff.id,
        tariff_version=tariff.version,
        currency=tariff.currency,
        month=span.first,
        start=from_us(span.start_us),
        end=from_us(usage.start_us + span.end_index * usage.period_us),
        is_final=span.is_final,
        tier_rule=energy.tier_rule if isinstance(energy, EnergyCharge) else None,
        metering=tariff.export.metering,
        lines=[_line(line, row, book) for line in book.lines if _is_shown(line, row)],
        total=month.owed.row(row),
        import_kwh=tidy(month.import_kwh.row(row)),
        export_kwh=tidy(month.export_kwh.row(row)),
        interval_count=span.end_index - span.first_index,
        estimated_count=0 if is_estimated is None else int(is_estimated.sum()),
        missing_count=0 if is_missing is None else int(is_missing.sum()),
        estimated_kwh=_kwh_where(
            usage, usage.import_counts, usage.is_import_estimated, (row, part_of_row)
        ),
        usage_digest=_digest(usage, span, row),
        credit_kwh=tidy(month.credit_kwh.row(row)),
        credit_amount=tidy(month.credit_amount.row(row), tariff.rounding.digits),
        estimated_export_kwh=_kwh_where(
            usage, usage.export_counts, usage.is_export_estimated, (row, part_of_row)
        ),
    )


def _is_shown(line: LineColumn, row: int) -> bool:
    has_quantity = line.quantity is not None and line.quantity.integers[row] != 0
    return has_quantity or bool(line.amount.integers[row] != 0)


def _line(line: LineColumn, row: int, book: Book) -> BillLine:
    rate = line.rate_of(row)
    return BillLine(
        kind=line.kind,
        name=line.name,
        amount=tidy(line.amount.row(row), book.tariff.rounding.digits),
        because=line.because(row),
        period=line.period,
        tier=line.tier,
        quantity=None if line.quantity is None else tidy(line.quantity.row(row)),
        unit=line.unit,
        rate=None if rate is None else tidy(rate),
    )


def _flags(flags: Flags | None, row: int, part: slice) -> Flags | None:
    return None if flags is None else flags[row, part]


def _kwh_where(
    usage: UsageBatch, counts: Counts | None, flags: Flags | None, part: tuple[int, slice]
) -> Decimal:
    """Return the energy of intervals that are estimated: in this register, or in any."""
    flags = usage.is_estimated if flags is None else flags
    if counts is None or flags is None:
        return Decimal(0)
    estimated = int(counts[part][flags[part]].sum(dtype=np.int64))
    return tidy(in_kwh(np.array([estimated]), usage.scaler).row(0))


def _digest(usage: UsageBatch, span: MonthSpan, row: int) -> str:
    """Return a digest over all of a row that a bill depends on, the same for any integer dtype."""
    part = slice(span.first_index, span.end_index)
    digest = sha256(f"{span.start_us} {usage.period_s} {usage.scaler}".encode())
    columns: list[tuple[str, Counts | Flags | None]] = [
        ("import", usage.import_counts),
        ("export", usage.export_counts),
        ("varh", usage.import_varh_counts),
        ("estimated", usage.is_estimated),
        ("missing", usage.is_missing),
        ("import estimated", usage.is_import_estimated),
        ("export estimated", usage.is_export_estimated),
    ]
    for name, column in columns:
        if column is not None and column[row, part].any():
            digest.update(f" {name} ".encode())
            digest.update(np.ascontiguousarray(column[row, part], "<i8").tobytes())
    if usage.contracts is not None:
        digest.update(repr(usage.contracts[row]).encode())
    return digest.hexdigest()
