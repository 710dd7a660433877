"""Demand, capacity and power-factor lines calculated by hand."""

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
    tariff_of,
    usage_of,
)

from metertwin.apps.tariff.calendar import Calendar, MonthDay, Season, Switch
from metertwin.apps.tariff.demand import (
    CapacityBasis,
    CapacityCharge,
    DemandCharge,
    DemandMeasure,
    DemandTier,
    PowerFactorAdjustment,
    PowerFactorBand,
    Ratchet,
)
from metertwin.apps.tariff.rating import Contract, RatingError, rate

FREE = one_price("0")
# 24 h at 1 kW, but 9 kW at 03:00 (valley) and 6 kW at 12:00 (peak).
DAY_WH = [1_000] * 3 + [9_000] + [1_000] * 8 + [6_000] + [1_000] * 11


def demand(price: str = "10", **parts: object) -> DemandCharge:
    flat = ((DemandTier(None, d(price)),),)
    return DemandCharge(**{"name": "Demand", "calendar": Calendar.always(), "tiers": flat, **parts})  # type: ignore[arg-type]


def test_a_flat_demand_charge_prices_the_months_highest_power() -> None:
    tariff = tariff_of(FREE, demand=(demand(),))
    (bill,) = bills_of(tariff, usage_of(tariff, [DAY_WH]))
    assert amounts(bill)["Demand"] == d("90.00")
    assert bill.lines[-1].because == "The highest mean power was 9 kW, at 10 CHF per kW."


def test_demand_by_time_of_use_has_a_highest_power_per_period() -> None:
    tiers = ((DemandTier(None, d("10")),), (DemandTier(None, d("2")),))
    tariff = tariff_of(FREE, demand=(demand(calendar=DAY_AND_NIGHT, tiers=tiers),))
    (bill,) = bills_of(tariff, usage_of(tariff, [DAY_WH]))
    assert amounts(bill) == {
        "Energy all": d("0.00"),
        "Demand peak": d("60.00"),
        "Demand valley": d("18.00"),
    }
    assert "in peak (daily 08:00-20:00) was 6 kW" in bill.lines[1].because


def test_demand_is_averaged_over_its_window() -> None:
    quarter_hours = [500] * 96
    quarter_hours[13] = 4_000  # 03:15: 16 kW for a quarter hour
    quarter_hours[14] = 3_000  # 03:30: in the next half hour
    for window_s, kilowatts in ((0, 16), (900, 16), (1800, 9), (3600, 8)):
        # 03:00-03:30: 4.5 kWh in half an hour; 03:00-04:00: 0.5 + 4 + 3 + 0.5 kWh in an hour.
        tariff = tariff_of(FREE, demand=(demand(window_s=window_s),))
        (bill,) = bills_of(tariff, usage_of(tariff, [quarter_hours], period_s=900))
        assert amounts(bill)["Demand"] == 10 * kilowatts


def test_windows_of_one_month_do_not_count_in_the_next() -> None:
    tariff = tariff_of(FREE, demand=(demand(window_s=7200),))
    bills = bills_of(tariff, usage_of(tariff, flat_months_wh(10, 4, 6)))
    # The first hour's energy over two hours: 5, 2 and 3 kW.
    assert [amounts(bill)["Demand"] for bill in bills] == [50, 20, 30]


def test_a_window_that_intervals_do_not_fill_is_refused() -> None:
    tariff = tariff_of(FREE, demand=(demand(window_s=1800),))
    with pytest.raises(RatingError, match="averaged over 1800 s, but intervals are 3600 s"):
        rate(tariff, usage_of(tariff, [DAY_WH]))


def test_a_window_without_an_exact_power_is_refused() -> None:
    tariff = tariff_of(FREE, demand=(demand(window_s=25_200),))
    with pytest.raises(RatingError, match="no exact mean power in decimals"):
        rate(tariff, usage_of(tariff, [DAY_WH]))


def test_blocks_of_demand() -> None:
    tiers = ((DemandTier(d("5"), d("8")), DemandTier(d("7.5"), d("9")), DemandTier(None, d("20"))),)
    tariff = tariff_of(FREE, demand=(demand(tiers=tiers),))
    (bill,) = bills_of(tariff, usage_of(tariff, [DAY_WH]))
    # 9 kW: 5 x 8, 2.5 x 9, 1.5 x 20
    assert [line.amount for line in bill.lines[1:]] == [d("40.00"), d("22.50"), d("30.00")]
    assert "1.5 kW of it lie in block 3" in bill.lines[-1].because


def test_a_ratchet_bills_a_share_of_the_highest_of_the_months_before() -> None:
    charge = demand(ratchet=Ratchet(d("0.8"), 2))
    tariff = tariff_of(FREE, demand=(charge,))
    # Peaks of 100, 50, 90, 10, 20 kW. Billed: 100; 80; 90; max(10, 0.8 x 90); max(20, 0.8 x 90)
    bills = bills_of(tariff, usage_of(tariff, flat_months_wh(100, 50, 90, 10, 20)))
    assert [amounts(bill)["Demand"] for bill in bills] == [1000, 800, 900, 720, 720]
    assert (
        "billed as 80 kW (at least 80 % of the highest of 2 months)" in bills[1].lines[-1].because
    )


def test_a_ratchet_may_look_at_some_months_and_work_in_others() -> None:
    ratchet = Ratchet(d("1"), 11, from_months=frozenset({2}), in_months=frozenset({3, 5}))
    tariff = tariff_of(FREE, demand=(demand(ratchet=ratchet),))
    bills = bills_of(tariff, usage_of(tariff, flat_months_wh(90, 40, 10, 10, 10)))
    assert [amounts(bill)["Demand"] for bill in bills] == [900, 400, 400, 100, 400]


def test_a_ratchet_of_twelve_months_looks_back_on_the_same_month_of_last_year() -> None:
    tariff = tariff_of(FREE, demand=(demand(ratchet=Ratchet(d("1"), 12)),))
    year = usage_of(tariff, flat_months_wh(*range(70, 58, -1)))
    carry = rate(tariff, year).carry_after(11)
    assert carry.take([0]).to_plain() == carry.to_plain()
    (january,) = bills_of(tariff, usage_of(tariff, [[5_000]], first=date(2027, 1, 1)), carry=carry)
    assert amounts(january)["Demand"] == 700  # January 2026
    eleven = tariff_of(FREE, demand=(demand(ratchet=Ratchet(d("1"), 11)),))
    (january,) = bills_of(eleven, usage_of(eleven, [[5_000]], first=date(2027, 1, 1)), carry=carry)
    assert amounts(january)["Demand"] == 690  # February 2026


def test_a_ratchet_ignores_peaks_that_are_a_year_too_old() -> None:
    tariff = tariff_of(FREE, demand=(demand(ratchet=Ratchet(d("1"), 11)),))
    usage = usage_of(tariff, flat_months_wh(*range(70, 58, -1)))
    carry = rate(tariff, usage).carry_after(11)
    # After December 2026: in March 2027 January and February are not rated; of April 2026 on, 67.
    # In January 2028 no month of the 11 before is rated.
    for first, kilowatts in ((date(2027, 3, 1), 67), (date(2028, 1, 1), 5)):
        (bill,) = bills_of(tariff, usage_of(tariff, [[5_000]], first=first), carry=carry)
        assert amounts(bill)["Demand"] == 10 * kilowatts


def test_ratchets_of_periods_look_back_on_the_same_period() -> None:
    tiers = ((DemandTier(None, d("10")),), (DemandTier(None, d("1")),))
    charge = demand(calendar=DAY_AND_NIGHT, tiers=tiers, ratchet=Ratchet(d("0.5"), 11))
    tariff = tariff_of(FREE, demand=(charge,))
    january = DAY_WH + [0] * (744 - 24)
    usage = usage_of(tariff, [january + [2_000] * 24])
    # February so far: peak max(2, 6 / 2), valley max(2, 9 / 2)
    assert amounts(bills_of(tariff, usage)[1]) == {
        "Energy all": d("0.00"),
        "Demand peak": d("30.00"),
        "Demand valley": d("4.50"),
    }


def test_a_ratchet_of_a_flat_charge_crosses_seasons() -> None:
    days = ((Switch(0, 0),), (Switch(0, 1),))
    seasons = (
        Season("summer", MonthDay(4, 1), (0,) * 7, 0),
        Season("winter", MonthDay(10, 1), (1,) * 7, 1),
    )
    tiers = ((DemandTier(None, d("10")),), (DemandTier(None, d("5")),))
    charge = demand(
        calendar=Calendar(("summer", "winter"), days, seasons),
        tiers=tiers,
        ratchet=Ratchet(d("0.8"), 11),
    )
    tariff = tariff_of(FREE, demand=(charge,))
    bills = bills_of(tariff, usage_of(tariff, flat_months_wh(*[0] * 8, 100, 10)))
    # September 100 x 10; October max(10, 0.8 x 100) x 5
    assert amounts(bills[8])["Demand summer"] == 1000
    assert amounts(bills[9])["Demand winter"] == 400


def test_a_minimum_demand_is_billed_at_least() -> None:
    tariff = tariff_of(FREE, demand=(demand(minimum_kw=d("12.5")),))
    (bill,) = bills_of(tariff, usage_of(tariff, [DAY_WH]))
    assert amounts(bill)["Demand"] == d("125.00")
    assert "billed as 12.5 kW (at least 12.5 kW)" in bill.lines[-1].because


def test_apparent_demand_takes_both_energies_of_the_same_window() -> None:
    tariff = tariff_of(FREE, demand=(demand(measure=DemandMeasure.KVA),))
    # sqrt(3^2 + 4^2) = 5; sqrt(4.5^2 + 1^2) = 4.6098; the peaks alone would make sqrt(4.5^2 + 4^2)
    usage = usage_of(tariff, [[3_000, 4_500]], import_varh_counts=[[4_000, 1_000]])
    (bill,) = bills_of(tariff, usage)
    assert amounts(bill)["Demand"] == d("50.00")
    assert bill.lines[-1].unit == "kVA"
    # sqrt(1^2 + 0.7^2) = 1.220655..., to a thousandth
    usage = usage_of(tariff, [[1_000]], import_varh_counts=[[700]])
    assert amounts(bills_of(tariff, usage)[0])["Demand"] == d("12.21")
    with pytest.raises(RatingError, match="reactive energy"):
        rate(tariff, usage_of(tariff, [[1_000]]))


def test_contracted_capacity_costs_what_is_contracted() -> None:
    capacity = CapacityCharge("Basic charge", CapacityBasis.CONTRACTED_CAPACITY, d("25.6"))
    tariff = tariff_of(FREE, capacity=capacity)
    usage = usage_of(tariff, [DAY_WH], contracts=[Contract(contracted_kva=d("630"))])
    (bill,) = bills_of(tariff, usage)
    assert amounts(bill)["Basic charge"] == d("16128.00")  # 630 x 25.6
    with pytest.raises(RatingError, match="contracted_kva, and 1 of 1 meters have none"):
        rate(tariff, usage_of(tariff, [DAY_WH]))


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-100"])
def test_a_contract_without_a_sound_number_is_refused(value: str) -> None:
    with pytest.raises(RatingError, match=f"A contract has declared_kw {value}; give a finite"):
        Contract(declared_kw=d(value))
    with pytest.raises(RatingError, match=f"A contract has contracted_kva {value}"):
        Contract(contracted_kva=d(value))


@pytest.mark.parametrize(
    ("declared", "basic", "excess"),
    [
        ("10", "409.60", None),  # 9 kW lie below: 10 x 40.96
        ("8.6", "352.26", None),  # 8.6 x 1.05 = 9.03, still above 9: 8.6 x 40.96 = 352.256
        ("8", "327.68", "49.15"),  # 9 - 8.4 = 0.6 kW at twice the price: 0.6 x 81.92 = 49.152
    ],
)
def test_declared_demand_and_what_exceeds_it(declared: str, basic: str, excess: str | None) -> None:
    capacity = CapacityCharge("Basic charge", CapacityBasis.DECLARED_DEMAND, d("40.96"))
    tariff = tariff_of(FREE, capacity=capacity)
    usage = usage_of(tariff, [DAY_WH], contracts=[Contract(declared_kw=d(declared))])
    found = amounts(bills_of(tariff, usage)[0])
    assert found["Basic charge"] == d(basic)
    assert found.get("Basic charge, excess") == (None if excess is None else d(excess))


BANDS = (
    PowerFactorBand(d("0"), d("20")),
    PowerFactorBand(d("0.8"), d("5")),
    PowerFactorBand(d("0.90"), d("0")),
    PowerFactorBand(d("0.95"), d("-0.75")),
)


@pytest.mark.parametrize(
    ("active", "reactive", "percent"),
    [
        (4, 3, "5"),  # 0.8 exactly
        (3, 4, "20"),  # 0.6
        (100, 0, "-0.75"),
        (9, 4.4, "0"),  # 9 / 10.018 = 0.8984, rounded 0.90
        (9, 4.5, "5"),  # 9 / 10.062 = 0.8944, rounded 0.89
    ],
)
def test_the_power_factor_changes_energy_and_demand_charges(
    active: float, reactive: float, percent: str
) -> None:
    tariff = tariff_of(
        one_price("1"), demand=(demand("1"),), power_factor=PowerFactorAdjustment(BANDS)
    )
    active_wh, reactive_varh = int(active * 1000), int(reactive * 1000)
    usage = usage_of(tariff, [[active_wh]], import_varh_counts=[[reactive_varh]])
    (bill,) = bills_of(tariff, usage)
    base = 2 * Decimal(str(active))  # as many kWh as kW, each at 1
    expected = (base * d(percent) / 100).quantize(d("0.01"))
    assert amounts(bill).get("Power factor", Decimal(0)) == expected
    assert bill.total == base + expected
