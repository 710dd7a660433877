"""Chance that does not depend on how often it is asked.

A draw is a function of seed, stream, row and slot of time. The same meter does the same thing in
the same minute whatever the step length and whichever other meters exist, so two runs at different
speeds are the same street.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_GOLDEN = np.uint64(0x9E37_79B9_7F4A_7C15)
_MIX_1 = np.uint64(0xBF58_476D_1CE4_E5B9)
_MIX_2 = np.uint64(0x94D0_49BB_1331_11EB)
_MASK = (1 << 64) - 1


def uniform(seed: int, stream: int, rows: ArrayLike, slots: ArrayLike) -> Floats:
    """Return numbers in [0, 1), one per (slot, row), shape broadcast of both.

    Args:
        seed: The simulation's seed.
        stream: What the draw is for; different streams are independent.
        rows: Which meter, integers of 0 or more.
        slots: Which moment, integers of 0 or more.

    References:
        SplitMix64's finaliser: Steele, Lea, Flood, "Fast splittable pseudorandom number
        generators", OOPSLA 2014.
    """
    key = np.uint64((seed * 0x2545_F491_4F6C_DD1D + stream * 0xD6E8_FEB8_6659_FD93) & _MASK)
    mixed = _mix(np.asarray(rows, np.uint64) * _GOLDEN + key)
    mixed = _mix(mixed + np.asarray(slots, np.uint64) * _MIX_1)
    numbers: Floats = (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return numbers


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * _MIX_1
    state = (state ^ (state >> np.uint64(27))) * _MIX_2
    return state ^ (state >> np.uint64(31))
