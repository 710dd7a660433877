"""The event logs of all meters in one ring."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

CAPACITY_COUNT = 64


class MeterEvent(IntEnum):
    """Event codes, the numbers European residential meters commonly use."""

    POWER_DOWN = 1
    POWER_UP = 2
    CLOCK_ADJUSTED_OLD = 4
    CLOCK_ADJUSTED_NEW = 5
    CALENDAR_ACTIVATED = 10
    REGISTER_CLEARED = 11
    FIRMWARE_ACTIVATED = 18
    REMOTE_DISCONNECTION = 62
    REMOTE_CONNECTION = 63
    LIMITER_EXCEEDED = 65
    LIMITER_CHANGED = 67
    METER_REPLACED = 230


class EventLogs:
    """A ring of events for each meter.

    Args:
        meter_count: Meters.
    """

    def __init__(self, meter_count: int) -> None:
        self._logged_at_s = np.zeros((meter_count, CAPACITY_COUNT), np.uint32)
        self._codes = np.zeros((meter_count, CAPACITY_COUNT), np.uint8)
        self._written: Ints = np.zeros(meter_count, np.int64)

    def write(self, rows: Ints, event: MeterEvent, logged_at_s: Ints) -> None:
        """Log one event at each of some meters, by their own clocks in s since 1970 UTC."""
        places = self._written[rows] % CAPACITY_COUNT
        self._logged_at_s[rows, places] = logged_at_s
        self._codes[rows, places] = event
        self._written[rows] += 1

    def entry_count(self, row: int) -> int:
        """Return how many events a meter holds."""
        return min(int(self._written[row]), CAPACITY_COUNT)

    def clear(self, row: int) -> None:
        """Forget a meter's events."""
        self._written[row] = 0

    def read(self, row: int) -> tuple[Ints, NDArray[np.uint8]]:
        """Return when (s since 1970 UTC) and what, oldest first."""
        written, held = int(self._written[row]), self.entry_count(row)
        places = np.arange(written - held, written) % CAPACITY_COUNT
        return self._logged_at_s[row, places].astype(np.int64), self._codes[row, places]
