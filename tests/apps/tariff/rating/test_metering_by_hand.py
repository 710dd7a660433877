"""Feed-in, credits, fixed charges, minimums and taxes calculated by hand."""

from datetime import date
from decimal import Decimal

import pytest
from tests.apps.tariff.rating.cases import (
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

from metertwin.apps.tariff.bill import Bill
from metertwin.apps.tariff.calendar import Calendar, MonthDay, Season, Switch
from metertwin.apps.tariff.energy import CriticalPeak, EnergyCharge, TierRule
from metertwin.apps.tariff.rating import Dynamics, RatingError, rate
from metertwin.apps.tariff.rating.credit_periods import heir_of
from metertwin.apps.tariff.tariff import (
    ChargeKind,
    ChargePeriod,
    ExportTerms,
    FixedCharge,
    Metering,
    Tariff,
    Tax,
)
from metertwin.core.money import Rounding, RoundingPlace

PRICED = one_price("0.20", sell="0.08")


def billed(tariff: Tariff, drawn: tuple[int, ...], fed_in: tuple[int, ...]) -> list[Bill]:
    """Rate months of 2026 with these kWh drawn and fed in."""
    exports = flat_months_wh(*fed_in)
    return bills_of(tariff, usage_of(tariff, flat_months_wh(*drawn), export_counts=exports))


def terms(metering: Metering, **parts: object) -> ExportTerms:
    return ExportTerms(metering, **parts)  # type: ignore[arg-type]


def test_with_import_only_what_is_fed_in_earns_nothing() -> None:
    bills = billed(tariff_of(PRICED), (100,), (500,))
    assert bills[0].total == d("20.00")
    assert bills[0].export_kwh == 500


def test_net_metering_in_kwh_carries_surplus_and_pays_the_years_surplus() -> None:
    export = terms(Metering.NET_METERING_KWH, true_up_month=4, true_up_per_kwh=d("0.03"))
    tariff = tariff_of(PRICED, export=export)
    bills = billed(tariff, (100, 100, 100, 0, 100), (250, 0, 20, 40, 0))
    # Credit 150; 50; 0 and 30 billed; 40, paid out at the true-up; nothing left in May.
    assert [bill.credit_kwh for bill in bills] == [150, 50, 0, 0, 0]
    assert [bill.total for bill in bills] == [0, 0, d("6.00"), d("-1.20"), d("20.00")]
    assert "40 kWh fed in are left after what was drawn" in bills[3].lines[-1].because


def test_the_true_up_pays_what_is_left_of_energy_fed_in() -> None:
    export = terms(Metering.NET_METERING_KWH, true_up_month=3, true_up_per_kwh=d("0.04"))
    bills = billed(tariff_of(PRICED, export=export), (120, 0, 0), (0, 72, 0))
    # January's 120 kWh are billed, 24.00; nothing is drawn after February: 72 x 0.04 = 2.88
    assert [bill.total for bill in bills] == [d("24.00"), 0, d("-2.88")]
    assert bills[2].lines[-1].because == (
        "The credit year ends: 72 kWh fed in are left after what was drawn in the same and later "
        "months, paid at 0.04 CHF per kWh; credits in kWh end."
    )


def test_energy_drawn_in_a_critical_peak_leaves_less_for_the_true_up() -> None:
    export = terms(Metering.NET_METERING_KWH, true_up_month=1, true_up_per_kwh=d("0.04"))
    tariff = tariff_of(PRICED, export=export, critical_peak=CriticalPeak(d("1")))
    drawn = flat_months_wh(50)
    usage = usage_of(tariff, drawn, export_counts=flat_months_wh(60))
    event = (usage.start_us, usage.start_us + 3_600_000_000)
    (bill,) = bills_of(tariff, usage, dynamics=Dynamics(critical_peaks_us=(event,)))
    # 50 x 1 in the event; 60 - 50 = 10 kWh are left: 10 x 0.04
    assert amounts(bill) == {"Critical peak": d("50.00"), "True-up": d("-0.40")}


def test_feed_in_that_costs_is_billed_and_never_becomes_credit() -> None:
    export = terms(
        Metering.NET_BILLING_CARRY,
        true_up_month=2,
        credit_starts_next_month=True,
        credit_expires=True,
    )
    tariff = tariff_of(one_price("0.20", sell="-0.05"), export=export)
    bills = billed(tariff, (10, 10), (100, 0))
    # 10 x 0.20 + 100 x 0.05 = 7.00, then 10 x 0.20
    assert [bill.total for bill in bills] == [d("7.00"), d("2.00")]
    assert [bill.credit_amount for bill in bills] == [0, 0]


def test_net_metering_keeps_periods_apart_and_the_true_up_does_not() -> None:
    export = terms(Metering.NET_METERING_KWH, true_up_month=1, true_up_per_kwh=d("0.05"))
    tariff = tariff_of(peak_and_valley("0.30", "0.10"), export=export)
    drawn, fed_in = [0] * 744, [0] * 744
    drawn[2], fed_in[12] = 70_000, 100_000  # 70 kWh in valley, 100 kWh fed in at peak
    (bill,) = bills_of(tariff, usage_of(tariff, [drawn], export_counts=[fed_in]))
    # The valley's 70 kWh are billed; of the 100 kWh only 30 are more than what was drawn in all.
    assert amounts(bill) == {"Energy valley": d("7.00"), "True-up": d("-1.50")}


def test_credit_goes_to_the_period_that_holds_at_the_same_time_of_a_working_day() -> None:
    days = ((Switch(0, 0), Switch(8 * 60, 1)), (Switch(0, 2), Switch(10 * 60, 3)))
    seasons = (
        Season("winter", MonthDay(1, 1), (0,) * 7, 0),
        Season("summer", MonthDay(6, 1), (1,) * 7, 1),
    )
    calendar = Calendar(("night w", "day w", "night s", "day s", "never"), days, seasons)
    before, first = date(2026, 5, 1), date(2026, 6, 1)
    assert [heir_of(calendar, index, before, first) for index in (0, 1, 4)] == [2, 3, 4]
    assert [heir_of(calendar, index, first, date(2026, 7, 1)) for index in (2, 3)] == [2, 3]


def test_net_metering_in_money_values_surplus_and_spends_it_on_energy_charges() -> None:
    tariff = tariff_of(
        PRICED,
        export=terms(Metering.NET_METERING_MONEY),
        fixed=(FixedCharge("Base", d("5")),),
    )
    bills = billed(tariff, (100, 30, 200), (250, 0, 0))
    # 150 kWh at 0.08 earn 12.00; 30 x 0.20 spend 6.00 of it; 40.00 - 6.00. The base is never met.
    assert [bill.credit_amount for bill in bills] == [d("12.00"), d("6.00"), d("0.00")]
    assert [bill.total for bill in bills] == [d("5.00"), d("5.00"), d("39.00")]
    assert amounts(bills[0]) == {
        "Feed-in all": d("-12.00"),
        "Credit": d("12.00"),
        "Base": d("5.00"),
    }


def test_net_billing_pays_out_what_a_month_earns() -> None:
    bills = billed(tariff_of(PRICED, export=terms(Metering.NET_BILLING)), (100,), (300,))
    # 100 x 0.20 - 300 x 0.08: drawn and fed in are not netted.
    assert bills[0].total == d("-4.00")
    assert bills[0].lines[1].because == "300 kWh fed in, at 0.08 CHF per kWh."


@pytest.mark.parametrize(
    ("starts_next_month", "expires", "totals"),
    [
        # Earned 24, 0, 8. At once: 20 - 20, then 10 - 4, then 2 - 2 with 6 left at the true-up.
        (False, False, ["0.00", "6.00", "-6.00"]),
        (False, True, ["0.00", "6.00", "0.00"]),
        # A month later: 20, then 10 - 10, then 2 - 2 with 12 + 8 left at the true-up.
        (True, False, ["20.00", "0.00", "-20.00"]),
        (True, True, ["20.00", "0.00", "0.00"]),
    ],
)
def test_net_billing_with_carry(
    starts_next_month: bool,  # noqa: FBT001 - a case's column
    expires: bool,  # noqa: FBT001
    totals: list[str],
) -> None:
    export = terms(
        Metering.NET_BILLING_CARRY,
        true_up_month=3,
        credit_starts_next_month=starts_next_month,
        credit_expires=expires,
    )
    bills = billed(tariff_of(PRICED, export=export), (100, 50, 10), (300, 0, 100))
    assert [bill.total for bill in bills] == [d(text) for text in totals]
    assert bills[2].credit_amount == 0


def test_all_sold_and_all_bought_have_a_minimum_on_what_is_bought() -> None:
    tariff = tariff_of(PRICED, export=terms(Metering.BUY_ALL_SELL_ALL), minimum_per_month=d("30"))
    bills = billed(tariff, (100,), (300,))
    # 20.00 bought, 10.00 to the minimum, 24.00 sold
    assert amounts(bills[0]) == {
        "Energy all": d("20.00"),
        "Feed-in all": d("-24.00"),
        "Monthly minimum": d("10.00"),
    }


def test_fed_in_energy_fills_its_own_blocks() -> None:
    tiers = ((tier("0.20", "50", "0.10"), tier("0.30", sell="0.05")),)
    charge = EnergyCharge(Calendar.always(), tiers, TierRule.CHRONOLOGICAL)
    bills = billed(tariff_of(charge, export=terms(Metering.NET_BILLING)), (70,), (60,))
    assert amounts(bills[0]) == {
        "Energy all 1": d("10.00"),
        "Energy all 2": d("6.00"),
        "Feed-in all 1": d("-5.00"),
        "Feed-in all 2": d("-0.50"),
    }
    equal = tariff_of(charge, export=terms(Metering.NET_BILLING, sell_equals_buy=True))
    assert amounts(billed(equal, (0,), (60,))[0]) == {
        "Feed-in all 1": d("-10.00"),
        "Feed-in all 2": d("-3.00"),
    }


def test_fixed_charges_of_days_months_and_years() -> None:
    fixed = (
        FixedCharge("Month", d("5")),
        FixedCharge("Day", d("0.33"), ChargePeriod.DAY),
        FixedCharge("Year", d("100"), ChargePeriod.YEAR),
    )
    tariff = tariff_of(one_price("0"), fixed=fixed)
    bills = bills_of(tariff, usage_of(tariff, flat_months_wh(*[0] * 12)))
    # 31 x 0.33 and 28 x 0.33; of 100.00 / 12 = 8.333... four months in twelve have the cent more.
    assert amounts(bills[0]) == {"Month": d("5.00"), "Day": d("10.23"), "Year": d("8.33")}
    assert amounts(bills[1]) == {"Month": d("5.00"), "Day": d("9.24"), "Year": d("8.34")}
    assert sum(amounts(bill)["Year"] for bill in bills) == 100
    assert bills[1].lines[1].because == "28 days at 0.33 CHF a day."


def test_a_bill_so_far_has_begun_days_full_months_and_no_minimum() -> None:
    fixed = (FixedCharge("Month", d("5")), FixedCharge("Day", d("1"), ChargePeriod.DAY))
    tariff = tariff_of(one_price("0.10"), fixed=fixed, minimum_per_month=d("100"))
    rated = rate(tariff, usage_of(tariff, [[1000] * 50]))  # two days and two hours
    bill = rated.bill(0, 0)
    assert amounts(bill) == {"Energy all": d("5.00"), "Month": d("5.00"), "Day": d("3.00")}
    assert bill.end.isoformat() == "2026-01-03T02:00:00+00:00"
    with pytest.raises(RatingError, match="2026-01-01 is rated in part only"):
        rated.carry_after(0)


def test_a_monthly_minimum_counts_before_taxes() -> None:
    tariff = tariff_of(one_price("0.10"), minimum_per_month=d("8"), taxes=(Tax("VAT", d("7.7")),))
    bills = bills_of(tariff, usage_of(tariff, flat_months_wh(50, 100)))
    # 5 + 3 to the minimum, 7.7 % of 8; then 10 and 0.77
    assert [bill.total for bill in bills] == [d("8.62"), d("10.77")]


def test_a_yearly_minimum_is_made_up_for_in_the_years_last_month() -> None:
    tariff = tariff_of(one_price("0.10"), minimum_per_year=d("100"), year_start_month=4)
    bills = bills_of(tariff, usage_of(tariff, flat_months_wh(10, 20, 30, 10, *[0] * 8)))
    # The year that ends in March 2026 has 6.00 as far as is known; 94.00 are missing.
    assert [bill.total for bill in bills[:4]] == [1, 2, d("97.00"), 1]
    (march,) = (line for line in bills[2].lines if line.kind is ChargeKind.MINIMUM)
    assert march.because == (
        "The year costs at least 100.00 CHF before taxes; 94.00 CHF are missing to it."
    )


def test_what_feeding_in_earns_does_not_make_up_for_a_minimum() -> None:
    tariff = tariff_of(PRICED, export=terms(Metering.NET_BILLING), minimum_per_month=d("10"))
    bills = billed(tariff, (100, 100), (300, 200))
    # 20 - 24 = -4, and the whole minimum; 20 - 16 = 4, and what is missing to 10
    assert [bill.total for bill in bills] == [d("6.00"), d("10.00")]


def test_what_a_monthly_minimum_adds_counts_for_the_year() -> None:
    tariff = tariff_of(one_price("0.10"), minimum_per_month=d("8"), minimum_per_year=d("100"))
    bills = bills_of(tariff, usage_of(tariff, flat_months_wh(*[0] * 11, 100)))
    # 11 x 8 = 88; December's 10 make 98, 2 are missing.
    assert [bill.total for bill in bills] == [8] * 11 + [12]


def test_taxes_are_on_the_kinds_they_name_and_not_on_taxes() -> None:
    taxes = (Tax("VAT", d("10")), Tax("City", d("5"), frozenset({ChargeKind.ENERGY})))
    tariff = tariff_of(one_price("1"), fixed=(FixedCharge("Base", d("20")),), taxes=taxes)
    (bill,) = bills_of(tariff, usage_of(tariff, [[30_000]]))
    assert amounts(bill)["VAT"] == d("5.00")  # 10 % of 50
    assert amounts(bill)["City"] == d("1.50")  # 5 % of 30


def test_credit_is_carried_exactly_where_only_totals_are_rounded() -> None:
    export = terms(Metering.NET_BILLING_CARRY)
    exact = Rounding(place=RoundingPlace.BILL)
    tariff = tariff_of(one_price("0.20", sell="0.0333"), export=export, rounding=exact)
    bills = billed(tariff, (0, 1, 1), (7, 0, 0))
    # 7 x 0.0333 = 0.2331; 0.2331 - 0.20 = 0.0331; 0.20 - 0.0331 = 0.1669
    assert [bill.credit_amount for bill in bills] == [d("0.2331"), d("0.0331"), Decimal(0)]
    assert [bill.total for bill in bills] == [0, 0, d("0.17")]
