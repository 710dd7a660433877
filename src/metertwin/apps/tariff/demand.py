"""Prices of power: demand charges, ratchets, the basic charge of two-part tariffs, power factor."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from metertwin.apps.tariff.calendar import Calendar


@dataclass(frozen=True, slots=True)
class DemandTier:
    """One block of demand: upper limit in kW (None in the last) and price per kW and month."""

    up_to_kw: Decimal | None
    price_per_kw: Decimal


@dataclass(frozen=True, slots=True)
class Ratchet:
    """Demand of earlier months that counts in this one.

    Billed demand is at least `share_ratio` times the highest demand of the `lookback_months`
    months before: in a month in which one period holds throughout, such as a season's flat charge,
    of all periods of these months; in a month with demand by time of use, of the same period.

    Attributes:
        share_ratio: 0 to 1.
        lookback_months: 1 to 12 months looked back on.
        from_months: Months of the year (1 to 12) whose demand can be the highest.
        in_months: Months of the year in which the ratchet works.
    """

    share_ratio: Decimal
    lookback_months: int
    from_months: frozenset[int] = frozenset(range(1, 13))
    in_months: frozenset[int] = frozenset(range(1, 13))


class DemandMeasure(StrEnum):
    """What demand is measured as."""

    KW = "kW"
    KVA = "kVA"  # from active and reactive energy of the same window


@dataclass(frozen=True, slots=True)
class DemandCharge:
    """A price on the highest mean power of the month, over all of it or by time of use.

    A flat charge has a calendar with one period a month; prices that change with the month are
    seasons of that calendar.

    Attributes:
        name: For the bill, for example "summer peak demand".
        calendar: When each period holds.
        tiers: Blocks of demand of each period of the calendar, ascending.
        window_s: Length over which power is averaged, a multiple of the metering interval;
            0 takes the metering interval itself.
        measure: kW or kVA.
        ratchet: Demand of earlier months that counts; None: none.
        minimum_kw: Demand billed at least.
    """

    name: str
    calendar: Calendar
    tiers: tuple[tuple[DemandTier, ...], ...]
    window_s: int = 0
    measure: DemandMeasure = DemandMeasure.KW
    ratchet: Ratchet | None = None
    minimum_kw: Decimal = Decimal(0)


class CapacityBasis(StrEnum):
    """What a two-part tariff's basic charge is levied on."""

    CONTRACTED_CAPACITY = "contracted_capacity"  # the transformer's or contract's kVA
    DECLARED_DEMAND = "declared_demand"  # the declared kW, and what exceeds it


@dataclass(frozen=True, slots=True)
class CapacityCharge:
    """The basic charge of a two-part tariff; the contract says how many kVA or kW.

    Attributes:
        name: For the bill.
        basis: What it is levied on.
        price_per_kw: Per kW (or kVA) and month.
        tolerance_ratio: Declared demand may be exceeded up to this factor, 1.05 in China.
        excess_factor: What is above costs this many times the price, 2 in China.
        window_s: Length over which power is averaged, a multiple of the metering interval;
            0 takes the metering interval itself.
    """

    name: str
    basis: CapacityBasis
    price_per_kw: Decimal
    tolerance_ratio: Decimal = Decimal("1.05")
    excess_factor: Decimal = Decimal(2)
    window_s: int = 0


@dataclass(frozen=True, slots=True)
class PowerFactorBand:
    """From this power factor upwards (0 to 1), energy and demand cost this much more, in percent.

    Negative percents are a reward.
    """

    from_ratio: Decimal
    adjustment_percent: Decimal


@dataclass(frozen=True, slots=True)
class PowerFactorAdjustment:
    """Percents on energy and demand charges by the month's mean power factor.

    The power factor is active energy / sqrt(active^2 + reactive^2) of the month, rounded to two
    digits, half up. The band with the highest `from_ratio` not above it counts.

    Attributes:
        bands: By ascending `from_ratio`, the first at 0.
    """

    bands: tuple[PowerFactorBand, ...]
