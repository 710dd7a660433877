"""The state of all meters, one row per meter: 10,000 meters are a handful of arrays."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

UWH_PER_WH = 1_000_000
NO_LIMIT_W = 0xFFFF_FFFF
"""What the limiter's threshold says when there is none: all a double-long-unsigned can hold."""
CONNECTED = 1
"""`control_state` of a closed breaker; 0 is disconnected, 2 ready for reconnection."""


class Energy(IntEnum):
    """Row of a counter in `Columns.energy_uwh`."""

    IMPORT = 0
    EXPORT = 1
    REACTIVE_IMPORT = 2
    REACTIVE_EXPORT = 3
    IMPORT_TARIFF_1 = 4
    IMPORT_TARIFF_2 = 5
    IMPORT_TARIFF_3 = 6
    IMPORT_TARIFF_4 = 7
    EXPORT_TARIFF_1 = 8
    EXPORT_TARIFF_2 = 9
    EXPORT_TARIFF_3 = 10
    EXPORT_TARIFF_4 = 11


class Columns:
    """What the meters hold.

    Energies are integers of 1e-6 Wh, so that adding them up for years loses nothing; a register
    shows the whole Wh.

    Args:
        count: Meters.

    Attributes:
        energy_uwh: Counters, shape (12, count); see `Energy`. Reactive ones are 1e-6 varh.
        voltages_v: At terminals L1 to L3, to neutral, shape (count, 3).
        currents_a: Likewise.
        power_w: Active power of all phases, import positive, as the meter measures it.
        reactive_var: Likewise, inductive positive.
        control_state: Of the breaker: 0 disconnected, 1 connected, 2 ready for reconnection.
        limit_w: Threshold of the limiter, `NO_LIMIT_W` without one.
        over_limit_s: How long the threshold has been exceeded.
        clock_offset_s: How far the meter's clock is ahead.
        clock_quarter: Quarter of an hour since 1970 the meter's clock is in.
        status: AMR status bits gathered since the last profile entry.
        tariff: Tariff in force, 1 to 4.
        calendar: Number of the tariff calendar it follows.
        is_powered: Whether it has voltage.
        is_silent: Whether it leaves requests unanswered.
        generation: How often the meter was replaced.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.energy_uwh: Ints = np.zeros((len(Energy), count), np.int64)
        self.voltages_v: Floats = np.zeros((count, 3))
        self.currents_a: Floats = np.zeros((count, 3))
        self.power_w: Floats = np.zeros(count)
        self.reactive_var: Floats = np.zeros(count)
        self.control_state = np.full(count, CONNECTED, np.uint8)
        self.limit_w: Ints = np.full(count, NO_LIMIT_W, np.int64)
        self.over_limit_s: Ints = np.zeros(count, np.int64)
        self.clock_offset_s: Floats = np.zeros(count)
        self.clock_quarter: Ints = np.zeros(count, np.int64)
        self.status = np.zeros(count, np.uint8)
        self.tariff = np.ones(count, np.uint8)
        self.calendar: Ints = np.zeros(count, np.int64)
        self.is_powered: Bools = np.ones(count, np.bool_)
        self.is_silent: Bools = np.zeros(count, np.bool_)
        self.generation = np.zeros(count, np.uint16)
