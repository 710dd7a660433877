"""A tariff: every price a usage point may meet, and the rules by which they become a bill.

A tariff is data, immutable and with a version; the same tariff and the same energies give the same
bill on any machine and at any time.
"""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum

from metertwin.apps.tariff.demand import CapacityCharge, DemandCharge, PowerFactorAdjustment
from metertwin.apps.tariff.energy import CriticalPeak, EnergyCharge, RealTimePrice
from metertwin.core.errors import InvalidInputError
from metertwin.core.money import Rounding


class TariffError(InvalidInputError):
    """A tariff that contradicts itself; the message lists every contradiction found."""

    code = "input.tariff"


class Metering(StrEnum):
    """What becomes of energy that is fed in."""

    IMPORT_ONLY = "import_only"  # nothing: only what is drawn is billed
    NET_METERING_KWH = "net_metering_kwh"  # the month's net; surplus kWh go into the next month
    NET_METERING_MONEY = "net_metering_money"  # the month's net; surplus valued, carried as money
    NET_BILLING = "net_billing"  # drawn at the buying, fed in at the selling price; feed-in tariff
    NET_BILLING_CARRY = "net_billing_carry"  # likewise, and a credit goes into the next month
    BUY_ALL_SELL_ALL = "buy_all_sell_all"  # all generated is sold, all consumed is bought


@dataclass(frozen=True, slots=True)
class ExportTerms:
    """How energy fed in is treated.

    Attributes:
        metering: The scheme.
        sell_equals_buy: Fed-in energy earns the buying price; else `Tier.sell_per_kwh`.
        true_up_month: Last month of the credit year, 1 to 12: credits end with it.
        true_up_per_kwh: Net metering in kWh: price paid at the true-up for each kWh fed in that is
            left over: month by month, what is drawn in any period is taken off what was fed in, in
            the same and in earlier months. What was drawn before is billed and not taken off later.
        credit_starts_next_month: Net billing with carry: what a month earns can be spent from the
            next month on; else in the same month.
        credit_expires: Credit in money left at the true-up is lost; else it is paid out.
    """

    metering: Metering = Metering.IMPORT_ONLY
    sell_equals_buy: bool = False
    true_up_month: int = 12
    true_up_per_kwh: Decimal = Decimal(0)
    credit_starts_next_month: bool = False
    credit_expires: bool = False


class ChargePeriod(StrEnum):
    """How often a fixed charge is due."""

    MONTH = "month"
    DAY = "day"
    YEAR = "year"  # spread over the billing year's months in equal parts


@dataclass(frozen=True, slots=True)
class FixedCharge:
    """A charge that does not depend on usage, in the tariff's currency."""

    name: str
    amount: Decimal
    per: ChargePeriod = ChargePeriod.MONTH


@dataclass(frozen=True, slots=True)
class Levy:
    """A charge on every kWh drawn, whenever it was."""

    name: str
    price_per_kwh: Decimal


class ChargeKind(StrEnum):
    """What a line of a bill is for."""

    ENERGY = "energy"
    CRITICAL_PEAK = "critical_peak"
    DEMAND = "demand"
    CAPACITY = "capacity"
    POWER_FACTOR = "power_factor"
    FIXED = "fixed"
    MINIMUM = "minimum"
    LEVY = "levy"
    FEED_IN = "feed_in"
    CREDIT = "credit"
    TRUE_UP = "true_up"
    TAX = "tax"
    ROUNDING = "rounding"


@dataclass(frozen=True, slots=True)
class Tax:
    """A percentage on the lines of some kinds; taxes are not taxed."""

    name: str
    percent: Decimal
    on: frozenset[ChargeKind] = frozenset(ChargeKind) - {ChargeKind.TAX, ChargeKind.ROUNDING}


@dataclass(frozen=True, slots=True)
class Prepayment:
    """Energy is paid before it is used.

    Attributes:
        low_balance: Below this the customer is warned.
        emergency_credit: How far below zero the balance may go.
    """

    low_balance: Decimal
    emergency_credit: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Tariff:
    """One tariff in one version.

    Attributes:
        id: Names the tariff; `version` tells its editions apart.
        name: For people.
        currency: Three letters.
        zone: IANA name of the time zone all its times are in.
        energy: Prices of energy.
        valid_from: First day it may be applied; None: since ever.
        valid_until: Last day; None: until further notice.
        month_start_day: Day on which billing months begin, 1 to 28.
        year_start_month: Month in which billing years begin, for yearly blocks and minimums.
        minimum_per_month: A month costs at least this before taxes.
        minimum_per_year: A billing year costs at least this; made up for in its last month.
        source: Where it comes from, for people.
    """

    id: str
    version: int
    name: str
    currency: str
    zone: str
    energy: EnergyCharge | RealTimePrice
    rounding: Rounding = field(default_factory=Rounding)
    valid_from: date | None = None
    valid_until: date | None = None
    month_start_day: int = 1
    year_start_month: int = 1
    demand: tuple[DemandCharge, ...] = ()
    capacity: CapacityCharge | None = None
    power_factor: PowerFactorAdjustment | None = None
    critical_peak: CriticalPeak | None = None
    export: ExportTerms = field(default_factory=ExportTerms)
    fixed: tuple[FixedCharge, ...] = ()
    levies: tuple[Levy, ...] = ()
    minimum_per_month: Decimal = Decimal(0)
    minimum_per_year: Decimal = Decimal(0)
    taxes: tuple[Tax, ...] = ()
    prepayment: Prepayment | None = None
    source: str = ""
