"""A meter whose intervals straddle a switch of its tariff gets no bill, and one finding."""

from tests.apps.tariff.app.billing_world import TWO_RATE, at, host_of


def test_a_month_whose_prices_switch_within_intervals_is_refused_once() -> None:
    at_half_past = TWO_RATE.replace("06:00", "06:30")
    host = host_of("2026-01-31T23:00", 70, tariffs=[at_half_past], default="two-rate")
    host.run_until(at("2026-03-02T23:00"), [500])
    assert host.bills() == []
    ((name, detail),) = host.findings()
    assert name == "bill_refused"
    assert detail.startswith(
        "February 2026 cannot be billed: The price of energy of tariff two-rate changes from night "
        "to day at 2026-02-01 06:30 in Europe/Berlin, within an interval of 3600 s"
    )
