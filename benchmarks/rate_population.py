"""Rates as they occur, made up: for comparing bills with SAM over all that both can do.

Each seed gives one rate and one year of usage, the same on every machine.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random

import numpy as np
from numpy.typing import NDArray

from benchmarks.sam import OPTIONS, SamCase, loses_credit
from metertwin.apps.tariff.calendar import Calendar, MonthDay, Season, Switch
from metertwin.apps.tariff.demand import DemandCharge, DemandTier, Ratchet
from metertwin.apps.tariff.energy import (
    EnergyCharge,
    RealTimePrice,
    Tier,
    TierRule,
    TierUnit,
)
from metertwin.apps.tariff.rating import Dynamics, PriceSeries
from metertwin.apps.tariff.rating.checks import EFFECTIVE_UNDER
from metertwin.apps.tariff.tariff import ExportTerms, FixedCharge, Metering, Tariff
from metertwin.core.money import Rounding, RoundingPlace

YEAR_START_US = 1_514_764_800_000_000  # 2018-01-01T00:00Z, a Monday as SAM's years begin
_DAYS = 365


@dataclass(frozen=True, slots=True, eq=False)
class Usage:
    """A year of one customer, in Wh per interval."""

    period_s: int
    load_wh: NDArray[np.int64]
    generation_wh: NDArray[np.int64]

    def power_kw(self, energy_wh: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return mean power of each interval."""
        return energy_wh.astype(np.float64) * (3600 / self.period_s / 1000)


def cases_of(seed: int) -> tuple[list[SamCase], Usage, Dynamics]:
    """Return a rate under every metering option and tier rule, usage and prices of a year."""
    random = Random(seed)
    scale_kw = random.choice([0.6, 2, 15, 120, 900])
    usage = usage_of(seed, scale_kw, random.choice([3600, 3600, 3600, 900]))
    tariff = _tariff(random, scale_kw, seed)
    cases = [
        SamCase(under(tariff, metering, option), option, has_generation)
        for option, metering, has_generation in OPTIONS
        if _is_known_to_sam(tariff, metering, option)
    ]
    return cases, usage, _dynamics(random, tariff, usage)


def usage_of(seed: int, scale_kw: float, period_s: int) -> Usage:
    """Return a made-up year of a customer whose mean power is about `scale_kw`."""
    chance = np.random.default_rng(seed)
    per_day = 86_400 // period_s
    hours = np.tile(np.arange(per_day) * (24 / per_day), _DAYS)
    days = np.repeat(np.arange(_DAYS), per_day)
    wh_per_kw = 1000 * period_s / 3600
    shape = 0.4 + 0.5 * np.exp(-((hours - chance.uniform(7, 20)) ** 2) / 8)
    load = scale_kw * wh_per_kw * shape * chance.gamma(3, 1 / 3, len(hours))
    sun = np.clip(np.sin((hours - 6) / 12 * np.pi), 0, None)
    season = 1 - 0.6 * np.cos((days + 10) / _DAYS * 2 * np.pi)
    size = scale_kw * chance.choice([0.3, 1.2, 2.5])
    generation = size * wh_per_kw * sun * season * chance.uniform(0.2, 1, _DAYS)[days]
    return Usage(period_s, np.rint(load).astype(np.int64) + 1, np.rint(generation).astype(np.int64))


def _tariff(random: Random, scale_kw: float, seed: int) -> Tariff:
    is_real_time = seed % 12 == 0
    minimum = random.choice(["none", "none", "month", "year"])
    level = Decimal(str(scale_kw)) * 100
    energy = _real_time(random) if is_real_time else _energy(random, scale_kw)
    while seed % 4 and isinstance(energy, EnergyCharge) and loses_credit(energy.calendar):
        energy = _energy(random, scale_kw)
    return Tariff(
        id=f"rate-{seed}",
        version=1,
        name=f"Rate {seed}",
        currency="USD",
        zone="UTC",
        energy=energy,
        rounding=Rounding(place=RoundingPlace.BILL),
        demand=_demand(random, scale_kw, is_ratcheted=not _is_per_kw(energy)),
        export=ExportTerms(
            sell_equals_buy=not is_real_time and random.random() < 0.25,
            true_up_month=random.choice([12, 12, 3, 6, 10]),
            true_up_per_kwh=_price(random, 0.01, 0.06),
            credit_starts_next_month=random.random() < 0.5,
            credit_expires=random.random() < 0.3,
        ),
        fixed=(FixedCharge("Service", _price(random, 0, 40, 2)),),
        minimum_per_month=level if minimum == "month" else Decimal(0),
        minimum_per_year=12 * level if minimum == "year" else Decimal(0),
    )


def under(tariff: Tariff, metering: Metering, option: int) -> Tariff:
    """Return a rate under a metering scheme, as far as SAM has it under that option."""
    energy = tariff.energy
    if isinstance(energy, EnergyCharge) and len(energy.tiers[0]) > 1:
        rule = TierRule.MONTHLY_SHARE if option < 2 else TierRule.CHRONOLOGICAL
        energy = replace(energy, tier_rule=rule)
    usual = ExportTerms()
    in_vain = {
        name: getattr(usual, name)
        for name, schemes in EFFECTIVE_UNDER.items()
        if metering not in schemes
    }
    terms = replace(tariff.export, metering=metering, **in_vain)
    if metering is Metering.NET_METERING_MONEY:  # SAM always pays it out
        terms = replace(terms, credit_expires=False)
    demand = tariff.demand
    if metering is Metering.BUY_ALL_SELL_ALL:  # SAM bills minimum demand for the second meter too
        demand = tuple(replace(charge, ratchet=None, minimum_kw=Decimal(0)) for charge in demand)
    return replace(tariff, energy=energy, export=terms, demand=demand)


def _is_known_to_sam(tariff: Tariff, metering: Metering, option: int) -> bool:
    if not isinstance(tariff.energy, EnergyCharge):
        return option >= 2
    return metering is not Metering.NET_METERING_KWH or not loses_credit(tariff.energy.calendar)


def _energy(random: Random, scale_kw: float) -> EnergyCharge:
    calendar = _calendar(random, random.choice([1, 2, 2, 3, 4]))
    unit = random.choice([*TierUnit, TierUnit.KWH])
    limits = _limits(random, unit, scale_kw, random.choice([1, 1, 2, 3, 4]))
    tiers = tuple(
        tuple(Tier(limit, _price(random, 0.04, 0.5), _price(random, 0.01, 0.3)) for limit in limits)
        for _ in calendar.periods
    )
    return EnergyCharge(calendar, tiers, tier_unit=unit if len(limits) > 1 else TierUnit.KWH)


def _real_time(random: Random) -> RealTimePrice:
    factor = Decimal(random.randint(90, 120)).scaleb(-2)
    return RealTimePrice(factor, _price(random, 0, 0.1), Decimal("0.8"), -_price(random, 0, 0.01))


def _limits(
    random: Random, unit: TierUnit, scale_kw: float, tier_count: int
) -> list[Decimal | None]:
    month_kwh = scale_kw * 400
    span = {
        TierUnit.KWH: month_kwh,
        TierUnit.KWH_PER_DAY: month_kwh / 30,
        TierUnit.KWH_PER_KW: 200.0,
        TierUnit.KWH_PER_KW_PER_DAY: 7.0,
    }[unit]
    bounds = {_price(random, 0.05 * span, 1.3 * span, 2) for _ in range(tier_count - 1)}
    return [*sorted(bounds), None]


def _calendar(random: Random, period_count: int) -> Calendar:
    """Return seasons from month to month, each with its own weekday and weekend."""
    starts = sorted(random.sample(range(1, 13), random.choice([1, 1, 2, 3])))
    profiles: list[tuple[Switch, ...]] = []
    seasons = []
    for start in starts:
        week = tuple([len(profiles)] * 5 + [len(profiles) + 1] * 2)
        seasons.append(Season(f"from month {start}", MonthDay(start, 1), week, len(profiles)))
        profiles += [_day(random, period_count), _day(random, period_count)]
    return Calendar(
        tuple(f"p{n}" for n in range(1, period_count + 1)), tuple(profiles), tuple(seasons)
    )


def _day(random: Random, period_count: int) -> tuple[Switch, ...]:
    hours = random.choice([(0,), (0, 7, 20), (0, 5, 11, 17), (0, 5, 11, 17, 21), (0, 9, 16)])
    return tuple(Switch(hour * 60, random.randrange(period_count)) for hour in hours)


def _is_per_kw(energy: EnergyCharge | RealTimePrice) -> bool:
    per_kw = {TierUnit.KWH_PER_KW, TierUnit.KWH_PER_KW_PER_DAY}
    return isinstance(energy, EnergyCharge) and energy.tier_unit in per_kw


def _demand(random: Random, scale_kw: float, *, is_ratcheted: bool) -> tuple[DemandCharge, ...]:
    kind = random.choice(["none", "none", "flat", "flat", "timed", "both", "ratchet"])
    if kind == "ratchet" and not is_ratcheted:  # SAM puts the ratchet into kWh/kW blocks as well
        kind = "flat"
    charges = []
    if kind in {"flat", "both", "ratchet"}:
        calendar = _flat_calendar(random)
        charges.append(_demand_charge(random, "Demand", calendar, scale_kw))
    if kind in {"timed", "both"}:
        calendar = _calendar(random, random.choice([2, 3]))
        charges.append(_demand_charge(random, "Demand by time", calendar, scale_kw))
    if kind == "ratchet":
        charges[0] = replace(
            charges[0],
            calendar=Calendar.always(),
            tiers=charges[0].tiers[:1],
            ratchet=_ratchet(random),
            minimum_kw=random.choice([Decimal(0), _price(random, 0, scale_kw, 1)]),
        )
    return tuple(charges)


def _flat_calendar(random: Random) -> Calendar:
    starts = sorted(random.sample(range(1, 13), random.choice([1, 2])))
    seasons = tuple(
        Season(f"from month {start}", MonthDay(start, 1), (n,) * 7, n)
        for n, start in enumerate(starts)
    )
    names = tuple(season.name for season in seasons)
    return Calendar(names, tuple((Switch(0, n),) for n in range(len(starts))), seasons)


def _demand_charge(random: Random, name: str, calendar: Calendar, scale_kw: float) -> DemandCharge:
    bounds = {_price(random, 0.1, 2 * scale_kw, 1) for _ in range(random.choice([0, 0, 1, 2]))}
    tiers = tuple(
        tuple(DemandTier(limit, _price(random, 0, 20, 2)) for limit in [*sorted(bounds), None])
        for _ in calendar.periods
    )
    return DemandCharge(name, calendar, tiers)


def _ratchet(random: Random) -> Ratchet:
    months = frozenset(random.sample(range(1, 13), random.choice([4, 12])))
    return Ratchet(
        Decimal(random.choice([50, 80, 95, 100])).scaleb(-2), random.choice([3, 11]), months
    )


def _dynamics(random: Random, tariff: Tariff, usage: Usage) -> Dynamics:
    if isinstance(tariff.energy, EnergyCharge):
        return Dynamics()
    prices = tuple(_price(random, -0.02, 0.4) for _ in usage.load_wh)
    return Dynamics(PriceSeries(YEAR_START_US, usage.period_s, prices))


def _price(random: Random, low: float, high: float, digits: int = 5) -> Decimal:
    return Decimal(str(round(random.uniform(low, high), digits)))
