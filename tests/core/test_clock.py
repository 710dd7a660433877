"""Clocks: microseconds are exact, scaled time is shared, manual time stands still."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metertwin.core.clock import ManualClock, ScaledClock, SystemClock, from_us, to_us
from metertwin.core.errors import InvalidInputError

ORIGIN = datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC)


@given(st.datetimes(timezones=st.just(UTC)))
def test_microseconds_read_back_exactly(moment: datetime) -> None:
    assert from_us(to_us(moment)) == moment


def test_microseconds_of_known_moments() -> None:
    # 2026-01-01 is 56 years of 365 days and 14 leap days after 1970: 20,454 days of 86,400 s.
    assert to_us(datetime(2026, 1, 1, tzinfo=UTC)) == 20_454 * 86_400 * 10**6
    assert to_us(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1


def test_another_zone_means_the_same_moment() -> None:
    east = timezone(timedelta(hours=5, minutes=45))
    assert to_us(datetime(2026, 1, 1, 5, 45, tzinfo=east)) == 20_454 * 86_400 * 10**6


def test_a_time_without_zone_is_refused() -> None:
    naive = datetime.fromisoformat("2026-01-01T00:00:00")
    with pytest.raises(InvalidInputError, match=r"^Time 2026-01-01T00:00:00 has no zone; give it"):
        to_us(naive)


def test_the_system_clock_lies_between_two_looks_at_the_wall_clock() -> None:
    before = datetime.now(UTC)
    now = SystemClock().now()
    assert before <= now <= datetime.now(UTC)
    assert SystemClock().speed_ratio == 1.0
    start_s = time.monotonic()
    assert start_s <= SystemClock().monotonic_s() <= time.monotonic()


def test_scaled_time_is_origin_plus_elapsed_times_speed() -> None:
    start_s = time.monotonic()
    clock = ScaledClock(ORIGIN, start_s - 2.0, speed_ratio=900.0)
    low_s = (time.monotonic() - clock.origin_monotonic_s) * 900.0
    now = clock.now()
    high_s = (time.monotonic() - clock.origin_monotonic_s) * 900.0
    # Two real seconds at 900 are half an hour at least.
    assert low_s >= 1800.0
    assert ORIGIN + timedelta(seconds=low_s) <= now <= ORIGIN + timedelta(seconds=high_s)
    assert start_s <= clock.monotonic_s() <= time.monotonic()


@pytest.mark.parametrize("speed_ratio", [0.0, -1.0, float("nan")])
def test_a_speed_not_above_zero_is_refused(speed_ratio: float) -> None:
    with pytest.raises(InvalidInputError, match=r"is not above 0; give simulated seconds"):
        ScaledClock(ORIGIN, 0.0, speed_ratio)


def test_an_origin_without_zone_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="has no time zone; give it in UTC"):
        ScaledClock(datetime.fromisoformat("2026-01-01T00:00:00"), 0.0, 1.0)


def test_manual_time_moves_only_when_told() -> None:
    clock = ManualClock(ORIGIN)
    assert (clock.now(), clock.monotonic_s()) == (ORIGIN, 0.0)
    clock.advance(1.5)
    assert clock.now() == datetime(2026, 3, 29, 1, 0, 0, 500_000, tzinfo=UTC)
    assert clock.monotonic_s() == 1.5
