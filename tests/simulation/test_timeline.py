import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metertwin.simulation.errors import SimulationConfigError
from metertwin.simulation.timeline import Timeline, step_for_speed

DIVISORS = [n for n in range(1, 901) if 900 % n == 0]


@given(
    st.sampled_from(DIVISORS),
    st.integers(1, 300_000),
    st.integers(0, 10_000),
    st.integers(1, 20_000),
    st.lists(st.integers(0, 40_000), max_size=6),
)
@settings(deadline=None)
def test_steps_cover_the_time_without_gap_and_cross_no_edge(
    step_s: int, meter_count: int, now_s: int, length_s: int, edges_s: list[int]
) -> None:
    timeline = Timeline(step_s, meter_count, np.array(sorted(set(edges_s)), np.int64))
    to_s = now_s + length_s
    while now_s < to_s:
        grid = timeline.next(now_s, to_s)
        assert grid.starts_s[0] == now_s
        assert (grid.starts_s[1:] == grid.ends_s[:-1]).all()
        assert (grid.lengths_s >= 1).all()
        assert (grid.lengths_s <= step_s).all()
        assert ((grid.starts_s // 900) == ((grid.ends_s - 1) // 900)).all()
        now_s = int(grid.ends_s[-1])
        # Nothing begins or ends inside a batch, its last moment excepted.
        assert not any(grid.starts_s[0] < edge < now_s for edge in edges_s)
    assert now_s == to_s


def test_a_step_follows_the_speed() -> None:
    assert [step_for_speed(speed) for speed in (0.1, 1, 7, 100, 900, 10_000)] == [
        1,
        1,
        9,
        100,
        900,
        900,
    ]


def test_a_step_that_does_not_divide_a_quarter_is_refused() -> None:
    with pytest.raises(SimulationConfigError, match="7 s does not divide the capture period"):
        Timeline(7, 1, np.array([], np.int64))
