"""Cuts simulated time into steps no event and no quarter of an hour falls inside of."""

import numpy as np
from numpy.typing import NDArray

from metertwin.simulation.demand import TimeGrid
from metertwin.simulation.errors import SimulationConfigError
from metertwin.simulation.load_profile import CAPTURE_PERIOD_S

Ints = NDArray[np.int64]

# What one batch may hold: meters x steps. Larger ones gain no speed and cost memory.
_BATCH_CELLS = 120_000
_STEPS_MAX = 96


def step_for_speed(speed_ratio: float) -> int:
    """Return a step length in s that keeps about a second of real time per step.

    Args:
        speed_ratio: Simulated seconds per second.

    Returns:
        The smallest divisor of 900 of at least the speed, 900 at most.

    Example:
        >>> step_for_speed(1.0), step_for_speed(60.0), step_for_speed(10_000.0)
        (1, 60, 900)
    """
    divisors = [n for n in range(1, CAPTURE_PERIOD_S + 1) if CAPTURE_PERIOD_S % n == 0]
    return next((n for n in divisors if n >= speed_ratio), CAPTURE_PERIOD_S)


class Timeline:
    """Hands out the next steps.

    Args:
        step_s: Usual step, a divisor of 900.
        meter_count: Meters that share a batch.
        edges_s: Moments that must be the edge of a step, ascending, s since 1970 UTC.

    Raises:
        SimulationConfigError: The step does not divide 900 s.
    """

    def __init__(self, step_s: int, meter_count: int, edges_s: Ints) -> None:
        if not 1 <= step_s <= CAPTURE_PERIOD_S or CAPTURE_PERIOD_S % step_s:
            raise SimulationConfigError(
                f"A step of {step_s} s does not divide the capture period of "
                f"{CAPTURE_PERIOD_S} s; choose a divisor such as 1, 5, 60 or 900.",
                step_s=step_s,
            )
        self._step_s = step_s
        self._edges_s = edges_s
        self._steps_max = min(max(_BATCH_CELLS // meter_count, 1), _STEPS_MAX)

    @property
    def batch_s(self) -> int:
        """Time a batch of usual steps covers, in s."""
        return self._steps_max * self._step_s

    def next(self, now_s: int, to_s: int) -> TimeGrid:
        """Return the next steps from `now_s`, at most to `to_s`, which is later.

        They end at the first edge, so that what happens there happens between two batches.
        """
        step_s = self._step_s
        first_s = (now_s // step_s + 1) * step_s
        ends_s = np.arange(first_s, min(to_s, first_s + self.batch_s), step_s)
        if len(ends_s) < self._steps_max:
            ends_s = np.append(ends_s, to_s)
        coming = self._edges_s[np.searchsorted(self._edges_s, now_s, "right") :]
        if len(coming) and coming[0] < ends_s[-1]:
            ends_s = np.append(ends_s[ends_s < coming[0]], coming[0])
        starts_s = np.concatenate([[now_s], ends_s[:-1]])
        return TimeGrid(starts_s, ends_s - starts_s)
