"""Runs the meters' clocks through a batch and writes a profile entry whenever one says so.

A meter captures by its own clock: one that is 40 s ahead writes its 12:00 entry 40 s before noon.
"""

import numpy as np
from numpy.typing import NDArray

from metertwin.simulation.columns import UWH_PER_WH, Columns
from metertwin.simulation.demand import TimeGrid
from metertwin.simulation.load_profile import CAPTURE_PERIOD_S, LoadProfiles
from metertwin.simulation.metering import Gains

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def capture_profiles(
    columns: Columns, profiles: LoadProfiles, grid: TimeGrid, gains: Gains, drift_ppm: Floats
) -> None:
    """Write the profile entries that fall due in a batch.

    Call it before the gains are added to the counters. A meter without power captures nothing:
    its profile has a gap, as a real one's has.

    Args:
        columns: The meters; their clocks move to the end of the batch.
        profiles: Where entries go.
        grid: The steps.
        gains: What the counters gain.
        drift_ppm: What each clock gains, shape (meters,).
    """
    is_drifting = bool(drift_ppm.any())
    is_off = is_drifting or bool(columns.clock_offset_s.any())
    for step, end_s in enumerate(grid.ends_s):
        if is_drifting:
            columns.clock_offset_s += drift_ppm * 1e-6 * grid.lengths_s[step]
        if not is_off and end_s % CAPTURE_PERIOD_S:
            continue
        shown_s = end_s + columns.clock_offset_s
        quarter = np.floor(shown_s / CAPTURE_PERIOD_S).astype(np.int64)
        rows = np.flatnonzero((quarter > columns.clock_quarter) & columns.is_powered)
        columns.clock_quarter[:] = quarter
        if len(rows):
            counters = columns.energy_uwh[:4, rows] + gains.running_uwh[:, step, rows]
            profiles.capture(
                rows,
                quarter[rows] * CAPTURE_PERIOD_S,
                columns.status[rows],
                counters // UWH_PER_WH,
            )
            columns.status[rows] = 0
