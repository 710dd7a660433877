"""The app's state cut into shares and joined: edits, payments, prices and events go along."""

from decimal import Decimal

import pytest
from tests.apps.tariff.app.billing_world import FLAT, Host, at, host_of
from tests.apps.tariff.app.test_requests import EVENTS, PREPAID

from metertwin.apps.app import AppStateError, Divisible
from metertwin.core.ids import MeterId

METERS = ("m1", "m2", "m3")


def _made(meters: tuple[str, ...] = METERS) -> Host:
    terms = {"m2": {"tariff": "prepaid", "prepaid": True}, "m3": {"tariff": "critical"}}
    host = host_of(
        *("2026-01-31T23:00", 70, meters),
        tariffs=[FLAT, PREPAID, EVENTS],
        terms={meter: each for meter, each in terms.items() if meter in meters},
    )
    host.run_until(at("2026-03-02T05:00"), [500] * len(meters))
    return host


def _with_requests(host: Host) -> Host:
    edit = {"interval_start": "2026-02-10T12:00:00Z", "length_s": 3600, "value": "1500"}
    event = {"start": "2026-03-02T10:00:00Z", "end": "2026-03-02T12:00:00Z"}
    if "m1" in host.world.meters:
        host.ask("edit_intervals", "m1", edits=[edit], by="Ada", reason="photographed")
    if "m2" in host.world.meters:
        host.ask("top_up", "m2", amount="20", id="p1")
    host.ask("call_event", tariff="critical", **event)
    return host


def _share(host: Host, *meters: str) -> bytes:
    return host.app.share([MeterId(meter) for meter in meters])


def test_the_shares_joined_in_any_order_are_the_whole() -> None:
    host = _with_requests(_made())
    assert isinstance(host.app, Divisible)
    parts = [_share(host, "m1", "m3"), _share(host, "m2")]
    assert host.app.join(parts) == host.app.join(parts[::-1]) == host.app.save()
    assert host.app.join(parts[:1]) == parts[0]


def test_a_share_answers_as_the_whole_did_and_what_is_done_in_it_stays() -> None:
    host = _with_requests(_made())
    purse, bill = host.ask("balance", "m2"), host.ask("bill_so_far", "m3")
    share = _with_requests(_made(("m2", "m3")))
    share.app.restore(_share(host, "m2", "m3"))
    assert share.ask("balance", "m2") == purse
    assert share.ask("bill_so_far", "m3") == bill
    share.ask("top_up", "m2", amount="5", id="p2")
    host.app.restore(host.app.join([_share(host, "m1"), share.app.save()]))
    assert host.ask("balance", "m2").topped_up_amount == Decimal(25)
    assert len(host.ask("edits", "m1")) == 1


def test_what_one_share_was_not_told_it_learns_and_rates_again() -> None:
    told, whole = _made(), _made()
    one, other = _share(told, "m1", "m2"), _share(told, "m3")
    span = {"start": "2026-03-02T10:00:00Z", "end": "2026-03-02T12:00:00Z"}
    for host in (told, whole):
        host.ask("call_event", tariff="critical", **span)
    # m3's share did not hear of the event.
    told.app.restore(told.app.join([_share(told, "m1", "m2"), other]))
    for host in (told, whole):
        host.run_until(at("2026-04-02T05:00"), [500] * 3)
    assert told.bills() == whole.bills()
    assert one != _share(told, "m1", "m2")


def test_a_state_of_another_version_is_not_joined() -> None:
    host = _made()
    with pytest.raises(AppStateError, match="has version 9"):
        host.app.join([host.app.save(), b"\x92\x09\xc0"])
