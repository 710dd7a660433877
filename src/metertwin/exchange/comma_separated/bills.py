"""Bills as CSV: every line of every bill, and an overview of a fleet's bills."""

import csv
import io
from collections.abc import Iterable, Sequence
from decimal import Decimal

from metertwin.apps.tariff.bill import Bill

_BILL = ("meter", "month", "tariff", "tariff_version", "currency", "start", "end", "is_final")
_LINE = ("line", "kind", "name", "period", "block", "quantity", "unit", "rate", "amount", "because")
_OVERVIEW = (
    "total",
    "import_kwh",
    "export_kwh",
    "interval_count",
    "estimated_count",
    "missing_count",
    "estimated_kwh",
    "usage_digest",
)


def bill_lines_csv(bills: Iterable[Bill]) -> bytes:
    """Return a row per line of each bill, amounts and quantities exact; lines sum to `total`."""
    rows = (
        [
            *_said_of(bill),
            number,
            line.kind.value,
            line.name,
            line.period,
            line.tier or "",
            _exact(line.quantity),
            line.unit,
            _exact(line.rate),
            _exact(line.amount),
            line.because,
            _exact(bill.total),
        ]
        for bill in bills
        for number, line in enumerate(bill.lines, 1)
    )
    return _sheet((*_BILL, *_LINE, "total"), rows)


def bills_overview_csv(bills: Iterable[Bill]) -> bytes:
    """Return a row per bill: what is owed, the energies, and how much of them was estimated."""
    rows = (
        [
            *_said_of(bill),
            _exact(bill.total),
            _exact(bill.import_kwh),
            _exact(bill.export_kwh),
            bill.interval_count,
            bill.estimated_count,
            bill.missing_count,
            _exact(bill.estimated_kwh),
            bill.usage_digest,
        ]
        for bill in bills
    )
    return _sheet((*_BILL, *_OVERVIEW), rows)


def _said_of(bill: Bill) -> list[object]:
    return [
        bill.meter,
        bill.month.isoformat(),
        bill.tariff,
        bill.tariff_version,
        bill.currency,
        bill.start.isoformat(),
        bill.end.isoformat(),
        "yes" if bill.is_final else "no",
    ]


def _exact(number: Decimal | None) -> str:
    return "" if number is None else f"{number:f}"


def _sheet(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()
