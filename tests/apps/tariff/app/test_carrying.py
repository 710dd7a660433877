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
    (changed,) = [detail for name, detail in host.findings() if name == "bill_changed"]
    assert changed.startswith("February 2026: ")
    assert " March 2026: 21.42 EUR instead of 24.42. The bill of the month before" in changed
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


def test_a_credit_year_is_counted_from_when_its_tariff_is_valid() -> None:
    later = NET.replace("zone: Europe/Berlin", "zone: Europe/Berlin\nvalid_from: 2026-03-01")
    terms = {"m2": {"tariff": "flat"}}
    host = host_of(
        "2025-12-31T23:00", 170, ["m1", "m2"], tariffs=[later, FLAT], default="net", terms=terms
    )
    host.world.window_days = 30
    host.jump(at("2026-06-18T00:00"), [500, 500])
    answer = host.ask("bill", "m1", month="2026-04")
    # 720 x 0.5 x 0.30
    assert answer.bill.total == Decimal("108.00")
    (note,) = answer.basis.notes
    assert note.endswith("are counted from March 2026 on, when billing began here.")
    # m2: 744 x 0.5 x 0.30 + 5
    january = host.ask("bills", month="2026-01")
    assert [each.total for each in january.meters] == [None, Decimal("116.60")]
    assert january.meters[0].note.startswith("No version of tariff net is valid on 2026-01-01")
    april = host.ask("bills", month="2026-04")
    assert [each.total for each in april.meters] == [Decimal("108.00"), Decimal("113.00")]


def test_a_meter_whose_tariff_is_yet_to_begin_leaves_the_groups_bills_alone() -> None:
    later = FLAT.replace("id: flat", "id: later\nvalid_from: 2026-09-01")
    terms = {"m1": {"tariff": "later"}}
    host = host_of("2026-01-31T23:00", 70, ["m1", "m2"], tariffs=[later, FLAT], terms=terms)
    host.run_until(at("2026-03-01T06:00"), [500, 500])
    answer = host.ask("bills", month="2026-02")
    assert answer.totals == {"EUR": Decimal("105.80")}
    assert answer.meters[0].note.startswith("No version of tariff later is valid on 2026-03-01")
