"""URDB rates: what is imported, with its arithmetic, and what is reported instead."""

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from metertwin.apps.tariff.demand import DemandMeasure, DemandTier, Ratchet
from metertwin.apps.tariff.documents import TariffDocumentError
from metertwin.apps.tariff.documents.urdb import UrdbImport, import_urdb, read_urdb
from metertwin.apps.tariff.documents.urdb.fields import INFORMATIONAL
from metertwin.apps.tariff.energy import EnergyCharge, Tier, TierBasis, TierRule, TierUnit
from metertwin.apps.tariff.tariff import ChargePeriod, FixedCharge, Metering

ALWAYS = [[0] * 24] * 12
EVENING = [[0] * 17 + [1] * 4 + [0] * 3] * 12
TWO_PRICES = {
    "energyratestructure": [[{"rate": 0.1, "unit": "kWh"}], [{"rate": 0.3, "unit": "kWh"}]],
    "energyweekdayschedule": EVENING,
    "energyweekendschedule": ALWAYS,
}
ONE_PRICE = {"energyratestructure": [[{"rate": 0.1, "unit": "kWh"}]]}
SOLD = {"energyratestructure": [[{"rate": 0.1, "sell": 0.03}]]}


def imported(*parts: Mapping[str, Any], rule: TierRule | None = None) -> UrdbImport:
    fields = {key: value for part in parts for key, value in part.items()}
    (rate,) = read_urdb(json.dumps(fields), "rate.json")
    return import_urdb(rate, tier_rule=rule, zone="America/Chicago", where="rate.json")


def energy_of(result: UrdbImport) -> EnergyCharge:
    assert isinstance(result.tariff.energy, EnergyCharge)
    return result.tariff.energy


def unsupported(result: UrdbImport) -> list[str]:
    return [item.name for item in result.unsupported]


def test_prices_and_hours_of_a_rate_are_those_of_the_tariff() -> None:
    result = imported(TWO_PRICES)
    energy = energy_of(result)
    assert [tiers[0].price_per_kwh for tiers in energy.tiers] == [Decimal("0.1"), Decimal("0.3")]
    weekday, weekend = energy.calendar.seasons[0].week[0], energy.calendar.seasons[0].week[6]
    switches = energy.calendar.day_profiles[weekday]
    assert [(s.minute_of_day, s.period_index) for s in switches] == [(0, 0), (1020, 1), (1260, 0)]
    assert len(energy.calendar.day_profiles[weekend]) == 1
    assert result.unsupported == ()
    assert result.notes == (
        (
            "URDB does not say how holidays are billed; they are days like others: see "
            "energy.calendar.holidays."
        ),
    )


def test_a_price_from_a_single_precision_float_stays_that_decimal() -> None:
    text = (
        '{"energyratestructure": [[{"max": 100.0, "rate": 0.07076899707317352, "adj": 0.001},'
        ' {"max": 9.999999680285692e+37, "rate": 19.538999557495117}]]}'
    )
    (rate,) = read_urdb(text, "rate.json")
    result = import_urdb(rate, tier_rule=TierRule.CHRONOLOGICAL, zone="UTC", where="rate.json")
    # 0.07076899707317352 + 0.001
    first = Tier(Decimal(100), Decimal("0.07176899707317352"))
    assert energy_of(result).tiers == ((first, Tier(None, Decimal("19.538999557495117"))),)


def test_months_alike_are_one_season_over_the_turn_of_the_year() -> None:
    schedule = [[1.0] * 24 if 5 <= month <= 8 else [0.0] * 24 for month in range(12)]
    parts = {"energyweekdayschedule": schedule, "energyweekendschedule": schedule}
    seasons = energy_of(imported(TWO_PRICES, parts)).calendar.seasons
    assert [(season.name, season.start.month) for season in seasons] == [
        ("June to September", 6),
        ("October to May", 10),
    ]


def test_fuel_adjustments_make_periods_of_their_own() -> None:
    result = imported(TWO_PRICES, {"fueladjustmentsmonthly": [0.02] * 6 + [-0.01] * 6})
    energy = energy_of(result)
    # 0.1 - 0.01, 0.1 + 0.02, 0.3 - 0.01, 0.3 + 0.02
    assert [str(tiers[0].price_per_kwh) for tiers in energy.tiers] == [
        "0.09",
        "0.12",
        "0.29",
        "0.32",
    ]
    assert energy.calendar.periods[0] == "period 0, fuel -0.01"
    assert [season.start.month for season in energy.calendar.seasons] == [1, 7]


def test_blocks_of_seasons_get_the_limits_of_both_and_keep_their_prices() -> None:
    summer = [{"max": 300, "rate": 0.10}, {"rate": 0.20}]
    winter = [{"max": 400, "rate": 0.05}, {"rate": 0.15}]
    schedule = [[1] * 24 if 5 <= month <= 8 else [0] * 24 for month in range(12)]
    parts = {
        "energyratestructure": [winter, summer],
        "energyweekdayschedule": schedule,
        "energyweekendschedule": schedule,
    }
    result = imported(parts, rule=TierRule.MONTHLY_SHARE)
    energy = energy_of(result)
    assert energy.tier_basis is TierBasis.TOTAL
    ladders = [[(t.up_to_kwh, str(t.price_per_kwh)) for t in tiers] for tiers in energy.tiers]
    # 350 kWh in winter: 300 x 0.05 + 50 x 0.05 = 350 x 0.05; in summer 300 x 0.10 + 50 x 0.20.
    assert ladders == [
        [(300, "0.05"), (400, "0.05"), (None, "0.15")],
        [(300, "0.1"), (400, "0.2"), (None, "0.2")],
    ]
    assert result.unsupported == ()


def test_different_limits_within_a_month_are_reported() -> None:
    blocks = [[{"max": 100, "rate": 1}, {"rate": 2}], [{"rate": 3}]]
    result = imported(TWO_PRICES, {"energyratestructure": blocks}, rule=TierRule.CHRONOLOGICAL)
    assert energy_of(result).tier_basis is TierBasis.PERIOD
    assert unsupported(result) == ["energyratestructure, max"]
    assert "each period's own energy fills its blocks" in str(result.unsupported[0])


def test_hours_of_use_keep_their_unit() -> None:
    blocks = [[{"max": 300, "rate": 0.049, "unit": "kWh/kW"}, {"rate": 0.03, "unit": "kWh/kW"}]]
    result = imported({"energyratestructure": blocks}, rule=TierRule.MONTHLY_SHARE)
    assert energy_of(result).tier_unit is TierUnit.KWH_PER_KW


def test_blocks_without_a_rule_are_refused_with_both_choices() -> None:
    blocks = [[{"max": 300, "rate": 0.1}, {"rate": 0.2}]]
    with pytest.raises(TariffDocumentError, match=r"monthly_share .* or chronological"):
        imported({"energyratestructure": blocks})


def test_demand_by_month_and_by_time_of_use() -> None:
    result = imported(
        ONE_PRICE,
        {
            "flatdemandstructure": [[{"rate": 5}], [{"max": 100, "rate": 9.5}, {"rate": 8}]],
            "flatdemandmonths": [0] * 5 + [1] * 4 + [0] * 3,
            "flatdemandunit": "kVA",
            "demandratestructure": [[{"rate": 1, "adj": 0.5}], [{"rate": 7}]],
            "demandweekdayschedule": EVENING,
            "demandweekendschedule": ALWAYS,
            "demandrateunit": "kW",
            "demandwindow": 15,
            "lookbackPercent": 0.8,
            "lookbackRange": 11,
        },
    )
    flat, peak = result.tariff.demand
    assert flat.measure is DemandMeasure.KVA
    assert flat.tiers[1] == (
        DemandTier(Decimal(100), Decimal("9.5")),
        DemandTier(None, Decimal(8)),
    )
    assert flat.ratchet == Ratchet(Decimal("0.8"), 11)
    assert [season.start.month for season in flat.calendar.seasons] == [6, 10]
    assert peak.tiers[0] == (DemandTier(None, Decimal("1.5")),)
    assert (flat.window_s, peak.window_s, peak.ratchet) == (900, 900, None)
    assert unsupported(result) == ["lookbackpercent, demandratchetpercentage"]


def test_fixed_charges_minimums_and_validity() -> None:
    result = imported(
        ONE_PRICE,
        {
            "fixedchargefirstmeter": 3.298,
            "fixedchargeunits": "$/day",
            "mincharge": 120,
            "minchargeunits": "$/year",
            "minmonthlycharge": 1.0,
            "startdate": 1335848400,  # 2012-05-01 05:00 UTC, midnight in Chicago
            "enddate": 1335848399,
            "name": "LP1",
            "utility": "South Central",
        },
    )
    tariff = result.tariff
    assert tariff.fixed == (
        FixedCharge("fixed charge of the meter", Decimal("3.298"), ChargePeriod.DAY),
    )
    assert (tariff.minimum_per_month, tariff.minimum_per_year) == (Decimal(1), Decimal(120))
    assert (tariff.valid_from, tariff.valid_until) == (date(2012, 5, 1), None)
    assert unsupported(result) == ["enddate"]
    assert (tariff.id, tariff.name, tariff.currency) == ("lp1", "South Central, LP1", "USD")


def test_a_charge_under_its_old_and_new_name_is_billed_once_and_reported() -> None:
    old = imported(ONE_PRICE, {"fixedmonthlycharge": 35.28})
    assert old.tariff.fixed == (FixedCharge("fixed charge", Decimal("35.28")),)
    assert unsupported(old) == []
    new = {"fixedchargefirstmeter": 10, "fixedchargeunits": "$/month"}
    both = imported(ONE_PRICE, new, {"fixedmonthlycharge": 12})
    # 10 a month, not 10 + 12.
    assert both.tariff.fixed == (FixedCharge("fixed charge of the meter", Decimal(10)),)
    (item,) = both.unsupported
    assert str(item) == (
        "fixedmonthlycharge = 12: it is the old name of fixedchargefirstmeter, which the rate has "
        "as well. Effect: fixedchargefirstmeter alone is billed."
    )


@pytest.mark.parametrize(
    ("fields", "metering", "reported"),
    [
        ({"dgrules": "Net Metering"}, Metering.NET_METERING_KWH, []),
        ({"usenetmetering": True}, Metering.NET_METERING_KWH, []),
        (
            {"dgrules": "Net Billing Instantaneous"},
            Metering.NET_BILLING,
            ["energyratestructure, sell"],
        ),
        (
            {"dgrules": "Net Billing Hourly", "energyratestructure": [[{"rate": 1, "sell": 0.5}]]},
            Metering.NET_BILLING,
            ["dgrules"],
        ),
        (
            {"dgrules": "Buy All Sell All", "energyratestructure": [[{"rate": 1, "sell": 0.5}]]},
            Metering.BUY_ALL_SELL_ALL,
            [],
        ),
        (
            {"energyratestructure": [[{"rate": 1, "sell": 0.5}]]},
            Metering.NET_BILLING,
            ["energyratestructure, sell"],
        ),
        ({"dgrules": "Feed and pray"}, Metering.IMPORT_ONLY, ["dgrules"]),
        (
            {"dgrules": "Net Billing Instantaneous", "usenetmetering": True, **SOLD},
            Metering.NET_BILLING,
            ["usenetmetering"],
        ),
        (
            {"dgrules": "Net Metering", "usenetmetering": False},
            Metering.NET_METERING_KWH,
            ["usenetmetering"],
        ),
        ({"dgrules": "Net Metering", "usenetmetering": True}, Metering.NET_METERING_KWH, []),
        (
            {"dgrules": "Buy All Sell All", "usenetmetering": False, **SOLD},
            Metering.BUY_ALL_SELL_ALL,
            [],
        ),
    ],
)
def test_rules_for_generation(
    fields: dict[str, Any], metering: Metering, reported: list[str]
) -> None:
    result = imported(ONE_PRICE, fields)
    assert result.tariff.export.metering is metering
    assert unsupported(result) == reported


@pytest.mark.parametrize(
    ("fields", "reported"),
    [
        ({"demandreactivepowercharge": 0.25}, "demandreactivepowercharge"),
        ({"coincidentratestructure": [[{"rate": 4}]]}, "coincidentratestructure"),
        ({"fixedchargeeaaddl": 5}, "fixedchargeeaaddl"),
        ({"fixedchargefirstmeter": 5}, "fixedchargeunits"),
        ({"mincharge": 0.3, "minchargeunits": "$/day"}, "mincharge"),
        ({"demandattrs": [{"Transformation Charge": "$0.50/kVA"}]}, "demandattrs"),
        ({"description": "Minimum charge of $1000.00."}, "description"),
        ({"country": "CAN"}, "country"),
        ({"lookbackPercent": 0.5, "lookbackRange": 11}, "lookbackpercent, demandratchetpercentage"),
        ({"lookbackPercent": 0.5}, "lookbackpercent"),
        (
            {"demandratchetpercentage": [0.5] * 12, "flatdemandstructure": [[{"rate": 4}]]},
            "demandratchetpercentage",
        ),
        ({"flatdemandstructure": [[{"rate": 4}]], "flatdemandunit": "hp"}, "flat demand, unit"),
        (
            {"flatdemandstructure": [[{"rate": 5, "unit": "kVA"}]], "flatdemandunit": "kW"},
            "flat demand structure, unit",
        ),
        (
            {
                "flatdemandstructure": [
                    [{"rate": 5, "max": 10, "unit": "kW"}, {"rate": 6, "unit": "kW"}],
                    [{"rate": 5, "unit": "kVA"}],
                ],
                "flatdemandmonths": [0] * 6 + [1] * 6,
            },
            "flat demand, unit",
        ),
        (
            {"mincharge": 20, "minchargeunits": "$/month", "minmonthlycharge": 12},
            "mincharge, minmonthlycharge",
        ),
        ({"energyratestructure": [[{"rate": 1, "max": 50}]]}, "energyratestructure[0][0].max"),
        ({"energyratestructure": [[{"rate": 1, "surge": 5}]]}, "energyratestructure[0][0].surge"),
        ({"windfall": 3}, "windfall"),
    ],
)
def test_what_does_not_reach_the_bill_is_reported(fields: dict[str, Any], reported: str) -> None:
    result = imported(ONE_PRICE, fields)
    assert unsupported(result) == [reported]
    assert "Effect: " in str(result.unsupported[0])


def test_a_report_says_field_value_reason_and_effect() -> None:
    result = imported(ONE_PRICE, {"demandreactivepowercharge": 0.25})
    assert str(result.unsupported[0]) == (
        "demandreactivepowercharge = 0.25: reactive power has no price of its own in a tariff; "
        "power-factor bands are another rule. Effect: reactive power is not billed."
    )


def test_nothing_and_zero_charge_nothing() -> None:
    nothing = {"fixedchargeeaaddl": 0, "demandreactivepowercharge": 0.0, "demandattrs": []}
    texts = {"description": "For all.", "demandcomments": None, "flatdemandmonths": [0] * 12}
    result = imported(ONE_PRICE, nothing, texts)
    assert result.unsupported == ()
    assert "description says: For all." in result.notes
    assert "flatdemandmonths has nothing to say: there is no flatdemandstructure." in result.notes


def test_informational_fields_change_nothing() -> None:
    plain = imported(ONE_PRICE).tariff
    named = {"label", "name", "utility", "uri"}
    fields = {name: "x" for name in INFORMATIONAL if name not in named}
    result = imported(ONE_PRICE, fields)
    assert result.tariff == plain
    assert result.unsupported == ()


def test_all_that_is_wrong_comes_at_once() -> None:
    wrong = {
        "energyratestructure": [[{"rate": "cheap"}], [{"rate": 0.1}]],
        "energyweekdayschedule": [[0] * 24] * 11,
        "flatdemandmonths": [7] * 12,
        "flatdemandstructure": [[{"rate": 1}]],
        "startdate": "yesterday",
    }
    with pytest.raises(TariffDocumentError) as raised:
        imported(TWO_PRICES, wrong)
    assert [problem.path for problem in raised.value.problems] == [
        "energyratestructure[0][0].rate",
        "energyweekdayschedule",
        "flatdemandmonths",
        "startdate",
    ]
