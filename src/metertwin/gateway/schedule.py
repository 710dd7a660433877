"""When each meter is read next, in the meters' time.

Each meter has its own place in the period, given by the golden ratio, so that reads are spread
evenly however many meters there are, and adding one moves no other. A meter keeps its place: a late
read does not shift the next, and slots that were missed altogether are counted, not made up for.
"""

import heapq
import math

_GOLDEN_RATIO = (math.sqrt(5) - 1) / 2


class Schedule:
    """Due times of the meters of a group, by their row.

    Args:
        rows_count: Meters.
        period_s: Time between two reads of a meter, above 0.
        now_s: The meters' time from which on reads are due, in s.
    """

    def __init__(self, rows_count: int, period_s: float, now_s: float) -> None:
        self._period_s = period_s
        # A meter is due first within one period from now, at its place.
        self._heap = [
            (now_s + period_s * ((row * _GOLDEN_RATIO) % 1.0), row) for row in range(rows_count)
        ]
        heapq.heapify(self._heap)

    def next_due_s(self) -> float | None:
        """Return when the next read is due, in s of the meters' time; None when none is waiting."""
        return self._heap[0][0] if self._heap else None

    def take_due(self, now_s: float) -> tuple[list[int], int]:
        """Return the rows due by `now_s`, longest waiting first, and how many slots were missed.

        Each row is moved on to its next slot after `now_s`.
        """
        due: list[int] = []
        missed_count = 0
        while self._heap and self._heap[0][0] <= now_s:
            due_s, row = self._heap[0]
            periods = int((now_s - due_s) // self._period_s)
            missed_count += periods
            heapq.heapreplace(self._heap, (due_s + (periods + 1) * self._period_s, row))
            due.append(row)
        return due, missed_count
