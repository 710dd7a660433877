"""A bill: its lines, what each is for and why, and what of it rests on estimates."""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from metertwin.apps.tariff.energy import TierRule
from metertwin.apps.tariff.tariff import ChargeKind, Metering
from metertwin.core.ids import MeterId


@dataclass(frozen=True, slots=True)
class BillLine:
    """One line.

    Attributes:
        kind: What it is for.
        name: Name of the charge, the period, the tax.
        period: Tariff period; empty where the charge has none.
        tier: Block, from 1; 0 where the charge has none.
        quantity: How much, in `unit`; None where an amount stands alone.
        unit: kWh, kW, kVA, day, month, percent.
        rate: Price per unit in the bill's currency; for a percentage, the percent.
        amount: What it costs; negative is a credit. Rounded if the tariff rounds lines.
        because: One sentence that a customer understands, with the numbers in it.
    """

    kind: ChargeKind
    name: str
    amount: Decimal
    because: str
    period: str = ""
    tier: int = 0
    quantity: Decimal | None = None
    unit: str = ""
    rate: Decimal | None = None

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What tells the line from others of the same bill."""
        return (self.kind, self.name, self.period, self.tier)


@dataclass(frozen=True, slots=True)
class Bill:
    """What one usage point owes for one billing month.

    Attributes:
        month: First day of the billing month, in the tariff's zone.
        start: First moment billed, UTC.
        end: First moment not billed, UTC; before the month's end in a bill so far.
        is_final: Whether the whole month is billed.
        tier_rule: By which rule blocks were filled; None where the tariff has no blocks.
        metering: How energy fed in was treated.
        lines: In the order in which they are explained.
        total: What is owed, rounded by the tariff's rule; the sum of the lines.
        interval_count: Intervals the month so far has.
        estimated_count: Of these, intervals whose energy was estimated or substituted.
        missing_count: Of these, intervals of which nothing is known and nothing was estimated.
        estimated_kwh: Energy drawn that was estimated or substituted.
        usage_digest: SHA-256 over energies and their origin: the same digest, tariff and carry
            give the same bill.
        credit_kwh: Net-metering credit handed to the next month.
        credit_amount: Credit in money handed to the next month.
        estimated_export_kwh: Energy fed in that was estimated or substituted.
    """

    meter: MeterId
    tariff: str
    tariff_version: int
    currency: str
    month: date
    start: datetime
    end: datetime
    is_final: bool
    tier_rule: TierRule | None
    metering: Metering
    lines: list[BillLine]
    total: Decimal
    import_kwh: Decimal
    export_kwh: Decimal
    interval_count: int
    estimated_count: int
    missing_count: int
    estimated_kwh: Decimal
    usage_digest: str
    credit_kwh: Decimal = Decimal(0)
    credit_amount: Decimal = Decimal(0)
    estimated_export_kwh: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class LineChange:
    """A line that differs between two bills; None where a bill does not have it."""

    name: str
    period: str
    tier: int
    before: BillLine | None
    after: BillLine | None
    difference: Decimal


@dataclass(frozen=True, slots=True)
class BillChange:
    """What changed when a month was rated again.

    Attributes:
        reasons: Why, one sentence each: late readings, corrected readings, edits, another tariff.
        difference: New total less old total.
    """

    meter: MeterId
    month: date
    difference: Decimal
    reasons: list[str]
    lines: list[LineChange] = field(default_factory=list)
