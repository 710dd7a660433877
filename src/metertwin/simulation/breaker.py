"""The limiter: opens the breaker of a meter that draws more than its threshold for too long."""

import numpy as np
from numpy.typing import NDArray

from metertwin.simulation.columns import CONNECTED, NO_LIMIT_W, Columns
from metertwin.simulation.demand import Demand, TimeGrid
from metertwin.simulation.effects import Effects

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

MIN_OVER_S = 60
"""How long the threshold must be exceeded before the breaker opens."""
READY_FOR_RECONNECTION = 2


def run_limiter(
    columns: Columns, demand: Demand, effects: Effects, grid: TimeGrid
) -> tuple[Bools, Ints]:
    """Return during which steps each household's breaker is closed, and the rows that tripped.

    Moves `control_state` and `over_limit_s` to the end of the batch.

    Returns:
        Closed, shape (steps, n); rows whose limiter opened the breaker.
    """
    count = len(effects.is_live)
    closed = columns.control_state[:count] == CONNECTED
    limit_w = columns.limit_w[:count]
    if not (limit_w < NO_LIMIT_W).any():
        return np.broadcast_to(closed, (len(grid.starts_s), count)), np.empty(0, np.int64)
    drawn_w = demand.load_w.sum(axis=2) * (1 - effects.bypassed_ratio)
    drawn_w = (drawn_w - demand.generation_w.sum(axis=2)) * effects.registered_ratio
    was_closed = closed.copy()
    history = np.empty((len(grid.starts_s), count), np.bool_)
    over_s = columns.over_limit_s[:count]
    for step, length_s in enumerate(grid.lengths_s):
        history[step] = closed
        is_over = closed & effects.is_live & (drawn_w[step] > limit_w)
        over_s[:] = np.where(is_over, over_s + length_s, 0)
        closed = closed & (over_s < MIN_OVER_S)
    tripped = np.flatnonzero(was_closed & ~closed)
    columns.control_state[tripped] = READY_FOR_RECONNECTION
    over_s[tripped] = 0
    return history, tripped
