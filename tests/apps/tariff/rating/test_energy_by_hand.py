"""Energy lines calculated by hand: periods, blocks, critical peaks, real-time prices."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from tests.apps.tariff.rating.cases import (
    DAY_AND_NIGHT,
    amounts,
    bills_of,
    d,
    flat_months_wh,
    one_price,
    peak_and_valley,
    tariff_of,
    tier,
    usage_of,
)

from metertwin.apps.tariff.calendar import Calendar
from metertwin.apps.tariff.energy import (
    CriticalPeak,
    CriticalPeakMode,
    EnergyCharge,
    RealTimePrice,
    TierBasis,
    TierRule,
    TierScope,
    TierUnit,
)
from metertwin.apps.tariff.rating import Dynamics, PriceSeries, RatingError, rate
from metertwin.apps.tariff.tariff import ExportTerms, Levy, Metering
from metertwin.core.money import Rounding, RoundingPlace

# A day of 2026 in UTC: 10 kWh at 03:00 (valley), 30 kWh at 12:00 (peak), 20 kWh at 22:00 (valley).
DAY_WH = [0] * 3 + [10_000] + [0] * 8 + [30_000] + [0] * 9 + [20_000] + [0]
HOUR_US = 3_600_000_000
BLOCKS = ((tier("0.20", "40"), tier("0.30")), (tier("0.10", "40"), tier("0.15")))


def blocks(rule: TierRule, **parts: object) -> EnergyCharge:
    charge = EnergyCharge(DAY_AND_NIGHT, BLOCKS, rule)
    return replace(charge, **parts)  # type: ignore[arg-type]


def test_periods_have_their_prices() -> None:
    tariff = tariff_of(peak_and_valley("0.25", "0.15"))
    (bill,) = bills_of(tariff, usage_of(tariff, [DAY_WH]))
    # 30 x 0.25 = 7.50; (10 + 20) x 0.15 = 4.50
    assert amounts(bill) == {"Energy peak": d("7.50"), "Energy valley": d("4.50")}
    assert bill.total == d("12.00")
    assert not bill.is_final
    assert bill.lines[0].because == (
        "30 kWh drawn in peak (daily 08:00-20:00), at 0.25 CHF per kWh."
    )


def test_as_time_goes_on_the_first_kilowatt_hours_are_the_cheap_ones() -> None:
    tariff = tariff_of(blocks(TierRule.CHRONOLOGICAL))
    (bill,) = bills_of(tariff, usage_of(tariff, [DAY_WH]))
    # The 10 valley and 30 peak kWh fill the first 40; the 20 at 22:00 are all in the second block.
    assert amounts(bill) == {
        "Energy valley 1": d("1.00"),  # 10 x 0.10
        "Energy peak 1": d("6.00"),  # 30 x 0.20
        "Energy valley 2": d("3.00"),  # 20 x 0.15
    }
    assert "block 2 (above 40 kWh)" in bill.lines[-1].because


def test_by_monthly_share_each_block_has_the_months_mixture() -> None:
    tariff = tariff_of(blocks(TierRule.MONTHLY_SHARE))
    (bill,) = bills_of(tariff, usage_of(tariff, [DAY_WH]))
    # 60 kWh: 40 in the first block, half of each period. 20 x 0.20, 10 x 0.30, 20 x 0.10, 10 x 0.15
    assert amounts(bill) == {
        "Energy peak 1": d("4.00"),
        "Energy peak 2": d("3.00"),
        "Energy valley 1": d("2.00"),
        "Energy valley 2": d("1.50"),
    }
    assert bill.tier_rule is TierRule.MONTHLY_SHARE


def test_a_share_that_does_not_come_out_even_conserves_each_periods_energy() -> None:
    thirds = [0] * 3 + [2] + [0] * 8 + [1] + [0] * 11  # 2 Wh in valley, 1 Wh in peak
    charge = blocks(TierRule.MONTHLY_SHARE, tiers=_limited("0.001"))
    (bill,) = bills_of(tariff_of(charge), usage_of(tariff_of(charge), [thirds]))
    quantities = {(line.period, line.tier): line.quantity for line in bill.lines}
    # Of the first 0.001 kWh one third is peak, to the millionth of a Wh.
    assert quantities == {
        ("peak", 1): d("0.000333333"),
        ("peak", 2): d("0.000666667"),
        ("valley", 1): d("0.000666667"),
        ("valley", 2): d("0.001333333"),
    }


def _limited(limit: str) -> tuple[tuple[object, ...], ...]:
    return ((tier("0.20", limit), tier("0.30")), (tier("0.10", limit), tier("0.15")))


def test_blocks_of_each_period_count_their_own_energy() -> None:
    tiers = ((tier("0.20", "25"), tier("0.30")), (tier("0.10", "5"), tier("0.15")))
    charge = blocks(TierRule.MONTHLY_SHARE, tiers=tiers, tier_basis=TierBasis.PERIOD)
    (bill,) = bills_of(tariff_of(charge), usage_of(tariff_of(charge), [DAY_WH]))
    assert amounts(bill) == {
        "Energy peak 1": d("5.00"),  # 25 x 0.20
        "Energy peak 2": d("1.50"),  # 5 x 0.30
        "Energy valley 1": d("0.50"),  # 5 x 0.10
        "Energy valley 2": d("3.75"),  # 25 x 0.15
    }


@pytest.mark.parametrize("rule", list(TierRule))
@pytest.mark.parametrize("basis", list(TierBasis))
def test_a_yearly_ladder_goes_on_from_month_to_month(rule: TierRule, basis: TierBasis) -> None:
    charge = EnergyCharge(
        Calendar.always(),
        ((tier("0.5283", "2760"), tier("0.5783", "4800"), tier("0.8283")),),
        rule,
        basis,
        TierScope.YEAR,
    )
    tariff = tariff_of(charge)
    bills = bills_of(tariff, usage_of(tariff, flat_months_wh(2000, 1000, 2000)))
    # 2,000; then 760 up to 2,760 and 240 above; then 1,800 up to 4,800 and 200 above.
    assert amounts(bills[0]) == {"Energy all 1": d("1056.60")}
    assert amounts(bills[1]) == {"Energy all 1": d("401.51"), "Energy all 2": d("138.79")}
    assert amounts(bills[2]) == {"Energy all 2": d("1040.94"), "Energy all 3": d("165.66")}


def test_a_new_billing_year_begins_the_ladder_again() -> None:
    charge = EnergyCharge(
        Calendar.always(),
        ((tier("0.10", "100"), tier("0.20")),),
        TierRule.CHRONOLOGICAL,
        tier_scope=TierScope.YEAR,
    )
    tariff = tariff_of(charge, year_start_month=2)
    bills = bills_of(tariff, usage_of(tariff, flat_months_wh(150, 50)))
    assert [bill.total for bill in bills] == [
        d("20.00"),
        d("5.00"),
    ]  # 100 x 0.1 + 50 x 0.2; 50 x 0.1


def test_limits_per_day_count_all_days_of_the_month_even_in_a_bill_so_far() -> None:
    charge = EnergyCharge(
        Calendar.always(),
        ((tier("0.10", "1"), tier("0.20")),),
        TierRule.CHRONOLOGICAL,
        tier_unit=TierUnit.KWH_PER_DAY,
    )
    tariff = tariff_of(charge)
    (bill,) = bills_of(tariff, usage_of(tariff, [[40_000] + [0] * 23]))
    # January has 31 days: 31 x 0.10 + 9 x 0.20
    assert bill.total == d("4.90")


def test_blocks_by_hours_use_of_demand_depend_on_the_months_peak() -> None:
    charge = EnergyCharge(
        Calendar.always(),
        ((tier("0.10", "3"), tier("0.04")),),
        TierRule.CHRONOLOGICAL,
        tier_unit=TierUnit.KWH_PER_KW,
    )
    tariff = tariff_of(charge)
    (bill,) = bills_of(tariff, usage_of(tariff, [[4_000, 10_000, 4_000, 30_000, 4_000]]))
    # Peak 30 kW, so the first block is 90 kWh: all 52 kWh lie in it.
    assert bill.total == d("5.20")
    (flat,) = bills_of(tariff, usage_of(tariff, [[10_000] * 5]))
    # Peak 10 kW: 30 x 0.10 + 20 x 0.04
    assert flat.total == d("3.80")


def test_a_critical_peak_price_holds_instead_and_fills_no_block() -> None:
    charge = EnergyCharge(
        Calendar.always(), ((tier("0.10", "30"), tier("0.20")),), TierRule.CHRONOLOGICAL
    )
    tariff = tariff_of(charge, critical_peak=CriticalPeak(d("1.50")))
    usage = usage_of(tariff, [DAY_WH])
    noon_us = usage.start_us + 12 * HOUR_US
    events = Dynamics(critical_peaks_us=((noon_us, noon_us + HOUR_US),))
    (bill,) = bills_of(tariff, usage, dynamics=events)
    # 30 kWh x 1.50; the other 30 kWh just fill the first block.
    assert amounts(bill) == {"Energy all 1": d("3.00"), "Critical peak": d("45.00")}


def test_a_critical_peak_price_on_top_leaves_the_ordinary_lines_alone() -> None:
    terms = CriticalPeak(d("1.50"), CriticalPeakMode.ADD)
    tariff = tariff_of(peak_and_valley("0.25", "0.15"), critical_peak=terms)
    usage = usage_of(tariff, [DAY_WH])
    noon_us = usage.start_us + 12 * HOUR_US
    (bill,) = bills_of(
        tariff, usage, dynamics=Dynamics(critical_peaks_us=((noon_us, noon_us + HOUR_US),))
    )
    expected = {"Energy peak": "7.50", "Energy valley": "4.50", "Critical peak": "45.00"}
    assert amounts(bill) == {name: d(text) for name, text in expected.items()}


def test_events_beyond_what_the_tariff_allows_are_refused() -> None:
    terms = CriticalPeak(d("1"), events_per_year_max=1, hours_per_event_max=d("1"))
    tariff = tariff_of(one_price("0.1"), critical_peak=terms)
    usage = usage_of(tariff, [DAY_WH])
    at = usage.start_us
    for spans, told in (
        (((at, at + 2 * HOUR_US),), "lasts 2 h; the tariff allows 1 h"),
        (((at, at + HOUR_US), (at + 2 * HOUR_US, at + 3 * HOUR_US)), "2 critical-peak events"),
        (((at + HOUR_US, at),), "ascending"),
    ):
        with pytest.raises(RatingError, match=told):
            rate(tariff, usage, dynamics=Dynamics(critical_peaks_us=spans))
    with pytest.raises(RatingError, match="no critical-peak price"):
        rate(
            tariff_of(one_price("0.1")),
            usage,
            dynamics=Dynamics(critical_peaks_us=((at, at + HOUR_US),)),
        )


def test_real_time_prices_hold_interval_by_interval() -> None:
    price = RealTimePrice(d("1.1"), d("0.02"), d("1"), d("-0.01"))
    tariff = tariff_of(price, export=ExportTerms(Metering.NET_BILLING))
    usage = usage_of(tariff, [[1000, 2000, 0]], export_counts=[[0, 0, 3000]])
    series = PriceSeries(usage.start_us, 3600, (d("0.10"), d("-0.05"), d("0.20")))
    (bill,) = bills_of(tariff, usage, dynamics=Dynamics(series))
    # 1 x (0.10 x 1.1 + 0.02) + 2 x (-0.05 x 1.1 + 0.02) = 0.13 - 0.07; 3 x (0.20 - 0.01)
    assert [line.amount for line in bill.lines] == [d("0.06"), d("-0.57")]
    assert "0.0200 CHF per kWh on average" in bill.lines[0].because


def test_energy_fed_in_may_earn_the_real_time_price_that_is_paid() -> None:
    terms = ExportTerms(Metering.NET_BILLING, sell_equals_buy=True)
    tariff = tariff_of(RealTimePrice(d("1.1"), d("0.02")), export=terms)
    usage = usage_of(tariff, [[1000, 0]], export_counts=[[0, 3000]])
    series = PriceSeries(usage.start_us, 3600, (d("0.10"), d("0.20")))
    (bill,) = bills_of(tariff, usage, dynamics=Dynamics(series))
    # 1 x (0.10 x 1.1 + 0.02) = 0.13; 3 x (0.20 x 1.1 + 0.02) = 3 x 0.24
    assert [line.amount for line in bill.lines] == [d("0.13"), d("-0.72")]


def test_a_critical_peak_price_may_replace_the_real_time_price() -> None:
    tariff = tariff_of(RealTimePrice(), critical_peak=CriticalPeak(d("2")))
    usage = usage_of(tariff, [[1000, 3000, 5000]])
    series = PriceSeries(usage.start_us, 3 * 3600, (d("0.10"),))
    event = (usage.start_us + HOUR_US, usage.start_us + 2 * HOUR_US)
    (bill,) = bills_of(tariff, usage, dynamics=Dynamics(series, (event,)))
    # (1 + 5) x 0.10 and 3 x 2
    assert [line.amount for line in bill.lines] == [d("0.60"), d("6.00")]
    assert [line.quantity for line in bill.lines] == [6, 3]


def test_an_event_lasts_from_its_start_to_before_its_end() -> None:
    tariff = tariff_of(one_price("0"), critical_peak=CriticalPeak(d("1")))
    usage = usage_of(tariff, [[1000, 2000, 4000, 8000]])
    for first, end, kwh in ((0, 1, 1), (1, 3, 6), (2, 4, 12)):
        span = (usage.start_us + first * HOUR_US, usage.start_us + end * HOUR_US)
        (bill,) = bills_of(tariff, usage, dynamics=Dynamics(critical_peaks_us=(span,)))
        assert amounts(bill)["Critical peak"] == kwh


def test_a_yearly_ladder_goes_on_when_its_period_is_renamed() -> None:
    tiers = ((tier("0.10", "100"), tier("0.30")),)
    charge = EnergyCharge(
        Calendar.always(), tiers, TierRule.MONTHLY_SHARE, tier_scope=TierScope.YEAR
    )
    renamed = replace(charge, calendar=replace(Calendar.always(), periods=("anytime",)))
    before, after = tariff_of(charge), tariff_of(renamed)
    carry = rate(before, usage_of(before, flat_months_wh(80))).carry_after(0)
    february = usage_of(after, [[50_000] + [0] * 671], first=date(2026, 2, 1))
    (bill,) = bills_of(after, february, carry=carry)
    # 20 of 50 kWh are left of the first 100: 20 x 0.10 + 30 x 0.30
    assert amounts(bill) == {"Energy anytime 1": d("2.00"), "Energy anytime 2": d("9.00")}
    # A new year leaves nothing of the old one behind, under whatever name.
    january = usage_of(after, [[0] * 744], first=date(2027, 1, 1))
    carry = rate(after, february, carry=carry).carry_after(0)
    assert set(rate(after, january, carry=carry).carry_after(0).columns) == {"after_month"}


def test_an_event_that_begins_or_ends_within_an_interval_is_refused() -> None:
    tariff = tariff_of(one_price("0"), critical_peak=CriticalPeak(d("1")))
    usage = usage_of(tariff, [[1000] * 24])
    for start, end in ((33, 34), (32, 33)):  # half hours: 16:30 to 17:00, 16:00 to 16:30
        span = (usage.start_us + start * HOUR_US // 2, usage.start_us + end * HOUR_US // 2)
        with pytest.raises(RatingError, match="begins or ends within an interval of 3600 s"):
            rate(tariff, usage, dynamics=Dynamics(critical_peaks_us=(span,)))


def test_real_time_prices_that_do_not_cover_the_usage_are_refused() -> None:
    tariff = tariff_of(RealTimePrice())
    usage = usage_of(tariff, [[1, 1, 1]])
    with pytest.raises(RatingError, match="give the price series"):
        rate(tariff, usage)
    for series, told in (
        (PriceSeries(usage.start_us, 3600, (d("0.1"),) * 2), "prices for all of it"),
        (PriceSeries(usage.start_us, 5400, (d("0.1"),) * 9), "where intervals begin"),
    ):
        with pytest.raises(RatingError, match=told):
            rate(tariff, usage, dynamics=Dynamics(series))


def test_levies_are_on_all_energy_drawn() -> None:
    tariff = tariff_of(one_price("0"), levies=(Levy("Grid", d("0.023")), Levy("Green", d("0.001"))))
    (bill,) = bills_of(tariff, usage_of(tariff, [DAY_WH]))
    assert amounts(bill)["Grid"] == d("1.38")  # 60 x 0.023
    assert amounts(bill)["Green"] == d("0.06")


def test_on_the_day_summer_time_begins_the_valley_is_an_hour_shorter() -> None:
    tariff = tariff_of(peak_and_valley("0.25", "0.15"), zone="Europe/Zurich")
    hours = 31 * 24 - 1  # March 2026
    (bill,) = bills_of(tariff, usage_of(tariff, [[1000] * hours], first=date(2026, 3, 1)))
    assert bill.is_final
    # 31 x 12 = 372 peak hours; 743 - 372 = 371 valley hours: 93.00 and 55.65
    assert amounts(bill) == {"Energy peak": d("93.00"), "Energy valley": d("55.65")}


def test_a_bill_that_rounds_its_total_keeps_exact_lines_and_says_the_rest() -> None:
    tariff = tariff_of(
        peak_and_valley("0.2501", "0.1504"), rounding=Rounding(place=RoundingPlace.BILL)
    )
    (bill,) = bills_of(tariff, usage_of(tariff, [[1] * 24]))
    # 0.012 x 0.2501 = 0.0030012; 0.012 x 0.1504 = 0.0018048; together 0.004806, rounded 0.00
    assert amounts(bill) == {
        "Energy peak": d("0.0030012"),
        "Energy valley": d("0.0018048"),
        "Rounding": d("-0.0048060"),
    }
    assert bill.total == Decimal(0) == sum(line.amount for line in bill.lines)
