"""Months that nobody rated count as empty ones; credit that cannot go on is settled and told."""

from dataclasses import replace
from datetime import date

import pytest
from tests.apps.tariff.rating.cases import (
    DAY_AND_NIGHT,
    HOURS_OF_MONTH,
    amounts,
    bills_of,
    d,
    one_price,
    peak_and_valley,
    tariff_of,
    tier,
    usage_of,
)

from metertwin.apps.tariff.bill import Bill
from metertwin.apps.tariff.calendar import Calendar, MonthDay, Season, Switch
from metertwin.apps.tariff.demand import DemandCharge, DemandTier, Ratchet
from metertwin.apps.tariff.energy import EnergyCharge, TierRule, TierScope
from metertwin.apps.tariff.rating import Carry, Rated, rate
from metertwin.apps.tariff.tariff import ExportTerms, Metering, Tariff

NET = ExportTerms(Metering.NET_METERING_KWH, true_up_per_kwh=d("0.05"))
CARRIED = ExportTerms(Metering.NET_BILLING_CARRY)
YEARLY = EnergyCharge(
    Calendar.always(),
    ((tier("0.20", "2000"), tier("0.90")),),
    TierRule.CHRONOLOGICAL,
    tier_scope=TierScope.YEAR,
)


def month_of(
    tariff: Tariff, first: date, kwh: int, fed_in: int = 0, carry: Carry | None = None
) -> Rated:
    """Rate one month whose energy is drawn, or fed in, in the hour from 12:00 of its first day."""
    hours = HOURS_OF_MONTH[first.month - 1]
    columns = [[0] * 12 + [each * 1000] + [0] * (hours - 13) for each in (kwh, fed_in)]
    usage = usage_of(tariff, columns[:1], first=first, export_counts=columns[1:])
    return rate(tariff, usage, carry=carry)


def after_november(tariff: Tariff, kwh: int, fed_in: int = 0) -> Carry:
    return month_of(tariff, date(2025, 11, 1), kwh, fed_in).carry_after(0)


def february(tariff: Tariff, kwh: int, carry: Carry) -> Bill:
    return month_of(tariff, date(2026, 2, 1), kwh, carry=carry).bill(0, 0)


def test_a_yearly_ladder_begins_again_though_the_years_first_month_was_not_rated() -> None:
    tariff = tariff_of(YEARLY)
    carry = after_november(tariff, 2880)
    # The new year's first 672 kWh: 672 x 0.20, not 672 x 0.90
    assert amounts(february(tariff, 672, carry)) == {"Energy all 1": d("134.40")}
    # December belongs to the old year: 2880 kWh were before it
    december = month_of(tariff, date(2025, 12, 1), 100, carry=carry)
    assert amounts(december.bill(0, 0)) == {"Energy all 2": d("90.00")}


def test_a_yearly_minimum_counts_its_own_year_only() -> None:
    tariff = tariff_of(one_price("1"), minimum_per_year=d(1000))
    carry = after_november(tariff, 3000)
    bill = month_of(tariff, date(2026, 12, 1), 100, carry=carry).bill(0, 0)
    # 1000 - 100: the 3000 of 2025 do not count
    assert amounts(bill) == {"Energy all": d("100.00"), "Yearly minimum": d("900.00")}


def test_credit_in_kwh_ends_with_a_true_up_month_that_was_not_rated() -> None:
    tariff = tariff_of(one_price("0.30"), export=NET)
    bill = february(tariff, 100, after_november(tariff, 56, fed_in=200))
    # 100 x 0.30; 200 - 56 = 144 kWh were left in December: 144 x 0.05
    assert amounts(bill) == {"Energy all": d("30.00"), "True-up of earlier kWh": d("-7.20")}
    assert bill.credit_kwh == 0
    assert bill.lines[1].because == (
        "The credit year ended with December 2025, a month that was not billed: 144 kWh of credit "
        "ended; 144 kWh fed in were left after what was drawn, paid at 0.05 CHF per kWh."
    )


@pytest.mark.parametrize(("expires", "paid"), [(False, "-16.00"), (True, "0.00")])
def test_credit_in_money_ends_with_a_true_up_month_that_was_not_rated(
    expires: bool,  # noqa: FBT001 - a case's column
    paid: str,
) -> None:
    export = replace(CARRIED, credit_expires=expires)
    tariff = tariff_of(one_price("0.20", sell="0.08"), export=export)
    bill = february(tariff, 100, after_november(tariff, 0, fed_in=200))
    # 100 x 0.20; 200 x 0.08 = 16.00 were left in December
    assert amounts(bill) == {"Energy all": d("20.00"), "True-up of earlier credit": d(paid)}
    assert bill.credit_amount == 0
    end = "expired" if expires else "is paid out"
    assert bill.lines[1].because.endswith(f"not billed: the credit of 16.00 CHF {end}.")


def test_credit_outlives_a_month_not_rated_within_its_year() -> None:
    tariff = tariff_of(one_price("0.30"), export=replace(NET, true_up_month=6))
    bill = february(tariff, 100, after_november(tariff, 0, fed_in=80))
    # (100 - 80) x 0.30
    assert amounts(bill) == {"Energy all": d("6.00")}


def test_meters_of_one_batch_have_their_own_gaps() -> None:
    tariff = tariff_of(one_price("0.30"), export=NET)
    away = after_november(tariff, 0, fed_in=80)
    there = month_of(tariff, date(2026, 1, 1), 0, 80).carry_after(0)
    usage = usage_of(tariff, [[100_000] + [0] * 671] * 2, first=date(2026, 2, 1))
    rated = rate(tariff, usage, carry=Carry.joined([away, there]))
    # 30.00 - 80 x 0.05, as its credit year ended; (100 - 80) x 0.30
    assert rated.totals(0) == [d("26.00"), d("6.00")]


WINTER_AND_SUMMER = Calendar(
    ("night", "day w", "day s"),
    ((Switch(0, 0), Switch(8 * 60, 1)), (Switch(0, 0), Switch(8 * 60, 2))),
    (
        Season("winter", MonthDay(1, 1), (0,) * 7, 0),
        Season("summer", MonthDay(3, 1), (1,) * 7, 1),
    ),
)
SEASONAL = EnergyCharge(WINTER_AND_SUMMER, ((tier("0.1"),), (tier("0.2"),), (tier("0.4"),)))
DEMAND = DemandCharge("Power", Calendar.always(), ((DemandTier(None, d("2")),),))


@pytest.mark.parametrize(
    "tariff",
    [
        tariff_of(SEASONAL, export=NET),
        tariff_of(SEASONAL, export=replace(NET, true_up_month=2)),
        tariff_of(one_price("0.2", sell="0.1"), export=replace(CARRIED, true_up_month=3)),
        tariff_of(YEARLY, year_start_month=3),
        tariff_of(one_price("0.2"), demand=(replace(DEMAND, ratchet=Ratchet(d("0.8"), 3)),)),
    ],
)
def test_a_month_not_rated_is_a_month_without_energy(tariff: Tariff) -> None:
    january = month_of(tariff, date(2026, 1, 1), 1990, 2500).carry_after(0)
    empty, carry = d(0), january
    for first in (date(2026, 2, 1), date(2026, 3, 1)):
        rated = month_of(tariff, first, 0, carry=carry)
        # What a ratchet makes of an empty month is owed by that month alone.
        demand = sum(line.amount for line in rated.bill(0, 0).lines if line.kind == "demand")
        empty, carry = empty + rated.totals(0)[0] - demand, rated.carry_after(0)
    april = date(2026, 4, 1)
    with_empty, without = (month_of(tariff, april, 70, carry=each) for each in (carry, january))
    assert without.totals(0)[0] == with_empty.totals(0)[0] + empty
    assert without.carry_after(0).to_plain() == with_empty.carry_after(0).to_plain()


def test_credit_of_a_period_that_is_renamed_goes_to_the_one_at_the_same_time_of_day() -> None:
    before = tariff_of(peak_and_valley("0.30", "0.10"), export=NET)
    renamed = replace(DAY_AND_NIGHT, periods=("Tag", "Nacht"))
    after = tariff_of(replace(peak_and_valley("0.30", "0.10"), calendar=renamed), export=NET)
    carry = month_of(before, date(2026, 1, 1), 0, fed_in=80).carry_after(0)  # at noon: peak
    # (100 - 80) x 0.30; as Nacht's, the credit would leave 30.00
    assert amounts(february(after, 100, carry)) == {"Energy Tag": d("6.00")}
    bill = february(after, 0, carry)
    assert (bill.credit_kwh, bill.total) == (d(80), d(0))
    handed_on = month_of(after, date(2026, 2, 1), 0, carry=carry).carry_after(0)
    assert not [name for name in handed_on.columns if "peak" in name]


def test_credit_in_kwh_is_paid_on_its_own_terms_under_a_tariff_without_such_credit() -> None:
    before = tariff_of(one_price("0.30"), export=NET)
    after = tariff_of(one_price("0.40", sell="0.08"), export=ExportTerms(Metering.NET_BILLING))
    carry = month_of(before, date(2026, 1, 1), 0, fed_in=80).carry_after(0)
    bill = february(after, 100, carry)
    # 100 x 0.40; 80 x 0.05 as the old tariff pays at its true-up
    assert amounts(bill) == {"Energy all": d("40.00"), "True-up of earlier kWh": d("-4.00")}
    assert bill.lines[1].because == (
        "The tariff is another one than before and carries no such credit: 80 kWh of credit ended; "
        "80 kWh fed in were left after what was drawn, paid at 0.05 CHF per kWh."
    )
    handed_on = month_of(after, date(2026, 2, 1), 0, carry=carry).carry_after(0)
    assert set(handed_on.columns) == {"after_month"}


@pytest.mark.parametrize("metering", [Metering.IMPORT_ONLY, Metering.NET_METERING_KWH])
def test_credit_in_money_is_paid_out_under_a_tariff_that_carries_none(metering: Metering) -> None:
    before = tariff_of(one_price("0.20", sell="0.08"), export=CARRIED)
    after = tariff_of(one_price("0.40"), export=ExportTerms(metering))
    carry = month_of(before, date(2026, 1, 1), 0, fed_in=200).carry_after(0)
    (bill,) = bills_of(
        after, usage_of(after, [[100_000] + [0] * 671], first=date(2026, 2, 1)), carry=carry
    )
    # 100 x 0.40; 200 x 0.08
    assert amounts(bill) == {"Energy all": d("40.00"), "True-up of earlier credit": d("-16.00")}
