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

    All are due at once when it begins, so that twins are in step soon after a start; from then on
    each at its place in the period.

    Args:
        rows_count: Meters.
        period_s: Time between two reads of a meter, above 0.
        now_s: The meters' time at the beginning, in s.
    """

    def __init__(self, rows_count: int, period_s: float, now_s: float) -> None:
        self._period_s = period_s
        self._heap = [(now_s, row) for row in range(rows_count)]

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
            missed_count += int((now_s - due_s) // self._period_s)
            heapq.heapreplace(self._heap, (self._slot_after(now_s, row), row))
            due.append(row)
        return due, missed_count

    def _slot_after(self, now_s: float, row: int) -> float:
        place_s = self._period_s * ((row * _GOLDEN_RATIO) % 1.0)
        slot_s = place_s + self._period_s * (math.floor((now_s - place_s) / self._period_s) + 1)
        # Rounding may put the slot on now itself, which would be due again at once.
        return slot_s if slot_s > now_s else slot_s + self._period_s
