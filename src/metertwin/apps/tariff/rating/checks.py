"""Whether a tariff contradicts itself: all contradictions at once."""

from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from metertwin.apps.tariff.demand import DemandCharge
from metertwin.apps.tariff.energy import EnergyCharge, TierBasis, TierRule, TierScope, TierUnit
from metertwin.apps.tariff.tariff import (
    ChargeKind,
    ExportTerms,
    Metering,
    Tariff,
    TariffError,
    Tax,
)
from metertwin.core.money import MoneyError, checked_currency

_NET = frozenset({Metering.NET_METERING_KWH, Metering.NET_METERING_MONEY})
_SELLING = frozenset(Metering) - {Metering.IMPORT_ONLY, Metering.NET_METERING_KWH}
_CREDITING_MONEY = frozenset({Metering.NET_METERING_MONEY, Metering.NET_BILLING_CARRY})
EFFECTIVE_UNDER = {
    "sell_equals_buy": _SELLING,
    "true_up_month": _NET | _CREDITING_MONEY,
    "true_up_per_kwh": frozenset({Metering.NET_METERING_KWH}),
    "credit_starts_next_month": frozenset({Metering.NET_BILLING_CARRY}),
    "credit_expires": _CREDITING_MONEY,
}
"""Settings of `ExportTerms`, and under which metering they change a bill."""


@lru_cache(maxsize=256)
def check_tariff(tariff: Tariff) -> None:
    """Raise TariffError unless the tariff can be applied; the message lists every contradiction."""
    problems = [
        *_frame_problems(tariff),
        *(problem for _, problem in part_problems(tariff.export)),
        *(problem for tax in tariff.taxes for _, problem in part_problems(tax)),
        *_energy_problems(tariff),
        *(problem for charge in tariff.demand for problem in _demand_problems(charge)),
        *_power_problems(tariff),
    ]
    if problems:
        raise TariffError(
            f"Tariff {tariff.id} contradicts itself: {'; '.join(problems)}.",
            tariff=tariff.id,
            problems=problems,
        )


def part_problems(part: object) -> Iterator[tuple[str, str]]:
    """Yield what a part of a tariff says in vain: the field, and what is wrong with it.

    Args:
        part: `ExportTerms`, `Tax`, or another part, of which nothing is known here.
    """
    if isinstance(part, ExportTerms):
        usual = ExportTerms()
        for name, schemes in EFFECTIVE_UNDER.items():
            if part.metering not in schemes and getattr(part, name) != getattr(usual, name):
                yield (
                    name,
                    (
                        f"the setting {name} has no effect under {part.metering}, only under "
                        f"{' and '.join(sorted(schemes))}; leave it out or check the metering"
                    ),
                )
    elif isinstance(part, Tax) and not part.on:
        yield (
            "on",
            (
                f"tax {part.name} is on no kind of line and would never be due; name kinds, or "
                "leave `on` out to tax all"
            ),
        )


def _frame_problems(tariff: Tariff) -> Iterator[str]:
    try:
        checked_currency(tariff.currency)
    except MoneyError as error:
        yield str(error).rstrip(".")
    try:
        ZoneInfo(tariff.zone)
    except (KeyError, ValueError, OSError):
        yield f"zone {tariff.zone!r} is no IANA time zone such as Europe/Zurich"
    if not 1 <= tariff.month_start_day <= 28:
        yield f"billing months begin on day {tariff.month_start_day}, which is not 1 to 28"
    months = (tariff.year_start_month, tariff.export.true_up_month)
    if not all(1 <= month <= 12 for month in months):
        yield f"months {months} of year start and true-up are not 1 to 12"
    if tariff.valid_from and tariff.valid_until and tariff.valid_until < tariff.valid_from:
        yield f"it is valid from {tariff.valid_from} until {tariff.valid_until}"
    if min(tariff.minimum_per_month, tariff.minimum_per_year) < 0:
        yield "a minimum is below 0"
    for what, names in (
        ("demand charges", [charge.name for charge in tariff.demand]),
        ("fixed charges", [charge.name for charge in tariff.fixed]),
        ("levies", [levy.name for levy in tariff.levies]),
        ("taxes", [tax.name for tax in tariff.taxes]),
    ):
        if len(set(names)) != len(names):
            yield f"{what} {names} are named alike; their lines could not be told apart"
    for tax in tariff.taxes:
        untaxed = sorted(tax.on & {ChargeKind.TAX, ChargeKind.ROUNDING})
        if untaxed:
            yield f"tax {tax.name} is on {' and '.join(untaxed)}, which no tax is levied on"
    yield from _number_problems(tariff)


def _number_problems(tariff: Tariff) -> Iterator[str]:
    if any(not value.is_finite() for value in _decimals(tariff)):
        yield "a price, limit or percent is not a finite number"


def _decimals(thing: object) -> Iterator[Decimal]:
    if isinstance(thing, Decimal):
        yield thing
    elif isinstance(thing, tuple | frozenset):
        for part in thing:
            yield from _decimals(part)
    elif hasattr(thing, "__dataclass_fields__"):
        for name in thing.__dataclass_fields__:
            yield from _decimals(getattr(thing, name))


def _energy_problems(tariff: Tariff) -> Iterator[str]:
    charge, terms = tariff.energy, tariff.export
    if not isinstance(charge, EnergyCharge):
        if terms.metering in _NET:
            yield "net metering needs prices by period, it has a real-time price"
        if terms.sell_equals_buy and (charge.sell_factor or charge.sell_adder_per_kwh):
            yield (
                "sell_equals_buy pays the buying price, and sell_factor or sell_adder_per_kwh name "
                "another; give one of them"
            )
        return
    if len(charge.tiers) != len(charge.calendar.periods):
        yield (
            f"{len(charge.tiers)} lists of blocks for {len(charge.calendar.periods)} periods; "
            "give one each"
        )
        return
    for name, tiers in zip(charge.calendar.periods, charge.tiers, strict=True):
        yield from _ladder_problems(f"blocks of {name}", [tier.up_to_kwh for tier in tiers])
    yield from _rule_problems(charge, terms)
    if terms.metering in _SELLING and not terms.sell_equals_buy:
        unsold = any(tier.sell_per_kwh is None for tiers in charge.tiers for tier in tiers)
        if unsold:
            yield f"{terms.metering} needs a selling price in each block (0 if nothing is paid)"


def _rule_problems(charge: EnergyCharge, terms: ExportTerms) -> Iterator[str]:
    has_blocks = any(len(tiers) > 1 for tiers in charge.tiers)
    if has_blocks and charge.tier_rule is None:
        yield "it has blocks and names no tier rule: monthly_share or chronological"
    if not has_blocks:
        if charge.tier_rule is not None:
            yield "it names a tier rule and has no blocks"
        return
    if charge.tier_scope is TierScope.YEAR and charge.tier_unit is not TierUnit.KWH:
        yield (
            f"blocks of a year have limits in {charge.tier_unit}, which belong to a month; give "
            "them in kWh"
        )
    ladders = {tuple(tier.up_to_kwh for tier in tiers) for tiers in charge.tiers}
    if charge.tier_basis is TierBasis.TOTAL and len(ladders) > 1:
        yield "total energy fills its blocks, so all periods must have the same limits"
    if (
        terms.metering in _NET
        and charge.tier_rule is TierRule.CHRONOLOGICAL
        and charge.tier_basis is TierBasis.TOTAL
    ):
        yield "net metering fills blocks with the month's net, so the tier rule is monthly_share"


def _ladder_problems(what: str, limits: list[Decimal | None]) -> Iterator[str]:
    bounds = [limit for limit in limits[:-1] if limit is not None]
    if not limits or limits[-1] is not None or len(bounds) != len(limits) - 1:
        yield f"{what} must have a limit each except the last, which has none"
    elif sorted(set(bounds)) != bounds or (bounds and bounds[0] <= 0):
        yield f"{what} have limits {', '.join(map(str, bounds))}; they must ascend from above 0"


def _demand_problems(charge: DemandCharge) -> Iterator[str]:
    if len(charge.tiers) != len(charge.calendar.periods):
        yield f"demand charge {charge.name} needs blocks for each of its periods"
        return
    for name, tiers in zip(charge.calendar.periods, charge.tiers, strict=True):
        what = f"blocks of demand charge {charge.name} in {name}"
        yield from _ladder_problems(what, [tier.up_to_kw for tier in tiers])
    if charge.window_s < 0 or charge.minimum_kw < 0:
        yield f"demand charge {charge.name} has a window or minimum below 0"
    ratchet = charge.ratchet
    if ratchet is None:
        return
    if not (0 <= ratchet.share_ratio <= 1 and 1 <= ratchet.lookback_months <= 12):
        yield (
            f"the ratchet of {charge.name} has a share of {ratchet.share_ratio} over "
            f"{ratchet.lookback_months} months; give 0 to 1 and 1 to 12"
        )
    if not (ratchet.from_months | ratchet.in_months) <= set(range(1, 13)):
        yield f"the ratchet of {charge.name} names months that are not 1 to 12"


def _power_problems(tariff: Tariff) -> Iterator[str]:
    if tariff.power_factor is not None:
        starts = [band.from_ratio for band in tariff.power_factor.bands]
        if not starts or starts[0] != 0 or sorted(set(starts)) != starts or starts[-1] > 1:
            yield f"power-factor bands start at {', '.join(map(str, starts))}; ascend from 0 to 1"
    capacity = tariff.capacity
    if capacity is not None and min(capacity.tolerance_ratio, capacity.excess_factor) < 0:
        yield f"capacity charge {capacity.name} has a tolerance or factor below 0"
    if capacity is not None and capacity.window_s < 0:
        yield f"capacity charge {capacity.name} has a window below 0"
