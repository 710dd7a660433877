"""Laws: batches may be cut anyhow, a state taken at any moment has the same future."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.apps.tariff.app.billing_world import HOUR_US, PERIOD_US, Host, at, host_of

from metertwin.apps.app import AppSettings, AppStateError
from metertwin.apps.tariff.app import TariffApp
from metertwin.core.clock import to_us
from metertwin.core.ids import GroupId, MeterId

START = to_us(at("2026-01-31T23:00"))
MONTH_HOURS = 672

hours = st.integers(0, MONTH_HOURS + 40)
late = st.lists(
    st.tuples(st.integers(1, 160), st.integers(0, 1), hours, st.integers(0, 3000)), max_size=12
)


def started(meters: tuple[str, ...] = ("m1", "m2")) -> Host:
    """Return a host on 1 March with a February of gaps."""
    host = host_of("2026-01-31T23:00", 60, meters)
    host.world.now_us = to_us(at("2026-02-28T23:00"))
    host.tell(
        [
            (row, START + n * PERIOD_US, 300 + 7 * (n % 24))
            for n in range(MONTH_HOURS)
            for row in range(len(meters))
            if (n + row) % 97
        ]
    )
    host.wake()
    return host


def play(
    host: Host, told: list[Any], sizes: list[int], save_at: int = -1, *, is_cut: bool = False
) -> Host:
    """Let 170 hours pass, give what comes in batches of these sizes, and look at the end.

    At one hour the state goes to an app made anew, perhaps cut into a share for each meter between.
    """
    for hour in range(1, 171):
        host.world.now_us += HOUR_US
        now = [(row, START + n * PERIOD_US, wh) for h, row, n, wh in told if h == hour]
        now = list({(row, at_us): (row, at_us, wh) for row, at_us, wh in now}.values())
        place = 0
        for size in [*sizes, len(now)]:
            host.tell(now[place : place + size])
            place += size
        host.wake()
        if hour == save_at:
            octets = host.app.save()
            if is_cut:
                octets = host.app.join([host.app.share([each]) for each in host.world.meters])
                assert octets == host.app.save()
            host.app = TariffApp(
                AppSettings(
                    GroupId("g1"),
                    {"tariffs": host_config(), "default": "flat", "vee": {"flat_hours": None}},
                )
            )
            host.app.restore(octets)
            assert host.app.save() == octets
    return host


def host_config() -> list[str]:
    from tests.apps.tariff.app.billing_world import FLAT, TWO_RATE  # noqa: PLC0415

    return [FLAT, TWO_RATE]


@settings(max_examples=15, deadline=None)
@given(told=late, sizes=st.lists(st.integers(0, 3), max_size=4))
def test_what_is_issued_does_not_depend_on_how_batches_were_cut(
    told: list[Any], sizes: list[int]
) -> None:
    whole, cut = play(started(), told, []), play(started(), told, sizes)
    assert whole.said == cut.said
    assert whole.app.save() == cut.app.save()


@settings(max_examples=15, deadline=None)
@given(told=late, save_at=st.integers(1, 170))
def test_a_state_taken_at_any_moment_has_the_same_future(told: list[Any], save_at: int) -> None:
    through, restored = play(started(), told, []), play(started(), told, [], save_at)
    assert through.said == restored.said
    assert through.app.save() == restored.app.save()


@settings(max_examples=15, deadline=None)
@given(told=late, save_at=st.integers(1, 170))
def test_a_state_cut_and_joined_at_any_moment_has_the_same_future(
    told: list[Any], save_at: int
) -> None:
    through, cut = play(started(), told, []), play(started(), told, [], save_at, is_cut=True)
    assert through.said == cut.said
    assert through.app.save() == cut.app.save()


@settings(max_examples=15, deadline=None)
@given(told=late)
def test_a_share_is_as_if_the_group_had_been_its_meters_only(told: list[Any]) -> None:
    both = play(started(), told, [])
    alone = play(started(("m1",)), [each for each in told if each[1] == 0], [])
    assert both.app.share([MeterId("m1")]) == alone.app.save()


@settings(max_examples=15, deadline=None)
@given(told=late)
def test_no_bill_is_issued_twice_with_the_same_content(told: list[Any]) -> None:
    host = play(started(), told, [])
    issued: dict[str, list[dict[str, Any]]] = {}
    for output in host.said.outputs:
        value = dict(output.value)
        for name in ("revision", "change", "notes", "usage_digest"):
            value.pop(name)
        before = issued.setdefault(str(output.meter), [])
        assert not before or before[-1] != value
        assert output.revision == len(before)
        before.append(value)


@given(octets=st.binary(max_size=60))
def test_no_bytes_break_restoring(octets: bytes) -> None:
    host = host_of("2026-01-31T23:00", 3)
    with pytest.raises(AppStateError):
        host.app.restore(octets)


def test_a_state_of_another_version_is_refused_with_both_versions() -> None:
    host = host_of("2026-01-31T23:00", 3)
    octets = bytearray(host.app.save())
    octets[1] = 9  # the version stands behind the tuple's head
    with pytest.raises(AppStateError, match="has version 9, this one reads version 1"):
        host.app.restore(bytes(octets))
