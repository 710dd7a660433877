"""Register arithmetic under hypothesis: laws, and a slow oracle in whole numbers."""

from collections.abc import Callable
from dataclasses import fields
from fractions import Fraction
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from metertwin.core.register_series import (
    FindingKind,
    Gains,
    GapKind,
    RegisterColumns,
    Replacement,
    SeriesRules,
)
from metertwin.core.registers import energy_gained

MakeColumns = Callable[..., RegisterColumns]
Row = tuple[int, int, int, int, int]  # series, sequence, captured_at_s, received_at_s, integer

MODULUS = 1000
POWER_W = 3600.0  # a count of 1 Wh each second
PERIOD_S = 60
RULES = SeriesRules.uniform(
    3, modulus_count=MODULUS, scaler=0, maximal_power_w=POWER_W, period_s=PERIOD_S
)
DAY_S = 86_400


def as_lists(gains: Gains) -> list[object]:
    columns = [
        getattr(part, field.name)
        for part in (gains.intervals, gains.gaps)
        for field in fields(part)
    ]
    return [*(column.tolist() for column in columns), list(gains.findings)]


@st.composite
def faulty_rows(draw: st.DrawFn) -> list[Row]:
    """Captures on a grid with holes, falls, repetitions and corrections, all received late."""
    captures = draw(
        st.lists(
            st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(0, MODULUS - 1)),
            max_size=40,
        )
    )
    # All are received a day later, in any order: a clock set back cannot be told from that.
    return [
        (series, number + 1, PERIOD_S * slot, DAY_S, integer)
        for number, (series, slot, integer) in enumerate(captures)
    ]


class Oracle:
    """One series, one reading at a time, exact fractions; knows nothing of clocks."""

    def __init__(self, rows: list[Row], replaced_at_s: list[int]) -> None:
        latest: dict[int, tuple[int, int]] = {}
        for _, number, captured_at_s, _, integer in rows:
            latest[captured_at_s] = max(latest.get(captured_at_s, (0, 0)), (number, integer))
        self.intervals: list[tuple[int, int, int]] = []
        self.gaps: list[tuple[int, int, GapKind]] = []
        self.kinds: list[tuple[int, FindingKind]] = []
        moments = sorted(latest)
        for earlier, later in pairwise(moments):
            self.compare(earlier, later, latest[earlier][1], latest[later][1], replaced_at_s)

    def compare(
        self, earlier: int, later: int, old: int, new: int, replaced_at_s: list[int]
    ) -> None:
        length_s = later - earlier
        if any(earlier < at_s <= later for at_s in replaced_at_s):
            self.kinds.append((earlier, FindingKind.REPLACED))
            self.gaps.append((earlier, length_s, GapKind.REPLACED))
            return
        most = Fraction(int(POWER_W), 3600) * length_s + 1
        gain = new - old if new >= old else new - old + MODULUS
        if new < old and gain > most:
            self.kinds.append((earlier, FindingKind.RESET))
            self.gaps.append((earlier, length_s, GapKind.RESET))
            return
        if new < old:
            self.kinds.append((earlier, FindingKind.ROLLOVER))
        if gain > most:
            self.kinds.append((earlier, FindingKind.IMPLAUSIBLE))
        if gain + MODULUS <= most:
            self.kinds.append((earlier, FindingKind.AMBIGUOUS))
        if length_s > PERIOD_S:
            self.gaps.append((earlier, length_s, GapKind.MISSING))
        self.intervals.append((earlier, length_s, gain))


@settings(max_examples=300, deadline=None)
@given(rows=faulty_rows(), replaced_at_s=st.lists(st.integers(0, 2000), max_size=2))
def test_the_slow_oracle_agrees(
    columns_of: MakeColumns, rows: list[Row], replaced_at_s: list[int]
) -> None:
    # The integers are arbitrary, so a late one may look like proof of a clock set back; numbering
    # by captured_at takes that reading away and leaves every other rule to compare.
    rows = [
        (series, rank + 1, captured_at_s, received_at_s, integer)
        for rank, (series, _, captured_at_s, received_at_s, integer) in enumerate(
            sorted(rows, key=lambda row: (row[0], row[2], row[1]))
        )
    ]
    gains = energy_gained(
        columns_of(rows), RULES, [Replacement(1, at_s * 10**6) for at_s in replaced_at_s]
    )
    for series in range(3):
        oracle = Oracle(
            [row for row in rows if row[0] == series], replaced_at_s if series == 1 else []
        )
        mine = gains.intervals.series == series
        assert oracle.intervals == list(
            zip(
                (gains.intervals.start_us[mine] // 10**6).tolist(),
                (gains.intervals.length_us[mine] // 10**6).tolist(),
                gains.intervals.gain[mine].tolist(),
                strict=True,
            )
        )
        gap = gains.gaps.series == series
        assert [kind for _, _, kind in oracle.gaps] == gains.gaps.kind[gap].tolist()
        assert [start for start, _, _ in oracle.gaps] == (
            gains.gaps.start_us[gap] // 10**6
        ).tolist()
        assert sorted(oracle.kinds) == sorted(
            (found.before_us // 10**6, found.kind)
            for found in gains.findings
            if found.series == series and found.kind is not FindingKind.CORRECTED
        )


@settings(max_examples=150, deadline=None)
@given(rows=faulty_rows(), data=st.data())
def test_order_and_repetition_of_the_input_change_nothing(
    columns_of: MakeColumns, rows: list[Row], data: st.DataObject
) -> None:
    once = as_lists(energy_gained(columns_of(rows), RULES))
    shuffled = data.draw(st.permutations(rows))
    assert as_lists(energy_gained(columns_of(shuffled), RULES)) == once
    repeated = shuffled + shuffled[: len(shuffled) // 2]
    assert as_lists(energy_gained(columns_of(repeated), RULES)) == once
    assert as_lists(energy_gained(columns_of(rows), RULES)) == once


@settings(max_examples=200, deadline=None)
@given(
    first=st.integers(0, MODULUS - 1),
    steps=st.lists(st.tuples(st.integers(1, 5), st.floats(0, 1)), min_size=1, max_size=60),
)
def test_gains_sum_to_last_less_first_plus_the_modulus_per_rollover(
    columns_of: MakeColumns, first: int, steps: list[tuple[int, float]]
) -> None:
    rows: list[Row] = [(0, 1, 0, 5, first)]
    total = first
    captured_at_s = 0
    for number, (slots, load_ratio) in enumerate(steps):
        captured_at_s += slots * PERIOD_S
        total += int(load_ratio * slots * PERIOD_S)
        rows.append((0, number + 2, captured_at_s, captured_at_s + 5, total % MODULUS))
    gains = energy_gained(columns_of(rows), RULES)
    rollovers = [found for found in gains.findings if found.kind is FindingKind.ROLLOVER]
    assert {found.kind for found in gains.findings} <= {FindingKind.ROLLOVER}
    assert gains.intervals.gain.sum() == rows[-1][4] - first + MODULUS * len(rollovers)
    assert gains.intervals.gain.sum() == total - first
    assert gains.intervals.length_us.sum() == captured_at_s * 10**6


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.integers(30, 300),  # seconds to the next poll
            st.integers(1, 30),  # counts gained
            st.one_of(st.none(), st.integers(-4000, 4000)),  # the clock's new error, in s
        ),
        min_size=1,
        max_size=40,
    ),
    data=st.data(),
)
def test_whatever_the_clock_does_no_energy_is_lost_or_invented(
    columns_of: MakeColumns,
    steps: list[tuple[int, int, int | None]],
    data: st.DataObject,
) -> None:
    rules = SeriesRules.uniform(
        1, modulus_count=10**8, scaler=0, maximal_power_w=POWER_W, period_s=0
    )
    now_s, integer, error_s = 10_000, 0, 0
    rows: list[Row] = [(0, 1, now_s, now_s, integer)]
    seen_s = {now_s}
    for elapsed_s, gained, new_error_s in steps:
        now_s += elapsed_s
        integer += gained
        error_s = error_s if new_error_s is None else new_error_s
        # Two readings of one captured_at are a correction, which is another test's subject.
        while now_s + error_s in seen_s:
            error_s += 1
        seen_s.add(now_s + error_s)
        rows.append((0, len(rows) + 1, now_s + error_s, now_s, integer))
    gains = energy_gained(columns_of(data.draw(st.permutations(rows))), rules)
    assert gains.intervals.gain.tolist() == [gained for _, gained, _ in steps]
    assert {found.kind for found in gains.findings} <= {FindingKind.CLOCK_SHIFT}
    went_back = sum(a[2] > b[2] for a, b in pairwise(rows))
    assert len(gains.findings) >= went_back
