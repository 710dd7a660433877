"""What the app answers; every answer says on which tariff and which energies it rests."""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from metertwin.apps.tariff.bill import Bill, BillChange
from metertwin.apps.tariff.energy import TierRule
from metertwin.apps.tariff.tariff import Metering
from metertwin.core.ids import MeterId


@dataclass(frozen=True, slots=True)
class Basis:
    """What an answer rests on.

    Attributes:
        tier_rule: By which rule blocks are filled; None where the tariff has no blocks.
        newest_interval_end: End of the newest interval known; None: there is none.
        age_s: How long ago that was.
        estimated_count: Intervals whose energy was estimated or put in by a person.
        missing_count: Intervals of which nothing is known.
        notes: Sentences: from when on it counted, what was estimated and how.
    """

    tariff: str
    tariff_version: int
    tier_rule: TierRule | None
    metering: Metering
    currency: str
    newest_interval_end: datetime | None
    age_s: float | None
    estimated_count: int
    missing_count: int
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class BillSoFar:
    """The running month's bill up to the newest interval, and what it will come to.

    Attributes:
        projected_total: Total at the month's end; None where it cannot be said.
        projected_how: What the rest of the month was taken to be, or why there is no projection.
    """

    basis: Basis
    bill: Bill
    projected_total: Decimal | None
    projected_how: str


@dataclass(frozen=True, slots=True)
class Revision:
    """One issue of a month's bill; revision 0 changed nothing."""

    revision: int
    issued_at: datetime
    total: Decimal
    change: BillChange | None = None


@dataclass(frozen=True, slots=True)
class MonthBill:
    """A month's bill.

    Attributes:
        is_issued: Whether it was issued; else it was rated for this answer.
        revisions: As issued, ascending; empty where it was not.
    """

    basis: Basis
    bill: Bill
    is_issued: bool
    revisions: list[Revision] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MeterTotal:
    """What one meter owes for a month.

    Attributes:
        total: None where the meter cannot be billed; `note` says why.
        revision: Of the issued bill; None: rated for this answer.
    """

    meter: MeterId
    total: Decimal | None
    import_kwh: Decimal | None = None
    export_kwh: Decimal | None = None
    tariff: str = ""
    tariff_version: int = 0
    currency: str = ""
    estimated_count: int = 0
    missing_count: int = 0
    revision: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class GroupBills:
    """A group's month.

    Attributes:
        totals: By currency.
        newest_interval_end: Of the meters rated for this answer; None: all were issued.
        bills: Whole bills, if wanted.
    """

    month: str
    totals: dict[str, Decimal]
    meters: list[MeterTotal]
    bills: list[Bill]
    newest_interval_end: datetime | None
    age_s: float | None


@dataclass(frozen=True, slots=True)
class MonthCost:
    """A month's total; `is_final` says whether the whole month was there."""

    month: date
    total: Decimal
    is_final: bool


@dataclass(frozen=True, slots=True)
class LineCost:
    """What a kind of line comes to over all months."""

    name: str
    period: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class TariffCost:
    """What the meter's energy costs under one tariff.

    Attributes:
        difference: To the meter's own tariff; negative is cheaper.
        why: Lines that differ most from the own tariff, as sentences.
    """

    basis: Basis
    total: Decimal
    difference: Decimal
    months: list[MonthCost]
    lines: list[LineCost]
    why: list[str]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Tariffs compared, the cheapest first.

    Attributes:
        own: Tariff the meter has.
        saving: Of the cheapest against the own one.
        left_out: Tariffs that could not be compared, and why.
    """

    start: datetime
    end: datetime
    own: str
    cheapest: str
    saving_amount: Decimal
    tariffs: list[TariffCost]
    left_out: list[str]


@dataclass(frozen=True, slots=True)
class PricedSpan:
    """A span of time and the mean price in it, taxes and levies included."""

    start: datetime
    end: datetime
    local_start: str
    price_per_kwh: Decimal
    period: str


@dataclass(frozen=True, slots=True)
class CheapestHours:
    """When to run something.

    Attributes:
        price_per_kwh: Mean over the spans.
        cost_amount: Of the load; None where no load was given.
        saving_now_per_kwh: Against running at once.
        saving_dearest_per_kwh: Against the dearest choice in the same time.
        known_until: Until when prices were looked at.
        tier: Block in which the month's energy stands, 0 where the tariff has none.
    """

    basis: Basis
    spans: list[PricedSpan]
    price_per_kwh: Decimal
    cost_amount: Decimal | None
    saving_now_per_kwh: Decimal
    saving_now_amount: Decimal | None
    saving_dearest_per_kwh: Decimal
    saving_dearest_amount: Decimal | None
    known_until: datetime
    tier: int


@dataclass(frozen=True, slots=True)
class UsageBucket:
    """Energy and what it cost in a bucket of local time.

    Attributes:
        label: Local day or hour with its offset, a weekday, or a period's name.
        cost_amount: Energy, critical peaks, levies and feed-in; no fixed charges or taxes.
        estimated_share: Of the bucket's intervals, 0 to 1.
        known_share: Of the bucket's intervals, 0 to 1.
    """

    label: str
    import_kwh: Decimal
    export_kwh: Decimal
    cost_amount: Decimal
    estimated_share: float
    known_share: float


@dataclass(frozen=True, slots=True)
class UsageBreakdown:
    """Energy and cost of a range of local days by bucket."""

    basis: Basis
    start: datetime
    end: datetime
    by: str
    buckets: list[UsageBucket]
    import_kwh: Decimal
    export_kwh: Decimal
    cost_amount: Decimal


@dataclass(frozen=True, slots=True)
class TariffNow:
    """The tariff in force.

    Attributes:
        period: Period that holds now; empty for real-time prices.
        price_per_kwh: In the present block, without levies and taxes.
        next_period: What holds from `changes_at` on.
        changes_at: None: nothing changes within a week.
        document: The tariff itself.
    """

    basis: Basis
    name: str
    period: str
    price_per_kwh: Decimal | None
    next_period: str
    changes_at: datetime | None
    document: dict[str, object]


@dataclass(frozen=True, slots=True)
class TariffListed:
    """A tariff version the group knows, and how many meters have it now."""

    tariff: str
    version: int
    name: str
    currency: str
    zone: str
    valid_from: date | None
    valid_until: date | None
    meter_count: int


@dataclass(frozen=True, slots=True)
class EditListed:
    """An edit on record."""

    id: str
    register: str
    interval_start: datetime
    length_s: int
    value: Decimal
    by: str
    at: datetime
    reason: str
    withdrawn_by: str
    withdrawn_at: datetime | None
    withdrawn_reason: str


@dataclass(frozen=True, slots=True)
class EditsMade:
    """What an edit or a withdrawal did: ids, and the bills issued anew because of it."""

    ids: list[str]
    changes: list[BillChange]


@dataclass(frozen=True, slots=True)
class Balance:
    """A prepaid account.

    Attributes:
        topped_up_amount: Payments so far.
        charged_amount: Bills since the account was opened, the running month's so far included.
        emergency_credit: How far below 0 the balance may go.
        per_day_amount: The running month's projected cost per day.
        left_days: Until the balance is used up at that rate; None: it never is, or nothing is
            known of the running month yet.
        standing: `ok`, `low` or `exhausted`.
    """

    basis: Basis
    balance: Decimal
    topped_up_amount: Decimal
    charged_amount: Decimal
    emergency_credit: Decimal
    per_day_amount: Decimal | None
    left_days: float | None
    standing: str


@dataclass(frozen=True, slots=True)
class PricesSet:
    """Real-time prices now known of a tariff."""

    tariff: str
    known_from: datetime
    known_until: datetime


@dataclass(frozen=True, slots=True)
class EventCalled:
    """Critical peaks called of a tariff, this one included."""

    tariff: str
    start: datetime
    end: datetime
    year_count: int
    is_new: bool
