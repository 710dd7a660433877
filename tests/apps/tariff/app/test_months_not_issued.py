"""Months that were not issued: what the months after them make of it, and what is told."""

from datetime import date
from decimal import Decimal

import pytest
from tests.apps.tariff.app.billing_world import FLAT, Host, at, host_of

from metertwin.apps.tariff.app.notes import counted_from
from metertwin.apps.tariff.documents import parse_tariff

LADDER = """
id: ladder
version: 1
name: Dearer from 2000 kWh a year on
currency: EUR
zone: Europe/Berlin
energy:
  tier_rule: chronological
  tier_scope: year
  periods: {all: {blocks: [{up_to_kwh: 2000, price_per_kwh: 0.20}, {price_per_kwh: 0.90}]}}
"""
PREPAID = FLAT.replace("id: flat", "id: prepaid") + "prepayment: {low_balance: 5}\n"


def away_over_the_year(tariff: str, terms: dict[str, object], load_wh: int) -> Host:
    """Let a meter be billed in November, and again from 20 March on, when January is lost."""
    host = host_of("2025-10-31T23:00", 150, tariffs=[tariff], terms={"m1": terms}, default="")
    host.run_until(at("2025-12-05T00:00"), [load_wh])
    host.jump(at("2026-03-20T00:00"), [load_wh // 4])
    assert [month for _, month, _, _ in host.bills()] == ["2025-11-01", "2026-02-01"]
    return host


def test_a_yearly_ladder_begins_again_and_the_bill_names_the_month_it_lacks() -> None:
    host = away_over_the_year(LADDER, {"tariff": "ladder"}, 4000)
    # February's 672 kWh are the year's first: 672 x 0.20
    assert host.bills()[1] == ("m1", "2026-02-01", 0, "134.40")
    note = (
        "Not billed here, and empty in credits, earlier demand peaks and sums of the year: "
        "January 2026."
    )
    assert host.said.outputs[1].value["notes"] == [note]
    so_far = host.ask("bill_so_far", "m1")
    assert so_far.basis.notes == [note]
    # 19 days and an hour at 1 kW: 457 kWh, 1129 so far in the year; 457 x 0.20
    assert so_far.bill.total == Decimal("91.40")


def test_a_prepaid_balance_names_the_months_that_are_not_charged() -> None:
    host = away_over_the_year(PREPAID, {"tariff": "prepaid", "prepaid": True}, 2000)
    balance = host.ask("balance", "m1")
    # The account was opened in November: 720 x 2 x 0.30 + 5 = 437.00;
    # February 672 x 0.5 x 0.30 + 5 = 105.80; March so far 457 x 0.5 x 0.30 + 5 = 73.55
    assert balance.charged_amount == Decimal("616.35")
    assert balance.basis.notes[0] == (
        "Not issued and not charged: December 2025 and January 2026; `bill` says what it comes to."
    )
    # One finding, as several of one meter, name and moment would be taken for the same.
    (told,) = [detail for name, detail in host.findings() if name == "bill_not_issued"]
    assert told.startswith("December 2025 was not issued: ")
    assert " January 2026 was not issued: " in told
    assert told.count("The prepaid account is not charged for it.") == 2


def test_since_when_is_counted_is_known_after_its_bill_is_kept_no_longer() -> None:
    host = host_of("2026-01-31T23:00", 250, tariffs=[LADDER], default="ladder")
    for month in range(3, 10):
        host.jump(at(f"2026-{month:02}-05T00:00"), [500])
    last = host.said.outputs[-1].value
    assert last["month"] == "2026-08-01"
    assert last["notes"] == [
        (
            "Credits, earlier demand peaks and sums of the year are counted from February 2026 "
            "on, when billing began here."
        )
    ]


@pytest.mark.parametrize(
    ("month", "told_count"), [(date(2026, 1, 1), 0), (date(2026, 3, 1), 1), (date(2026, 4, 1), 1)]
)
def test_a_month_is_named_where_it_would_have_counted(month: date, told_count: int) -> None:
    tariff = parse_tariff(LADDER, "test")
    skipped = [date(2025, 12, 1), date(2026, 2, 1)]
    assert len(counted_from(tariff, month, date(2025, 5, 1), skipped)) == told_count


def test_a_reason_that_differs_in_a_date_alone_is_told_once() -> None:
    later = FLAT.replace("zone: Europe/Berlin", "zone: Europe/Berlin\nvalid_from: 2026-03-01")
    host = host_of("2026-01-31T23:00", 70, tariffs=[later])
    host.run_until(at("2026-02-20T00:00"), [500])
    (finding,) = host.findings()
    assert finding[0] == "bill_refused"
    assert "No version of tariff flat is valid on 2026-02-01" in finding[1]
    host.run_until(at("2026-04-01T06:00"), [500])
    assert host.bills() == [("m1", "2026-03-01", 0, "116.45")]
    assert host.findings() == [finding]
