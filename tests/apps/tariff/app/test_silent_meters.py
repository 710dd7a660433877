"""What is answered while nothing of the running month is known: its first hour, a silent meter."""

from decimal import Decimal

import pytest
from tests.apps.tariff.app.billing_world import FLAT, PERIOD_US, Host, at, host_of
from tests.apps.tariff.app.test_requests import PREPAID

from metertwin.apps.app import Asked
from metertwin.apps.tariff.app.arguments import TopUpArguments
from metertwin.apps.tariff.app.errors import NoUsageError
from metertwin.core.clock import to_us
from metertwin.core.ids import MeterId

YEARLY = """
id: ladder
version: 1
name: Dearer from 300 kWh a year on
currency: EUR
zone: Europe/Berlin
energy:
  tier_rule: chronological
  tier_scope: year
  periods: {all: {blocks: [{up_to_kwh: 300, price_per_kwh: 0.20}, {price_per_kwh: 0.60}]}}
"""
SILENT = "No interval of March 2026 came from meter m1 yet"


def prepaid_host(tariff: str = PREPAID) -> Host:
    return host_of(
        "2026-01-31T23:00", 70, tariffs=[tariff], default="prepaid", terms={"m1": {"prepaid": True}}
    )


def silent_from_march(host: Host, hours: int = 1) -> Host:
    """Let a meter draw 1 kW in February and be silent from March on."""
    host.run_until(at("2026-02-28T23:00"), [1000])
    for _ in range(hours):
        host.world.now_us += PERIOD_US
        host.wake()
    return host


def test_a_balance_is_told_and_paid_into_before_the_months_first_interval() -> None:
    host = silent_from_march(prepaid_host())
    # 672 x 0.50 of February; nothing of March
    answer = host.ask("balance", "m1")
    assert (answer.balance, answer.per_day_amount) == (Decimal("-336.00"), None)
    assert answer.basis.notes[0] == f"{SILENT}."
    paid = host.ask("top_up", "m1", id="p1", amount="340")
    assert (paid.balance, paid.standing) == (Decimal("4.00"), "low")
    host.run_until(at("2026-03-01T02:00"), [1000])
    # two hours more at 0.50, and one that is estimated like them
    assert host.ask("balance", "m1").balance == Decimal("2.50")


def test_a_low_balance_is_told_while_the_meter_is_silent() -> None:
    host = prepaid_host()
    host.ask("top_up", "m1", id="p1", amount="345")
    host.run_until(at("2026-02-28T22:00"), [1000])
    # 345 - 671 x 0.50 = 9.50, told when it fell below 10
    assert [name for name, _ in host.findings()] == ["balance_low"]
    silent_from_march(host, hours=5)
    assert [name for name, _ in host.findings()] == ["balance_low"]


def test_a_new_meter_is_paid_for_before_its_first_interval() -> None:
    host = prepaid_host()
    for _ in range(2):
        answer = host.ask("top_up", "m1", id="p1", amount="200")
        assert (answer.balance, answer.charged_amount) == (Decimal(200), Decimal(0))


def test_a_payment_counts_while_the_bill_cannot_be_rated() -> None:
    spot = PREPAID.replace("periods: {all: {price_per_kwh: 0.50}}", "real_time: {}")
    host = prepaid_host(spot)
    host.run_until(at("2026-02-01T05:00"), [1000])
    answer = host.ask("top_up", "m1", id="p1", amount="200")
    assert answer.balance == Decimal(200)
    assert answer.basis.notes[0].startswith("What was not issued yet is not charged yet: Tariff")
    host.ask(
        "set_prices", tariff="prepaid", start="2026-01-31T23:00:00Z", prices_per_kwh=["0.1"] * 24
    )
    assert host.ask("balance", "m1").balance == Decimal("199.40")  # 6 x 0.1


def test_a_month_that_is_over_is_billed_though_nothing_came_since() -> None:
    host = host_of("2026-01-31T23:00", 70)
    hole = to_us(at("2026-02-10T12:00"))
    host.run_until(at("2026-02-28T23:00"), [500], skipped=frozenset([hole]))
    host.world.now_us += PERIOD_US
    host.wake()
    assert host.bills() == []  # it is waited for
    bill = host.ask("bill", "m1", month="2026-02").bill
    # 672 x 0.5 x 0.30 + 5, one hour of it estimated
    assert (bill.total, bill.estimated_count, bill.is_final) == (Decimal("105.80"), 1, True)
    assert host.ask("bills", month="2026-02").totals == {"EUR": Decimal("105.80")}
    with pytest.raises(NoUsageError, match=SILENT):
        host.ask("bill", "m1", month="2026-03")
    with pytest.raises(NoUsageError, match=SILENT):
        host.ask("bill_so_far", "m1")


def test_a_month_that_is_over_is_billed_whole_though_its_end_is_missing() -> None:
    host = host_of("2026-01-31T23:00", 70)
    host.run_until(at("2026-02-26T23:00"), [500])
    end = at("2026-03-01T05:00")
    silent = frozenset(range(host.world.now_us, to_us(end), PERIOD_US))
    host.run_until(end, [500], silent)
    bill = host.ask("bill", "m1", month="2026-02").bill
    # the last 48 hours are estimated like the days before
    assert (bill.total, bill.estimated_count, bill.is_final) == (Decimal("105.80"), 48, True)
    assert host.ask("bills", month="2026-02").totals == {"EUR": Decimal("105.80")}


def test_the_cheapest_hours_need_no_interval_of_the_month() -> None:
    host = silent_from_march(host_of("2026-01-31T23:00", 70))
    answer = host.ask("cheapest_hours", "m1", hours=2)
    assert (answer.price_per_kwh, answer.tier) == (Decimal("0.3"), 0)
    assert answer.basis.notes[0] == f"{SILENT}."


def test_a_yearly_ladder_stands_in_march_where_february_left_it() -> None:
    host = silent_from_march(host_of("2026-01-31T23:00", 70, tariffs=[YEARLY], default="ladder"))
    # 672 of 300 kWh
    answer = host.ask("cheapest_hours", "m1", hours=2)
    assert (answer.price_per_kwh, answer.tier) == (Decimal("0.6"), 2)
    assert host.ask("tariff", "m1").price_per_kwh == Decimal("0.6")


def test_a_monthly_ladder_begins_anew() -> None:
    monthly = YEARLY.replace("tier_scope: year", "tier_scope: month")
    host = silent_from_march(host_of("2026-01-31T23:00", 70, tariffs=[monthly], default="ladder"))
    answer = host.ask("cheapest_hours", "m1", hours=2)
    assert (answer.price_per_kwh, answer.tier) == (Decimal("0.2"), 1)


def test_a_group_is_told_which_meter_has_no_interval_yet() -> None:
    host = silent_from_march(host_of("2026-01-31T23:00", 70, ["m1", "m2"], tariffs=[FLAT]))
    (told, _) = host.ask("bills", month="2026-03").meters
    assert (told.total, told.note) == (None, "There are no intervals of the month.")


def test_a_payment_waits_for_no_history() -> None:
    host = prepaid_host()
    host.run_until(at("2026-02-05T00:00"), [1000])
    host.world.window_days = 2  # what is not issued began before it
    host.world.now_us += PERIOD_US
    asked = Asked("top_up", MeterId("m1"), TopUpArguments("p1", Decimal(200)))
    assert host.app.history_wanted(host.view(), asked) is None
    answer = host.ask("top_up", "m1", id="p1", amount="200")
    assert answer.balance == Decimal(200)
    assert answer.basis.notes[0].startswith("What was not issued yet is not charged yet: ")
    # 4 days and an hour at 0.50 an hour, from history
    assert host.ask("balance", "m1").balance == Decimal("151.50")
