"""A tariff that contradicts itself is refused with every contradiction."""

from dataclasses import replace
from datetime import date

import pytest
from tests.apps.tariff.rating.cases import (
    DAY_AND_NIGHT,
    d,
    one_price,
    peak_and_valley,
    tariff_of,
    tier,
)

from metertwin.apps.tariff.calendar import Calendar
from metertwin.apps.tariff.demand import (
    CapacityBasis,
    CapacityCharge,
    DemandCharge,
    DemandTier,
    PowerFactorAdjustment,
    PowerFactorBand,
    Ratchet,
)
from metertwin.apps.tariff.energy import (
    EnergyCharge,
    RealTimePrice,
    TierBasis,
    TierRule,
    TierScope,
    TierUnit,
)
from metertwin.apps.tariff.rating import check_tariff
from metertwin.apps.tariff.tariff import (
    ChargeKind,
    ExportTerms,
    FixedCharge,
    Metering,
    Tariff,
    TariffError,
    Tax,
)

BLOCKS = (tier("0.1", "10"), tier("0.2"))
DEMAND = DemandCharge("Demand", Calendar.always(), ((DemandTier(None, d(1)),),))
FREE = one_price("0")
ENERGY = EnergyCharge(Calendar.always(), (BLOCKS,), TierRule.CHRONOLOGICAL)
NET_KWH = ExportTerms(Metering.NET_METERING_KWH)
NET_MONEY = Metering.NET_METERING_MONEY
PRICED = one_price("0.2", sell="0.1")

CONTRADICTIONS = [
    (tariff_of(FREE, zone="Europe/Zürich"), "is no IANA time zone"),
    (tariff_of(FREE, zone=""), "is no IANA time zone"),
    (tariff_of(FREE, currency="chf"), "is not a code"),
    (tariff_of(FREE, month_start_day=29), "on day 29"),
    (tariff_of(FREE, year_start_month=0), r"\(0, 12\) of year start"),
    (tariff_of(FREE, valid_from=date(2026, 2, 1), valid_until=date(2026, 1, 1)), "valid from"),
    (tariff_of(FREE, minimum_per_month=d(-1)), "a minimum is below 0"),
    (tariff_of(FREE, fixed=(FixedCharge("A", d(1)),) * 2), "are named alike"),
    (
        tariff_of(FREE, taxes=(Tax("VAT", d(5), frozenset({ChargeKind.TAX, ChargeKind.ENERGY})),)),
        "tax VAT is on tax, which no tax",
    ),
    (
        tariff_of(FREE, taxes=(Tax("VAT", d(5), frozenset({ChargeKind.ROUNDING})),)),
        "tax VAT is on rounding",
    ),
    (
        tariff_of(replace(ENERGY, tier_scope=TierScope.YEAR, tier_unit=TierUnit.KWH_PER_DAY)),
        "blocks of a year have limits in kWh daily",
    ),
    (
        tariff_of(replace(ENERGY, tier_scope=TierScope.YEAR, tier_unit=TierUnit.KWH_PER_KW)),
        "blocks of a year have limits in kWh/kW",
    ),
    (tariff_of(one_price("NaN")), "not a finite number"),
    (tariff_of(replace(ENERGY, tier_rule=None)), "names no tier rule"),
    (tariff_of(replace(FREE, tier_rule=TierRule.CHRONOLOGICAL)), "has no blocks"),
    (tariff_of(replace(ENERGY, tiers=())), "0 lists of blocks for 1 periods"),
    (tariff_of(replace(ENERGY, tiers=(BLOCKS[:1],))), "limit each except the last"),
    (
        tariff_of(
            replace(ENERGY, tiers=((tier("1", "5"), *BLOCKS[:1], tier("1", "7"), tier("1")),))
        ),
        "5, 10, 7",
    ),
    (tariff_of(replace(ENERGY, tiers=((),))), "limit each except the last"),
    (
        tariff_of(EnergyCharge(DAY_AND_NIGHT, (BLOCKS, (tier("1"),)), TierRule.CHRONOLOGICAL)),
        "all periods must have the same limits",
    ),
    (tariff_of(ENERGY, export=NET_KWH), "the tier rule is monthly_share"),
    (tariff_of(RealTimePrice(), export=NET_KWH), "net metering needs prices by period"),
    (tariff_of(FREE, export=ExportTerms(Metering.NET_BILLING)), "needs a selling price"),
    (
        tariff_of(FREE, export=ExportTerms(true_up_per_kwh=d("0.05"))),
        "true_up_per_kwh has no effect under import_only, only under net_metering_kwh; leave",
    ),
    (
        tariff_of(FREE, export=ExportTerms(credit_expires=True)),
        (
            "credit_expires has no effect under import_only, only under net_billing_carry and "
            "net_metering_money; leave it out or check the metering"
        ),
    ),
    (
        tariff_of(FREE, export=replace(NET_KWH, sell_equals_buy=True)),
        "sell_equals_buy has no effect under net_metering_kwh",
    ),
    (
        tariff_of(PRICED, export=ExportTerms(Metering.NET_BILLING, true_up_month=4)),
        "true_up_month has no effect under net_billing",
    ),
    (
        tariff_of(PRICED, export=ExportTerms(NET_MONEY, credit_starts_next_month=True)),
        "credit_starts_next_month has no effect under net_metering_money",
    ),
    (
        tariff_of(
            RealTimePrice(sell_factor=d(1)),
            export=ExportTerms(Metering.NET_BILLING, sell_equals_buy=True),
        ),
        "sell_equals_buy pays the buying price, and sell_factor",
    ),
    (tariff_of(FREE, taxes=(Tax("VAT", d(5), frozenset()),)), "tax VAT is on no kind of line"),
    (tariff_of(FREE, demand=(replace(DEMAND, tiers=()),)), "blocks for each of its periods"),
    (tariff_of(FREE, demand=(DEMAND, DEMAND)), "are named alike"),
    (tariff_of(FREE, demand=(replace(DEMAND, window_s=-1),)), "window or minimum below 0"),
    (tariff_of(FREE, demand=(replace(DEMAND, ratchet=Ratchet(d("1.2"), 3)),)), "share of 1.2"),
    (
        tariff_of(FREE, demand=(replace(DEMAND, ratchet=Ratchet(d(1), 3, frozenset({13}))),)),
        "names months",
    ),
    (
        tariff_of(FREE, power_factor=PowerFactorAdjustment((PowerFactorBand(d("0.8"), d(1)),))),
        "power-factor bands start at 0.8",
    ),
    (
        tariff_of(
            FREE,
            capacity=CapacityCharge("C", CapacityBasis.DECLARED_DEMAND, d(1), excess_factor=d(-1)),
        ),
        "tolerance or factor below 0",
    ),
]


@pytest.mark.parametrize(("tariff", "told"), CONTRADICTIONS)
def test_each_contradiction_is_told(tariff: Tariff, told: str) -> None:
    with pytest.raises(TariffError, match=told):
        check_tariff(tariff)


def test_all_contradictions_are_told_together() -> None:
    tariff = tariff_of(replace(ENERGY, tier_rule=None), currency="x", month_start_day=0)
    with pytest.raises(TariffError) as caught:
        check_tariff(tariff)
    assert len(caught.value.facts["problems"]) == 3  # type: ignore[arg-type]
    assert str(caught.value).count(";") >= 2


@pytest.mark.parametrize(
    "tariff",
    [
        tariff_of(peak_and_valley("0.2", "0.1")),
        tariff_of(replace(ENERGY, tier_basis=TierBasis.PERIOD), export=NET_KWH),
        tariff_of(RealTimePrice(), export=ExportTerms(Metering.NET_BILLING)),
    ],
)
def test_sound_tariffs_pass(tariff: Tariff) -> None:
    check_tariff(tariff)
