"""The ledger against a set of numbers: any order, any repetition, any hole."""

from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from metertwin.core.ledger import Ledger

Run = tuple[int, int, int]  # row, first number, count

runs = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 40), st.integers(1, 12)), max_size=6)


def admit(ledger: Ledger, batch: list[Run]) -> list[bool]:
    """Return one flag per reading, all true when the ledger says None."""
    columns = np.array(batch, np.int64).reshape(-1, 3)
    kept = ledger.admit(columns[:, 0], columns[:, 1], columns[:, 2].astype(np.uint32))
    if kept is None:
        return [True] * int(columns[:, 2].sum())
    flags: list[bool] = kept.tolist()
    return flags


def test_runs_that_continue_are_taken_whole() -> None:
    ledger = Ledger.sized(2)
    assert ledger.admit(*columns_of([(0, 1, 3), (1, 1, 2), (0, 4, 1)])) is None
    assert ledger.received.tolist() == [4, 2]
    assert ledger.taken.tolist() == [4, 2]
    assert ledger.missing().tolist() == [0, 0]


def test_a_hole_is_missing_until_it_is_filled() -> None:
    ledger = Ledger.sized(1)
    assert admit(ledger, [(0, 1, 2), (0, 6, 2)]) == [True] * 4
    assert ledger.holes == {0: [(3, 5)]}
    assert ledger.missing().tolist() == [3]
    # 4 fills the middle and leaves a hole on either side.
    assert admit(ledger, [(0, 4, 1)]) == [True]
    assert ledger.holes == {0: [(3, 3), (5, 5)]}
    # 2..6 overlaps both: 3 and 5 are new, 2, 4 and 6 are known.
    assert admit(ledger, [(0, 2, 5)]) == [False, True, False, True, False]
    assert ledger.holes == {}
    assert (ledger.received[0], ledger.taken[0], ledger.duplicate[0]) == (7, 7, 3)


def test_a_first_reading_above_one_opens_a_hole_from_one() -> None:
    ledger = Ledger.sized(1)
    admit(ledger, [(0, 5, 1)])
    assert ledger.holes == {0: [(1, 4)]}
    assert ledger.missing().tolist() == [4]


def test_growing_keeps_what_was_counted() -> None:
    ledger = Ledger.sized(1)
    admit(ledger, [(0, 1, 2), (0, 2, 1)])
    ledger.resize(3)
    assert ledger.received.tolist() == [2, 0, 0]
    assert ledger.duplicate.tolist() == [1, 0, 0]
    assert admit(ledger, [(2, 1, 4)]) == [True] * 4
    ledger.resize(1)  # never shrinks
    assert len(ledger.received) == 3


@given(st.permutations(range(1, 31)))
def test_any_order_of_all_numbers_ends_without_a_hole(order: list[int]) -> None:
    ledger = Ledger.sized(1)
    for number in order:
        assert admit(ledger, [(0, number, 1)]) == [True]
    assert ledger.holes == {}
    assert (ledger.received[0], ledger.taken[0], ledger.duplicate[0]) == (30, 30, 0)


def columns_of(batch: list[Run]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    columns = np.array(batch, np.int64)
    return columns[:, 0], columns[:, 1], columns[:, 2]


class LedgerAgainstSets(RuleBasedStateMachine):
    """The model keeps every number it saw; the ledger may keep only counters and holes."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger.sized(2)
        self.seen: dict[int, set[int]] = {}
        self.deliveries: Counter[int] = Counter()

    @rule(batch=runs)
    def deliver(self, batch: list[Run]) -> None:
        needed = 1 + max((row for row, _, _ in batch), default=0)
        if needed > len(self.ledger.received):
            self.ledger.resize(needed)
        expected = []
        for row, first, count in batch:
            numbers = self.seen.setdefault(row, set())
            for number in range(first, first + count):
                expected.append(number not in numbers)
                numbers.add(number)
            self.deliveries[row] += count
        assert admit(self.ledger, batch) == expected

    @rule(row=st.integers(0, 1), count=st.integers(1, 5))
    def continue_where_it_ended(self, row: int, count: int) -> None:
        self.deliver_one(row, max(self.seen.get(row, {0})) + 1, count)

    @rule(row=st.integers(0, 1), back=st.integers(0, 10), count=st.integers(1, 15))
    def repeat_the_tail(self, row: int, back: int, count: int) -> None:
        self.deliver_one(row, max(max(self.seen.get(row, {0})) - back, 1), count)

    def deliver_one(self, row: int, first: int, count: int) -> None:
        numbers = self.seen.setdefault(row, set())
        expected = [number not in numbers for number in range(first, first + count)]
        numbers.update(range(first, first + count))
        self.deliveries[row] += count
        assert admit(self.ledger, [(row, first, count)]) == expected

    @invariant()
    def counters_balance(self) -> None:
        ledger = self.ledger
        assert (ledger.received == ledger.taken + ledger.missing()).all()
        assert (ledger.missing() >= 0).all()
        for row in range(len(ledger.received)):
            numbers = self.seen.get(row, set())
            assert ledger.received[row] == max(numbers, default=0)
            assert ledger.taken[row] == len(numbers)
            assert ledger.taken[row] + ledger.duplicate[row] == self.deliveries[row]

    @invariant()
    def holes_are_exactly_the_missing_numbers(self) -> None:
        for row in range(len(self.ledger.received)):
            numbers = self.seen.get(row, set())
            holes = self.ledger.holes.get(row, [])
            listed = [number for low, high in holes for number in range(low, high + 1)]
            assert listed == sorted(set(range(1, max(numbers, default=0) + 1)) - numbers)
            touching = any(a[1] + 1 >= b[0] for a, b in pairwise(holes))
            assert not touching


TestLedgerAgainstSets = LedgerAgainstSets.TestCase
TestLedgerAgainstSets.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
