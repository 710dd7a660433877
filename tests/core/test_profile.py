"""Captures on the grid, and what is missing of a range."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metertwin.core.profile import ProfileGridError, align_captures, completeness

S = 10**6
QUARTER_US = 900 * S


def test_a_capture_closes_the_interval_before_it() -> None:
    aligned = align_captures(np.array([10 * QUARTER_US]), 900)
    assert aligned.interval_start_us.tolist() == [9 * QUARTER_US]
    assert aligned.is_on_grid.tolist() == [True]


def test_a_capture_seconds_off_is_taken_further_off_it_is_marked() -> None:
    # 5 s late is the tolerance; 6 s late and 7 minutes early are not on the grid.
    captures = np.array([5 * S, 6 * S, -5 * S, QUARTER_US - 420 * S]) + 4 * QUARTER_US
    aligned = align_captures(captures, 900)
    assert aligned.deviation_us.tolist() == [5 * S, 6 * S, -5 * S, -420 * S]
    assert aligned.is_on_grid.tolist() == [True, False, True, False]
    assert (aligned.interval_start_us // QUARTER_US).tolist() == [3, 3, 3, 4]


def test_missing_intervals_are_named_and_joined_to_ranges() -> None:
    # Captures close quarters 0, 3 and 4 of six; 1, 2 and 5 are missing.
    captures = np.array([1, 4, 5, 5, 40, -3]) * QUARTER_US
    found = completeness(
        np.zeros(6, np.int64),
        captures,
        series_count=2,
        period_s=900,
        start_us=0,
        end_us=6 * QUARTER_US,
    )
    assert found.is_present[0].tolist() == [True, False, False, True, True, False]
    assert (found.missing_start_us(0) // QUARTER_US).tolist() == [1, 2, 5]
    assert found.missing_ranges_us(0) == [
        (QUARTER_US, 3 * QUARTER_US),
        (5 * QUARTER_US, 6 * QUARTER_US),
    ]
    assert found.missing_ranges_us(1) == [(0, 6 * QUARTER_US)]
    assert found.present_ratio().tolist() == [0.5, 0.0]


def test_an_empty_range_is_complete() -> None:
    found = completeness(
        np.zeros(0, np.int64),
        np.zeros(0, np.int64),
        series_count=1,
        period_s=900,
        start_us=QUARTER_US,
        end_us=QUARTER_US,
    )
    assert found.present_ratio().tolist() == [1.0]
    assert found.missing_ranges_us(0) == []


@settings(max_examples=150, deadline=None)
@given(
    captures=st.lists(st.tuples(st.integers(0, 2), st.integers(-3, 15), st.integers(-9, 9))),
    first=st.integers(-2, 5),
    length=st.integers(0, 10),
)
def test_present_and_missing_are_the_grid_by_sets(
    captures: list[tuple[int, int, int]], first: int, length: int
) -> None:
    table = np.array(captures, np.int64).reshape(-1, 3)
    found = completeness(
        table[:, 0],
        table[:, 1] * QUARTER_US + table[:, 2] * S,
        series_count=3,
        period_s=900,
        start_us=first * QUARTER_US,
        end_us=(first + length) * QUARTER_US,
    )
    for series in range(3):
        closed = {point - 1 for s, point, off in captures if s == series and abs(off) <= 5}
        missing = [slot for slot in range(first, first + length) if slot not in closed]
        assert (found.missing_start_us(series) // QUARTER_US).tolist() == missing
        ranges = found.missing_ranges_us(series)
        assert [
            slot for start, end in ranges for slot in range(start // QUARTER_US, end // QUARTER_US)
        ] == missing
        assert len(ranges) == sum(slot - 1 not in missing for slot in missing)


def test_a_period_of_nothing_is_refused() -> None:
    with pytest.raises(ProfileGridError, match=r"^Capture period 0 s is not above 0; a register"):
        align_captures(np.zeros(1, np.int64), 0)


@pytest.mark.parametrize(("start_us", "end_us"), [(QUARTER_US, 0), (1, QUARTER_US), (0, 1)])
def test_a_range_off_the_grid_is_refused(start_us: int, end_us: int) -> None:
    with pytest.raises(ProfileGridError, match=r"is reversed or off the grid of 900 s; begin"):
        completeness(
            np.zeros(0, np.int64),
            np.zeros(0, np.int64),
            series_count=1,
            period_s=900,
            start_us=start_us,
            end_us=end_us,
        )
