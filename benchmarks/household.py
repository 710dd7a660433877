"""A household's tariff, for benchmarks of billing."""

from datetime import date
from decimal import Decimal

from metertwin.apps.tariff.calendar import Calendar, Holiday, MonthDay, Season, Switch
from metertwin.apps.tariff.demand import DemandCharge, DemandTier, Ratchet
from metertwin.apps.tariff.energy import EnergyCharge, Tier, TierRule
from metertwin.apps.tariff.tariff import ExportTerms, FixedCharge, Levy, Metering, Tariff, Tax

YEAR, MONTH = 35_040, 2_976  # quarter hours; of the longest month
FIRST_DAY = date(2026, 1, 1)
ZONE = "Europe/Zurich"


def household_tariff() -> Tariff:
    """Return a tariff with all that is usual: peak and valley, seasons, blocks, demand, tax."""
    day = (Switch(0, 1), Switch(7 * 60, 0), Switch(20 * 60, 1))
    low = (Switch(0, 1),)
    week = (0, 0, 0, 0, 0, 0, 1)
    seasons = tuple(
        Season(name, MonthDay(month, 1), week, 1) for name, month in (("winter", 1), ("summer", 5))
    )
    calendar = Calendar(("peak", "valley"), (day, low), seasons, (Holiday(1, 1), Holiday(8, 1)))
    tiers = tuple(
        (Tier(Decimal(300), Decimal(low)), Tier(None, Decimal(high)))
        for low, high in (("0.2845", "0.3120"), ("0.1990", "0.2210"))
    )
    flat = ((DemandTier(None, Decimal("4.50")),),)
    return Tariff(
        id="household",
        version=1,
        name="Household",
        currency="CHF",
        zone=ZONE,
        energy=EnergyCharge(calendar, tiers, TierRule.CHRONOLOGICAL),
        demand=(
            DemandCharge("Demand", Calendar.always(), flat, ratchet=Ratchet(Decimal("0.8"), 11)),
        ),
        export=ExportTerms(Metering.IMPORT_ONLY),
        fixed=(FixedCharge("Base", Decimal("12.50")),),
        levies=(Levy("Grid levy", Decimal("0.023")),),
        taxes=(Tax("VAT", Decimal("8.1")),),
    )
