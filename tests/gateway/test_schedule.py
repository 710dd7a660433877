from random import Random

from hypothesis import given
from hypothesis import strategies as st

from metertwin.gateway.backoff import pause_s
from metertwin.gateway.schedule import Schedule


def test_all_are_due_at_the_start_and_then_spread_over_the_period() -> None:
    schedule = Schedule(100, 300.0, 1_000.0)
    assert sorted(schedule.take_due(1_000.0)[0]) == list(range(100))
    per_minute = []
    for minute in range(1, 6):
        due, missed_count = schedule.take_due(1_000.0 + 60 * minute)
        per_minute.append(len(due))
        assert missed_count == 0
    assert sum(per_minute) == 100
    # The golden ratio spreads any number evenly: a fifth of them each minute, give or take two.
    assert all(18 <= count <= 22 for count in per_minute)


@given(
    rows_count=st.integers(1, 40),
    period_s=st.floats(0.5, 3600),
    start_s=st.floats(0, 2e9),
    steps=st.lists(st.floats(0.01, 3.0), max_size=20),
)
def test_a_meter_is_due_once_a_period_and_what_was_left_out_is_counted(
    rows_count: int, period_s: float, start_s: float, steps: list[float]
) -> None:
    schedule = Schedule(rows_count, period_s, start_s)
    schedule.take_due(start_s)
    now_s, taken_count, missed_count = start_s, 0, 0
    for step in steps:
        now_s += step * period_s
        due, missed = schedule.take_due(now_s)
        assert len(set(due)) == len(due)
        taken_count += len(due)
        missed_count += missed
        next_s = schedule.next_due_s()
        assert next_s is not None
        assert next_s > now_s
    periods = (now_s - start_s) / period_s
    slots_count = taken_count + missed_count
    assert abs(slots_count - rows_count * periods) <= rows_count


@given(failures=st.integers(1, 2_000), seed=st.integers())
def test_a_pause_doubles_up_to_its_most_and_half_of_it_is_drawn(failures: int, seed: int) -> None:
    pause = pause_s(failures, 1.0, 60.0, Random(seed))
    longest = min(2.0 ** min(failures - 1, 10), 60.0)
    assert longest / 2 <= pause <= longest
