"""What a month hands to the next, across late data, restarts of the past, and rehearsal."""

from decimal import Decimal

import numpy as np
from tests.apps.tariff.app.billing_world import (
    EXPORT,
    FLAT,
    PERIOD_US,
    Host,
    at,
    host_of,
)

from metertwin.apps.app import AppSettings
from metertwin.apps.rehearsal.run import rehearse
from metertwin.apps.tariff.app import TariffApp
from metertwin.core.clock import to_us
from metertwin.core.ids import GroupId

NET = """
id: net
version: 1
name: Net metering in kWh
currency: EUR
zone: Europe/Berlin
energy: {periods: {all: {price_per_kwh: 0.30}}}
export: {metering: net_metering_kwh, true_up_month: 12, true_up_per_kwh: 0.05}
"""


def exporting(end: str) -> Host:
    """Return a home that draws 200 Wh and feeds in 300 Wh each hour of February, then none."""
    host = host_of("2026-01-31T23:00", 100, tariffs=[NET], default="net")
    while host.world.now_us < to_us(at(end)):
        start_us = host.world.now_us
        host.world.now_us += PERIOD_US
        is_february = start_us < to_us(at("2026-02-28T23:00"))
        host.tell([(0, start_us, 300 if is_february else 0)], EXPORT)
        host.tell([(0, start_us, 200)])
        host.wake()
    return host


def test_credit_of_a_month_is_used_in_the_next_and_in_the_bill_so_far() -> None:
    host = exporting("2026-03-31T22:00")
    # February leaves 672 x 0.1 = 67.2 kWh; March draws 743 x 0.2 = 148.6: 81.4 x 0.30 = 24.42
    assert host.bills() == [("m1", "2026-02-01", 0, "0.00"), ("m1", "2026-03-01", 0, "24.42")]
    assert host.said.outputs[0].value["credit_kwh"] == Decimal("67.2")
    early = exporting("2026-03-15T23:00")
    # 15 x 24 x 0.2 = 72 kWh less 67.2
    assert early.ask("bill_so_far", "m1").bill.total == Decimal("1.44")


def test_late_data_of_a_month_change_the_months_behind_it_too() -> None:
    host = exporting("2026-04-02T00:00")
    host.tell([(0, to_us(at("2026-02-10T12:00")), 10_300)], EXPORT)
    host.world.now_us += PERIOD_US
    host.wake()
    # 10 kWh more were fed in: March costs 3.00 less
    assert host.bills()[2:] == [("m1", "2026-02-01", 1, "0.00"), ("m1", "2026-03-01", 1, "21.42")]
    assert "The bill of the month before changed" in host.findings()[1][1]
    assert host.app.save() == host.app.save()


def test_a_past_of_two_months_is_issued_in_order_in_one_run() -> None:
    host = host_of("2026-01-31T23:00", 70, ("m1", "m2"))
    host.jump(at("2026-04-01T06:00"), [500, 1000])
    assert host.bills() == [
        ("m1", "2026-02-01", 0, "105.80"),
        ("m2", "2026-02-01", 0, "206.60"),
        ("m1", "2026-03-01", 0, "116.45"),
        ("m2", "2026-03-01", 0, "227.90"),
    ]


def test_a_month_before_the_tariff_is_valid_is_not_billed() -> None:
    later = FLAT.replace("zone: Europe/Berlin", "zone: Europe/Berlin\nvalid_from: 2026-03-01")
    host = host_of("2026-01-31T23:00", 70, tariffs=[later])
    host.jump(at("2026-04-01T06:00"), [500])
    assert host.bills() == [("m1", "2026-03-01", 0, "116.45")]
    assert host.findings() == []


def test_a_month_that_the_window_has_lost_is_told_and_still_answered_from_history() -> None:
    host = host_of("2026-01-31T23:00", 140)
    host.run_until(at("2026-03-01T00:00"), [500])
    start = host.world.now_us
    host.world.now_us = to_us(at("2026-05-25T00:00"))  # nobody ran billing for three months
    host.tell([(0, each, 500) for each in range(start, host.world.now_us, PERIOD_US)])
    host.wake()
    assert [name for name, _ in host.findings()] == ["bill_not_issued"]
    assert "March 2026 was not issued" in host.findings()[0][1]
    assert [month for _, month, _, _ in host.bills()] == ["2026-02-01", "2026-04-01"]
    assert host.ask("bill", "m1", month="2026-03").bill.total == Decimal("116.45")


def test_a_rehearsal_over_history_issues_the_same_bills() -> None:
    host = host_of("2026-01-31T23:00", 70)
    host.run_until(at("2026-04-02T00:00"), [500])
    settings = AppSettings(GroupId("g1"), {"tariffs": [FLAT], "default": "flat"})
    end_us = to_us(at("2026-04-02T00:00"))
    history = {
        obis: host.world.any_table(obis, host.world.start_us, end_us, np.array([0]))
        for obis in TariffApp.info.registers
    }
    *_, (_, said) = rehearse(TariffApp(settings), settings, history)
    assert [dict(each.value)["total"] for each in said.outputs] == [
        dict(each.value)["total"] for each in host.said.outputs
    ]
