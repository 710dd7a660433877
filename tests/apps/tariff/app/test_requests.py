"""What the app answers, by hand."""

from decimal import Decimal

import pytest
from tests.apps.tariff.app.billing_world import TWO_RATE, Host, at, host_of

from metertwin.apps.tariff.app.errors import (
    BillingRequestError,
    ClosedMonthError,
    NoPriceError,
    NotBilledError,
    NoUsageError,
    TopUpConflictError,
    UnknownEditError,
)
from metertwin.core.errors import MeterTwinError

PREPAID = """
id: prepaid
version: 1
name: Paid before
currency: EUR
zone: Europe/Berlin
energy: {periods: {all: {price_per_kwh: 0.50}}}
prepayment: {low_balance: 10, emergency_credit: 5}
"""
REAL_TIME = """
id: spot
version: 1
name: Hourly prices
currency: EUR
zone: Europe/Berlin
energy: {real_time: {buy_adder_per_kwh: 0.10}}
"""
EVENTS = """
id: critical
version: 1
name: Critical peaks
currency: EUR
zone: Europe/Berlin
energy: {periods: {all: {price_per_kwh: 0.20}}}
critical_peak: {price_per_kwh: 1.00, mode: replace, events_per_year_max: 2, hours_per_event_max: 4}
"""


@pytest.fixture
def host() -> Host:
    """A meter at 500 W since 1 February, on 11 March at 01:00 local time."""
    host = host_of("2026-01-31T23:00", 70, terms={"m1": {"tariff": "two-rate"}})
    host.run_until(at("2026-03-11T00:00"), [500])
    return host


def test_the_bill_so_far_has_its_lines_its_age_and_a_projection(host: Host) -> None:
    answer = host.ask("bill_so_far", "m1")
    # Local time is 01:00: 10 days of 8 kWh by day and 4 kWh by night, and an hour of 0.5 kWh:
    # 80 x 0.40 + 40.5 x 0.20 + 5 = 32.00 + 8.10 + 5.00
    assert answer.bill.total == Decimal("45.10")
    assert not answer.bill.is_final
    # the whole month: 248 x 0.40 + 123.5 x 0.20 + 5, as the night of 29 March has an hour less
    assert answer.projected_total == Decimal("128.90")
    assert answer.projected_how == "The rest of the month is taken to be like the last 7 days."
    assert answer.basis.age_s == 0
    assert (answer.basis.tariff, answer.basis.currency) == ("two-rate", "EUR")
    assert all(line.because for line in answer.bill.lines)


def test_bills_of_a_group_are_issued_or_rated_and_summed(host: Host) -> None:
    february = host.ask("bills", month="2026-02")
    # 28 x (8 x 0.40 + 4 x 0.20) + 5
    assert february.totals == {"EUR": Decimal("117.00")}
    assert [(each.meter, each.revision) for each in february.meters] == [("m1", 0)]
    march = host.ask("bills", month="2026-03", with_lines=True)
    assert march.totals == {"EUR": Decimal("45.10")}
    assert march.bills[0].total == Decimal("45.10")
    assert march.meters[0].revision is None


@pytest.mark.parametrize(
    ("month", "text"),
    [
        ("2026-13", "Month 2026-13 is none; write YYYY-MM, for example 2026-03."),
        ("2026-04", "Month 2026-04 has not begun; the running billing month is 2026-03."),
        ("nonsense", "Month nonsense is none; write YYYY-MM, for example 2026-03."),
    ],
)
def test_a_month_that_is_none_or_to_come_is_refused(host: Host, month: str, text: str) -> None:
    with pytest.raises(BillingRequestError) as caught:
        host.ask("bill", "m1", month=month)
    assert str(caught.value) == text


def test_a_month_before_the_first_interval_says_since_when(host: Host) -> None:
    with pytest.raises(NoUsageError, match="There are no intervals") as caught:
        host.ask("bill", "m1", month="2025-12")
    assert str(caught.value) == (
        "There are no intervals of December 2025 of meter m1; its intervals begin on "
        "2026-01-31 23:00 UTC."
    )


def test_the_cheapest_hours_are_told_with_their_saving(host: Host) -> None:
    host.run_until(at("2026-03-11T18:00"), [500])  # 19:00 local time
    answer = host.ask("cheapest_hours", "m1", hours=2, within_h=12, load_w=2000)
    (span,) = answer.spans
    assert span.local_start == "2026-03-11T22:00+01:00"
    # 4 kWh at 0.20 = 0.80; now and at the dearest they cost 0.40 a kWh
    assert (answer.cost_amount, answer.saving_now_amount) == (Decimal("0.80"), Decimal("0.80"))
    assert answer.saving_dearest_per_kwh == Decimal("0.2")
    apart = host.ask("cheapest_hours", "m1", hours=9, within_h=12, contiguous=False)
    # 8 hours from 22:00 to 06:00, and the first of the others
    assert [each.local_start[11:16] for each in apart.spans] == ["19:00", "22:00"]
    with pytest.raises(BillingRequestError, match="5 h within 4 h cannot be looked for"):
        host.ask("cheapest_hours", "m1", hours=5, within_h=4)


def test_the_breakdown_sums_to_the_bills_energy_whatever_it_is_by(host: Host) -> None:
    days = host.ask("usage_breakdown", "m1", start="2026-02-01", end="2026-02-28")
    assert len(days.buckets) == 28
    # 8 x 0.40 + 4 x 0.20 a day
    assert {each.cost_amount for each in days.buckets} == {Decimal("4.0000")}
    for by, count in (("hour", 672), ("period", 2), ("weekday", 7)):
        answer = host.ask("usage_breakdown", "m1", start="2026-02-01", end="2026-02-28", by=by)
        assert len(answer.buckets) == count
        assert (answer.import_kwh, answer.cost_amount) == (336, 112)


def test_the_buckets_of_a_breakdown_sum_to_the_lines_of_the_bill() -> None:
    thirds = TWO_RATE.replace("0.40", "0.3331").replace("0.20", "0.1117")
    host = host_of("2026-01-31T23:00", 40, tariffs=[thirds], default="two-rate")
    host.run_until(at("2026-03-01T05:00"), [777])
    # 448 h x 0.777 x 0.3331 = 115.952..., 115.95; 224 h x 0.777 x 0.1117 = 19.441..., 19.44.
    # An hour of day costs 115.95 / 448 = 0.25881..., so hours rounded apart would lack a cent.
    for by in ("hour", "day", "period", "weekday"):
        answer = host.ask("usage_breakdown", "m1", start="2026-02-01", end="2026-02-28", by=by)
        assert answer.cost_amount == Decimal("135.39")
        assert sum(each.cost_amount for each in answer.buckets) == Decimal("135.39")


def test_both_days_of_a_summer_time_change_have_their_hours() -> None:
    host = host_of("2026-02-28T23:00", 40)
    host.run_until(at("2026-03-30T22:00"), [500])
    spring = host.ask("usage_breakdown", "m1", start="2026-03-29", end="2026-03-29", by="hour")
    assert [each.label for each in spring.buckets][1:3] == [
        "2026-03-29T01:00+01:00",
        "2026-03-29T03:00+02:00",
    ]
    assert len(spring.buckets) == 23


def test_tariffs_are_compared_on_the_meters_own_energy(host: Host) -> None:
    answer = host.ask("what_if_tariff", "m1", start="2026-02", end="2026-02")
    # flat: 336 x 0.30 + 5 = 105.80; two-rate: 117.00
    assert (answer.own, answer.cheapest) == ("two-rate", "flat")
    assert answer.saving_amount == Decimal("11.20")
    assert [str(each.total) for each in answer.tariffs] == ["105.80", "117.00"]
    assert answer.tariffs[0].why[0] == "Energy all: 100.80 EUR more."
    cheaper = TWO_RATE.replace("0.40", "0.10").replace("two-rate", "dream")
    dreamt = host.ask(
        "what_if_tariff", "m1", tariffs=[_plain(cheaper)], start="2025-03", end="2026-02"
    )
    assert dreamt.cheapest == "dream"
    assert dreamt.tariffs[0].basis.notes[0].startswith("Compared on 1 months")


def test_the_tariff_in_force_says_when_it_changes_next(host: Host) -> None:
    answer = host.ask("tariff", "m1")
    assert (answer.period, answer.next_period) == ("night", "day")
    assert answer.changes_at == at("2026-03-11T05:00")
    assert answer.price_per_kwh == Decimal("0.20")
    listed = host.ask("tariffs")
    assert [(each.tariff, each.meter_count) for each in listed] == [("flat", 0), ("two-rate", 1)]


def test_an_edit_changes_an_issued_bill_at_once_and_a_withdrawal_changes_it_back(
    host: Host,
) -> None:
    edit = {"interval_start": "2026-02-10T12:00:00Z", "length_s": 3600, "value": "1500"}
    made = host.ask("edit_intervals", "m1", edits=[edit], by="Ada", reason="display photographed")
    # 1 kWh more by day: 0.40
    assert [str(change.difference) for change in made.changes] == ["0.40"]
    assert made.changes[0].reasons == ["Edit: Ada: display photographed."]
    assert [str(each.total) for each in host.ask("bill", "m1", month="2026-02").revisions] == [
        "117.00",
        "117.40",
    ]
    back = host.ask("withdraw_edit", "m1", id=made.ids[0], by="Bob", reason="wrong meter")
    assert back.changes[0].reasons == ["Edit withdrawn: Ada: display photographed."]
    (listed,) = host.ask("edits", "m1")
    assert (listed.by, listed.withdrawn_by) == ("Ada", "Bob")
    with pytest.raises(UnknownEditError, match="no edit that still counts e000001"):
        host.ask("withdraw_edit", "m1", id=made.ids[0], by="Bob", reason="again")


def test_edits_that_do_not_fit_are_refused(host: Host) -> None:
    for start, length_s, kind in (
        ("2026-02-28T22:00:00Z", 7200, BillingRequestError),  # over the end of the month
        ("2026-03-10T23:00:00Z", 7200, BillingRequestError),  # into the future
        ("2026-01-10T12:00:00Z", 3600, ClosedMonthError),
        ("2026-02-10T12:30:00Z", 3600, MeterTwinError),  # off the grid
    ):
        edit = {"interval_start": start, "length_s": length_s, "value": "1"}
        with pytest.raises(kind):
            host.ask("edit_intervals", "m1", edits=[edit], by="Ada", reason="why")
    assert host.ask("edits", "m1") == []


def test_a_prepaid_balance_falls_warns_once_and_takes_each_payment_once() -> None:
    host = host_of(
        "2026-01-31T23:00",
        70,
        tariffs=[PREPAID],
        default="prepaid",
        terms={"m1": {"prepaid": True}},
    )
    host.run_until(at("2026-02-01T01:00"), [1000])
    for _ in range(2):
        host.ask("top_up", "m1", id="p1", amount="20")
    with pytest.raises(TopUpConflictError):
        host.ask("top_up", "m1", id="p1", amount="30")
    host.run_until(at("2026-02-01T19:00"), [1000])
    # 20 hours at 0.50 = 10.00: not below 10 yet
    assert host.ask("balance", "m1").balance == Decimal("10.00")
    assert [name for name, _ in host.findings()] == ["balance_low"]  # before the payment
    host.run_until(at("2026-02-02T18:00"), [1000])
    answer = host.ask("balance", "m1")
    assert (answer.balance, answer.standing) == (Decimal("-1.50"), "low")
    host.run_until(at("2026-02-03T12:00"), [1000])
    assert [name for name, _ in host.findings()][1:] == ["balance_low", "credit_exhausted"]
    host.ask("top_up", "m1", id="p2", amount="1000")
    host.run_until(at("2026-03-01T23:00"), [1000])
    # 672 h of February and 24 h of March at 0.50
    assert host.ask("balance", "m1").balance == Decimal(1020) - Decimal("348.00")
    assert host.ask("balance", "m1").left_days == pytest.approx(56.07, abs=0.05)


def test_real_time_prices_make_the_bill_and_the_cheapest_hours() -> None:
    host = host_of("2026-01-31T23:00", 40, tariffs=[REAL_TIME], default="spot")
    host.run_until(at("2026-02-01T05:00"), [1000])
    with pytest.raises(MeterTwinError, match="price"):
        host.ask("bill_so_far", "m1")
    prices = ["0.10", "0.20"] * 12
    host.ask("set_prices", tariff="spot", start="2026-01-31T23:00:00Z", prices_per_kwh=prices)
    answer = host.ask("bill_so_far", "m1")
    # 6 kWh: 3 x (0.10 + 0.10) + 3 x (0.20 + 0.10)
    assert answer.bill.total == Decimal("1.50")
    assert answer.projected_total is None
    cheapest = host.ask("cheapest_hours", "m1", hours=1, within_h=6)
    assert cheapest.price_per_kwh == Decimal("0.2")
    assert cheapest.spans[0].start == at("2026-02-01T05:00")
    with pytest.raises(NoPriceError, match="without a gap"):
        host.ask("set_prices", tariff="spot", start="2026-02-05T00:00:00Z", prices_per_kwh=["1"])


def test_critical_peaks_are_called_before_within_limits_and_billed() -> None:
    host = host_of("2026-01-31T23:00", 40, tariffs=[EVENTS], default="critical")
    host.run_until(at("2026-02-01T05:00"), [1000])
    event = {"tariff": "critical", "start": "2026-02-01T06:00:00Z", "end": "2026-02-01T08:00:00Z"}
    assert host.ask("call_event", **event).is_new
    assert not host.ask("call_event", **event).is_new
    cheapest = host.ask("cheapest_hours", "m1", hours=2, within_h=6)
    # the dearest two hours are those of the event, at 1.00 instead of 0.20
    assert cheapest.spans[0].start == at("2026-02-01T08:00")
    assert cheapest.saving_dearest_per_kwh == Decimal("0.8")
    host.run_until(at("2026-02-01T09:00"), [1000])
    # 8 h at 0.20 and 2 h at 1.00
    assert host.ask("bill_so_far", "m1").bill.total == Decimal("3.60")
    refused = (
        ({"start": "2026-02-01T06:30:00Z", "end": "2026-02-01T08:00:00Z"}, "before it begins"),
        ({"start": "2026-02-02T06:00:00Z", "end": "2026-02-02T11:00:00Z"}, "lasts 5 h"),
    )
    for span, text in refused:
        with pytest.raises(BillingRequestError, match=text):
            host.ask("call_event", tariff="critical", **span)
    host.ask(
        "call_event", tariff="critical", start="2026-02-03T06:00:00Z", end="2026-02-03T07:00:00Z"
    )
    with pytest.raises(BillingRequestError, match="2 critical peaks were called"):
        host.ask(
            "call_event",
            tariff="critical",
            start="2026-02-04T06:00:00Z",
            end="2026-02-04T07:00:00Z",
        )


def test_a_meter_without_a_tariff_is_told_so() -> None:
    host = host_of(
        "2026-01-31T23:00", 40, ("m1", "m2"), default="", terms={"m1": {"tariff": "flat"}}
    )
    host.run_until(at("2026-02-01T05:00"), [1000, 1000])
    with pytest.raises(NotBilledError, match="Meter m2 has no tariff"):
        host.ask("bill_so_far", "m2")
    assert host.ask("bills", month="2026-02").meters[1].note == "It has no tariff."


def _plain(text: str) -> dict[str, object]:
    from metertwin.apps.tariff.documents import parse_tariff, tariff_to_plain  # noqa: PLC0415

    return tariff_to_plain(parse_tariff(text, "test"))
