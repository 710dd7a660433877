"""When bills are issued and rated again, and what they say."""

from tests.apps.tariff.app.billing_world import PERIOD_US, at, host_of

from metertwin.core.clock import to_us


def test_a_complete_month_is_issued_with_the_first_run_after_its_end() -> None:
    host = host_of("2026-01-31T23:00", 70)
    host.run_until(at("2026-02-28T23:00"), [500])
    # February: 28 x 24 h x 0.5 kWh = 336 kWh at 0.30 = 100.80, and 5.00 basic charge
    assert host.bills() == [("m1", "2026-02-01", 0, "105.80")]
    assert host.said.findings == []


def test_a_month_with_a_gap_waits_three_days_and_is_issued_with_an_estimate() -> None:
    host = host_of("2026-01-31T23:00", 70)
    gap = frozenset(range(to_us(at("2026-02-10T12:00")), to_us(at("2026-02-10T15:00")), PERIOD_US))
    host.run_until(at("2026-03-03T22:00"), [500], gap)
    assert host.bills() == []
    host.run_until(at("2026-03-03T23:00"), [500])
    assert host.bills() == [("m1", "2026-02-01", 0, "105.80")]
    (bill,) = host.said.outputs
    assert bill.value["estimated_count"] == 3
    assert "estimated" in " ".join(bill.value["notes"])  # type: ignore[arg-type]


def test_late_intervals_change_the_bill_and_the_reason_says_which_and_when() -> None:
    host = host_of("2026-01-31T23:00", 70)
    gap = frozenset(range(to_us(at("2026-02-10T12:00")), to_us(at("2026-02-10T15:00")), PERIOD_US))
    host.run_until(at("2026-03-05T00:00"), [500], gap)
    host.tell([(0, start_us, 2500) for start_us in sorted(gap)])
    host.run_until(at("2026-03-05T01:00"), [500])
    # 3 intervals of 2.5 instead of 0.5 kWh: 6 kWh x 0.30 = 1.80 more
    assert host.bills()[1:] == [("m1", "2026-02-01", 1, "107.60")]
    assert host.findings() == [
        (
            "bill_changed",
            "February 2026: 107.60 EUR instead of 105.80. 3 intervals of 10 February came late.",
        )
    ]
    change = host.said.outputs[1].value["change"]
    assert str(change["difference"]) == "1.80"  # type: ignore[index]
    answer = host.ask("bill", "m1", month="2026-02")
    assert [str(each.total) for each in answer.revisions] == ["105.80", "107.60"]
    assert answer.is_issued
    host.run_until(at("2026-03-06T00:00"), [500])
    assert len(host.bills()) == 2


def test_a_corrected_interval_changes_the_bill_once() -> None:
    host = host_of("2026-01-31T23:00", 70)
    host.run_until(at("2026-03-05T00:00"), [500])
    host.tell([(0, to_us(at("2026-02-10T12:00")), 1500)])
    host.run_until(at("2026-03-05T02:00"), [500])
    assert host.bills()[1:] == [("m1", "2026-02-01", 1, "106.10")]
    assert "1 interval of 10 February was corrected by the meter." in host.findings()[0][1]
    host.tell([(0, to_us(at("2026-02-10T12:00")), 1500)])
    host.run_until(at("2026-03-05T04:00"), [500])
    assert len(host.bills()) == 2


def test_a_bill_with_a_value_that_is_hardly_true_is_told_once() -> None:
    host = host_of("2026-01-31T23:00", 70)
    host.run_until(at("2026-02-15T12:00"), [500])
    host.run_until(at("2026-02-15T13:00"), [500_000])
    host.run_until(at("2026-03-01T05:00"), [500])
    (finding,) = host.findings()
    assert finding[0] == "bill_doubtful"
    assert finding[1].startswith("February 2026 is billed with what is hardly true. 2026-02-15T13")
    assert "500000 Wh stands out" in finding[1]
    # Late data of another day have the month rated again: nothing new is hardly true.
    host.tell([(0, to_us(at("2026-02-20T12:00")), 900)])
    host.run_until(at("2026-03-01T07:00"), [500])
    assert [name for name, _ in host.findings()] == ["bill_doubtful", "bill_changed"]
    edit = {"interval_start": "2026-02-15T12:00:00Z", "length_s": 3600, "value": "500"}
    host.ask("edit_intervals", "m1", edits=[edit], by="Ada", reason="display photographed")
    # 672 x 0.5 x 0.30 + 5, and 0.4 x 0.30 more on the 20th
    assert host.bills()[-1] == ("m1", "2026-02-01", 2, "105.92")
    assert [name for name, _ in host.findings()].count("bill_doubtful") == 1


def test_summer_time_months_have_743_and_745_hours() -> None:
    spring = host_of("2026-02-28T23:00", 40)
    spring.run_until(at("2026-03-31T22:00"), [1000])
    assert spring.bills() == [("m1", "2026-03-01", 0, "227.90")]  # 743 x 0.30 + 5
    autumn = host_of("2026-09-30T22:00", 40)
    autumn.run_until(at("2026-10-31T23:00"), [1000])
    assert autumn.bills() == [("m1", "2026-10-01", 0, "228.50")]  # 745 x 0.30 + 5


def test_a_change_of_tariff_bills_each_month_by_its_own() -> None:
    meters = {"m1": {"tariff": [{"id": "flat"}, {"id": "two-rate", "from": "2026-03-01"}]}}
    host = host_of("2026-01-31T23:00", 70, ("m1", "m2"), terms=meters)
    host.run_until(at("2026-03-31T22:00"), [500, 500])
    # March by night 22-06: 31 x 8 h less the hour of 29 March = 247 h, by day 31 x 16 = 496 h
    # 123.5 x 0.20 + 248 x 0.40 + 5 = 24.70 + 99.20 + 5
    assert sorted(host.bills()) == [
        ("m1", "2026-02-01", 0, "105.80"),
        ("m1", "2026-03-01", 0, "128.90"),
        ("m2", "2026-02-01", 0, "105.80"),
        ("m2", "2026-03-01", 0, "116.45"),
    ]


def test_a_meter_that_begins_within_a_month_is_billed_from_then_on() -> None:
    host = host_of("2026-01-31T23:00", 70)
    host.world.now_us = to_us(at("2026-02-14T23:00"))
    host.run_until(at("2026-03-04T00:00"), [1000])
    # 14 days x 24 kWh x 0.30 + 5 = 105.80; what was before is no usage and no gap
    (bill,) = host.said.outputs
    assert str(bill.value["total"]) == "105.80"
    assert (bill.value["missing_count"], bill.value["estimated_count"]) == (0, 0)
    assert "2026-02-15T00:00+01:00" in str(bill.value["notes"])


def test_energy_that_only_moves_within_a_period_leaves_the_bill_as_it_was() -> None:
    host = host_of("2026-01-31T23:00", 70)
    host.run_until(at("2026-03-05T00:00"), [500])
    host.tell([(0, to_us(at("2026-02-10T12:00")), 600), (0, to_us(at("2026-02-10T13:00")), 400)])
    host.run_until(at("2026-03-05T02:00"), [500])
    assert len(host.bills()) == 1
    assert host.findings() == []


def test_a_gap_at_the_start_of_a_month_is_estimated_from_the_days_before() -> None:
    host = host_of("2026-01-31T23:00", 70)
    first, end = to_us(at("2026-02-28T23:00")), to_us(at("2026-03-01T11:00"))
    host.run_until(at("2026-03-01T23:00"), [500], frozenset(range(first, end, PERIOD_US)))
    answer = host.ask("bill_so_far", "m1")
    assert (answer.basis.estimated_count, answer.basis.missing_count) == (12, 0)
    assert str(answer.bill.total) == "8.60"  # 24 h x 0.5 kWh x 0.30 + 5
