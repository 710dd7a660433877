"""What a bill said, as far as a usage file tells it: period, amounts, lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from metertwin.apps.tariff.bill import Bill, BillLine
from metertwin.apps.tariff.tariff import ChargeKind
from metertwin.core.ids import MeterId

AMOUNT_STEP = Decimal("0.00001")  # Green Button counts hundred-thousandths of the currency
NOTE_LONGEST = 256
_KW_TO_W = Decimal(1000)
# ESPI's ItemKind: 2 delivery, 3 usage, 4 administrative, 5 tax, 6 generation credit,
# 8 administrative credit.
_ITEM_KINDS = {
    ChargeKind.ENERGY: 3,
    ChargeKind.CRITICAL_PEAK: 3,
    ChargeKind.DEMAND: 2,
    ChargeKind.CAPACITY: 2,
    ChargeKind.POWER_FACTOR: 2,
    ChargeKind.FIXED: 4,
    ChargeKind.MINIMUM: 4,
    ChargeKind.LEVY: 5,
    ChargeKind.FEED_IN: 6,
    ChargeKind.CREDIT: 6,
    ChargeKind.TRUE_UP: 6,
    ChargeKind.TAX: 5,
    ChargeKind.ROUNDING: 8,
}
_UNITS = {"kWh": "Wh", "kW": "W", "kVA": "VA", "kvarh": "varh"}


@dataclass(frozen=True, slots=True)
class SummaryLine:
    """One line of a bill.

    Attributes:
        note: What it is for, 1 to 256 characters.
        amount: In the bill's currency; negative is a credit.
        item_kind: ESPI's kind of line, 1 to 10; 0 where the file gives none.
        value: How much was charged for, in `unit`; None where the file does not say.
        unit: Wh, W, VA or varh; empty where `value` is None or its unit is not one of these.
    """

    note: str
    amount: Decimal
    item_kind: int = 0
    value: Decimal | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class BillSummary:
    """One bill, or what a running month has cost so far.

    Attributes:
        meter: Whose.
        start: First moment billed, UTC.
        end: First moment not billed, UTC.
        at: When the summary was made, UTC.
        currency: Three letters; empty where the file gives none that is known.
        last_total: Amount of the bill; None where the file does not say.
        so_far_total: Amount so far of a month that is not over; None likewise.
        additional_total: Sum of the additional charges, where the file says it.
        import_wh: Energy drawn in the period, where the file says it.
        tariff: Name of the tariff; may be empty.
        lines: What the amount is made of; may be empty.
    """

    meter: MeterId
    start: datetime
    end: datetime
    at: datetime
    currency: str = ""
    last_total: Decimal | None = None
    so_far_total: Decimal | None = None
    additional_total: Decimal | None = None
    import_wh: Decimal | None = None
    tariff: str = ""
    lines: Sequence[SummaryLine] = ()

    @classmethod
    def of(cls, bill: Bill, at: datetime) -> "BillSummary":
        """Return what a usage file tells of a bill.

        Amounts are told to a hundred-thousandth of the currency; finer ones, which a tariff that
        rounds only the total can have in its lines, are rounded half to even.

        Args:
            bill: The bill.
            at: When the summary is made, UTC.
        """
        total = _told(bill.total)
        return cls(
            meter=bill.meter,
            start=bill.start,
            end=bill.end,
            at=at,
            currency=bill.currency,
            last_total=total if bill.is_final else None,
            so_far_total=None if bill.is_final else total,
            import_wh=bill.import_kwh * _KW_TO_W,
            tariff=f"{bill.tariff} version {bill.tariff_version}"[:NOTE_LONGEST],
            lines=[_line(line) for line in bill.lines],
        )


def _line(line: BillLine) -> SummaryLine:
    names = [line.name, line.period, f"block {line.tier}" if line.tier else ""]
    note = f"{', '.join(name for name in names if name)}: {line.because}".strip()
    unit = _UNITS.get(line.unit, "")
    is_credit = line.amount < 0 and line.kind is ChargeKind.ENERGY
    return SummaryLine(
        note=note if len(note) <= NOTE_LONGEST else note[: NOTE_LONGEST - 3] + "...",
        amount=_told(line.amount),
        item_kind=6 if is_credit else _ITEM_KINDS[line.kind],
        value=line.quantity * _KW_TO_W if unit and line.quantity is not None else None,
        unit=unit,
    )


def _told(amount: Decimal) -> Decimal:
    return amount.quantize(AMOUNT_STEP, rounding=ROUND_HALF_EVEN)
