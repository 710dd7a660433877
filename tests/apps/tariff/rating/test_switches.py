"""Prices by the hour need usage, and windows of power, that begin where the price changes."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from tests.apps.tariff.rating.cases import (
    DAY_AND_NIGHT,
    bills_of,
    d,
    one_price,
    peak_and_valley,
    tariff_of,
    tier,
    usage_of,
)

from metertwin.apps.tariff.calendar import Calendar, MonthDay, Season, Switch
from metertwin.apps.tariff.demand import DemandCharge, DemandTier
from metertwin.apps.tariff.energy import EnergyCharge
from metertwin.apps.tariff.rating import RatingError, rate

DAY_S = 86_400


def switching_at(*minutes: int) -> Calendar:
    """Return two periods that take turns at these minutes of each day; `low` has midnight."""
    switches = tuple(Switch(minute, at % 2) for at, minute in enumerate((0, *minutes)))
    return Calendar(
        ("low", "high"), (switches,), (Season("all year", MonthDay(1, 1), (0,) * 7, 0),)
    )


def two_prices(calendar: Calendar) -> EnergyCharge:
    return EnergyCharge(calendar, ((tier("0.10"),), (tier("0.40"),)))


def test_daily_usage_has_no_price_by_the_hour() -> None:
    # 24 kWh a day: 744 kWh all at 0.10 would be 74.40, all at 0.40 297.60; drawn evenly they
    # are 12 x 31 x (0.10 + 0.40) = 186.00. A daily total says none of it.
    tariff = tariff_of(peak_and_valley("0.40", "0.10"))
    usage = usage_of(tariff, [[24_000] * 31], period_s=DAY_S)
    with pytest.raises(RatingError) as raised:
        rate(tariff, usage)
    # Switches at 08:00 and 20:00, counted from the month's first midnight: multiples of 4 h.
    assert str(raised.value) == (
        "The price of energy of tariff t changes from valley to peak at 2026-01-01 08:00 in UTC, "
        "within an interval of 86400 s: how much was used before and after is not known. Give "
        "usage in intervals of 14400 s, or of a length that divides them, or take a tariff that "
        "does not depend on the hour."
    )
    (bill,) = bills_of(tariff, usage_of(tariff, [[4_000] * 6 * 31], period_s=14_400))
    assert bill.total == d("186.00")


def test_a_switch_at_half_past_needs_half_hours() -> None:
    tariff = tariff_of(two_prices(switching_at(390, 1350)), zone="Europe/Berlin")
    with pytest.raises(RatingError, match=r"from low to high at 2026-01-01 06:30 .* of 1800 s"):
        rate(tariff, usage_of(tariff, [[1000] * 744]))
    (bill,) = bills_of(tariff, usage_of(tariff, [[500] * 1488], period_s=1800))
    # 16 h a day at 0.40 and 8 h at 0.10: 31 x (6.40 + 0.80)
    assert bill.total == d("223.20")


def test_usage_that_ends_before_the_first_switch_within_an_interval_is_rated() -> None:
    tariff = tariff_of(two_prices(switching_at(390)))
    (bill,) = bills_of(tariff, usage_of(tariff, [[1000] * 6]))
    assert bill.total == d("0.60")


def test_days_fit_one_price_and_seasons() -> None:
    flat = tariff_of(one_price("0.10"))
    (bill,) = bills_of(flat, usage_of(flat, [[24_000] * 31], period_s=DAY_S))
    assert bill.total == d("74.40")
    days = ((Switch(0, 0),), (Switch(0, 1),))
    week = Season("winter", MonthDay(1, 1), (0,) * 5 + (1, 1), 0)
    late = Season("end", MonthDay(1, 26), (1,) * 7, 1)
    by_day = tariff_of(two_prices(Calendar(("low", "high"), days, (week, late))))
    (bill,) = bills_of(by_day, usage_of(by_day, [[1_000] * 31], period_s=DAY_S))
    # January 2026 to the 25th has 8 days of weekends, and 6 days follow: 14 at 0.40, 17 at 0.10.
    assert bill.total == d("7.30")


def test_hours_fit_where_clocks_change_by_whole_hours_and_not_where_by_half() -> None:
    berlin = tariff_of(two_prices(switching_at(120, 180)), zone="Europe/Berlin")
    (bill,) = bills_of(berlin, usage_of(berlin, [[1000] * 743], first=date(2026, 3, 1)))
    # From 02:00 to 03:00 on 30 days, not on the 29th: 30 x 0.40 + 713 x 0.10
    assert bill.total == d("83.30")
    (bill,) = bills_of(berlin, usage_of(berlin, [[1000] * 745], first=date(2026, 10, 1)))
    # On 25 October twice: 32 x 0.40 + 713 x 0.10
    assert bill.total == d("84.10")
    # Lord Howe goes from 02:00 to 02:30 on 4 October: 03:00 comes half an hour later.
    lord_howe = replace(berlin, zone="Australia/Lord_Howe")
    hours = usage_of(lord_howe, [[1000] * 24 * 10], first=date(2026, 10, 1))
    with pytest.raises(RatingError, match=r"2026-10-04 03:00 in Australia/Lord_Howe.* 1800 s"):
        rate(lord_howe, hours)
    halves = usage_of(lord_howe, [[500] * 48 * 10], first=date(2026, 10, 1), period_s=1800)
    assert len(bills_of(lord_howe, halves)) == 1


def test_energy_fed_in_is_asked_likewise() -> None:
    tariff = tariff_of(two_prices(switching_at(390)))
    usage = usage_of(tariff, [[0] * 24], export_counts=np.full((1, 24), 1000))
    with pytest.raises(RatingError, match="within an interval of 3600 s"):
        rate(tariff, usage)


def demand_of(calendar: Calendar, window_s: int) -> DemandCharge:
    prices = ((DemandTier(None, d("10")),), (DemandTier(None, d("1")),))
    return DemandCharge("Peak", calendar, prices, window_s=window_s)


def test_demand_by_the_hour_needs_intervals_and_windows_that_fit() -> None:
    tariff = tariff_of(one_price("0"), demand=(demand_of(DAY_AND_NIGHT, 0),))
    with pytest.raises(RatingError, match="The demand charge Peak of tariff t changes from valley"):
        rate(tariff, usage_of(tariff, [[1000] * 31], period_s=DAY_S))
    wide = tariff_of(one_price("0"), demand=(demand_of(DAY_AND_NIGHT, 6 * 3600),))
    with pytest.raises(RatingError) as raised:
        rate(wide, usage_of(wide, [[1000] * 744]))
    assert str(raised.value) == (
        "The demand charge Peak of tariff t changes from valley to peak at 2026-01-01 08:00 in "
        "UTC, within a window of 21600 s over which power is averaged; give the charge a window "
        "of 14400 s, or of a length that divides them."
    )
    fitting = tariff_of(one_price("0"), demand=(demand_of(DAY_AND_NIGHT, 4 * 3600),))
    (bill,) = bills_of(fitting, usage_of(fitting, [[1000] * 744]))
    assert bill.total == 11  # 1 kW throughout: 10 and 1
