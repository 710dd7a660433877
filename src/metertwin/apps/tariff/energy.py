"""Prices of energy: by time of use and block, by a price series, and at critical peaks."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from metertwin.apps.tariff.calendar import Calendar


class TierRule(StrEnum):
    """How a month's energy is put into blocks when the price also depends on the time of use.

    The two give different bills for the same usage, so a tariff with more than one block must name
    one.
    """

    MONTHLY_SHARE = "monthly_share"  # total energy fills the blocks; each split by period shares
    CHRONOLOGICAL = "chronological"  # each interval's energy fills the blocks as time goes on


class TierBasis(StrEnum):
    """Which energy fills the blocks."""

    TOTAL = "total"  # that of all periods together; blocks have the same limits in every period
    PERIOD = "period"  # each period's own; limits may differ from period to period


class TierScope(StrEnum):
    """When the blocks begin again at zero."""

    MONTH = "month"
    YEAR = "year"  # as in China's yearly ladder: the billing year's energy so far counts


class TierUnit(StrEnum):
    """What a block's limit counts."""

    KWH = "kWh"
    KWH_PER_DAY = "kWh daily"  # times the days of the billing month
    KWH_PER_KW = "kWh/kW"  # times the month's peak: hours' use of demand
    KWH_PER_KW_PER_DAY = "kWh/kW daily"


@dataclass(frozen=True, slots=True)
class Tier:
    """One block of energy.

    Attributes:
        up_to_kwh: Upper limit, in kWh times the charge's `TierUnit`; None in the last block only.
        price_per_kwh: Price of energy drawn.
        sell_per_kwh: Price paid for energy fed in; None: none is stated.
    """

    up_to_kwh: Decimal | None
    price_per_kwh: Decimal
    sell_per_kwh: Decimal | None = None


@dataclass(frozen=True, slots=True)
class EnergyCharge:
    """Prices of energy by time of use and block.

    Attributes:
        calendar: When each period holds.
        tiers: Blocks of each period of the calendar, ascending.
        tier_rule: Needed as soon as a period has more than one block, else None.
        tier_basis: Which energy fills the blocks.
        tier_scope: When the blocks begin again.
        tier_unit: What their limits count.
    """

    calendar: Calendar
    tiers: tuple[tuple[Tier, ...], ...]
    tier_rule: TierRule | None = None
    tier_basis: TierBasis = TierBasis.TOTAL
    tier_scope: TierScope = TierScope.MONTH
    tier_unit: TierUnit = TierUnit.KWH


@dataclass(frozen=True, slots=True)
class RealTimePrice:
    """Energy at a price series that is known only shortly before: price x factor + adder.

    The series is given when rating, in the tariff's currency per kWh.
    """

    buy_factor: Decimal = Decimal(1)
    buy_adder_per_kwh: Decimal = Decimal(0)
    sell_factor: Decimal = Decimal(0)
    sell_adder_per_kwh: Decimal = Decimal(0)


class CriticalPeakMode(StrEnum):
    """What a critical-peak price does to the ordinary one."""

    REPLACE = "replace"  # it holds instead; the energy fills no block
    ADD = "add"  # it comes on top


@dataclass(frozen=True, slots=True)
class CriticalPeak:
    """A price for the few hours a year that the utility calls.

    Attributes:
        price_per_kwh: Price during an event.
        mode: Instead of or on top of the ordinary price.
        events_per_year_max: Events a year; None: unlimited.
        hours_per_event_max: Hours of one event; None: unlimited.
    """

    price_per_kwh: Decimal
    mode: CriticalPeakMode = CriticalPeakMode.REPLACE
    events_per_year_max: int | None = None
    hours_per_event_max: Decimal | None = None
