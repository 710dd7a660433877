"""Rates of OpenEI's Utility Rate Database, for comparing bills with SAM."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from benchmarks.rate_population import Usage, under, usage_of
from benchmarks.sam import OPTIONS, SamCase, loses_credit
from metertwin.apps.tariff.documents.urdb import import_urdb, read_urdb
from metertwin.apps.tariff.energy import EnergyCharge, TierRule
from metertwin.apps.tariff.rating import Dynamics
from metertwin.apps.tariff.tariff import ChargePeriod, ExportTerms, Metering, Tariff
from metertwin.core.money import Rounding, RoundingPlace

SIZES_KW = (1.0, 8.0, 150.0, 2000.0)


def urdb_cases(path: Path) -> Iterator[tuple[list[SamCase], Usage, Dynamics]]:
    """Yield each rate of a file under every metering option, for customers of several sizes."""
    for rate in read_urdb(path.read_text(), path.name):
        found = import_urdb(rate, tier_rule=TierRule.MONTHLY_SHARE, zone="UTC", where=path.name)
        tariff = _as_sam_knows(found.tariff)
        cases = [
            SamCase(under(tariff, metering, option), option, has_generation)
            for option, metering, has_generation in OPTIONS
            if metering is not Metering.NET_METERING_KWH
            or not (
                isinstance(tariff.energy, EnergyCharge) and loses_credit(tariff.energy.calendar)
            )
        ]
        for seed, size_kw in enumerate(SIZES_KW):
            yield cases, usage_of(seed, size_kw, 3600), Dynamics()


def _as_sam_knows(tariff: Tariff) -> Tariff:
    """Return the rate with totals rounded, unpaid feed-in at 0 and without charges per day."""
    energy = tariff.energy
    assert isinstance(energy, EnergyCharge)
    tiers = tuple(
        tuple(replace(tier, sell_per_kwh=tier.sell_per_kwh or Decimal(0)) for tier in blocks)
        for blocks in energy.tiers
    )
    return replace(
        tariff,
        energy=replace(energy, tiers=tiers),
        rounding=Rounding(place=RoundingPlace.BILL),
        fixed=tuple(charge for charge in tariff.fixed if charge.per is ChargePeriod.MONTH),
        export=ExportTerms(true_up_per_kwh=Decimal("0.03")),
    )
