"""The load profiles of all meters in one ring of quarters of an hour.

The ring is laid out by entry, then meter: memory is touched as days pass, not at start, and one
capture writes neighbouring numbers.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

CAPTURE_PERIOD_S = 900
ENTRIES_PER_DAY = 86_400 // CAPTURE_PERIOD_S


class ProfileRows(NamedTuple):
    """Entries of one meter, oldest first.

    Attributes:
        captured_at_s: By the meter's clock, s since 1970 UTC, shape (entries,).
        status: AMR status bits, shape (entries,).
        registers: Import and export in Wh, reactive import and export in varh, shape (4, entries).
    """

    captured_at_s: Ints
    status: NDArray[np.uint8]
    registers: NDArray[np.uint32]


class LoadProfiles:
    """A ring of entries for each meter.

    Args:
        meter_count: Meters.
        days: How many days of entries are kept, 1 or more.
    """

    def __init__(self, meter_count: int, days: int) -> None:
        self.capacity = days * ENTRIES_PER_DAY
        self._captured_at_s = np.zeros((self.capacity, meter_count), np.uint32)
        self._status = np.zeros((self.capacity, meter_count), np.uint8)
        self._registers = np.zeros((4, self.capacity, meter_count), np.uint32)
        self._written: Ints = np.zeros(meter_count, np.int64)

    def capture(
        self, rows: Ints, captured_at_s: Ints, status: NDArray[np.uint8], registers: Ints
    ) -> None:
        """Write one entry for each of some meters.

        Args:
            rows: Meters, each at most once.
            captured_at_s: Shape (rows,).
            status: Shape (rows,).
            registers: Shape (4, rows); kept modulo 2^32, as the meter's registers roll over.
        """
        places = self._written[rows] % self.capacity
        self._captured_at_s[places, rows] = captured_at_s
        self._status[places, rows] = status
        self._registers[:, places, rows] = registers & 0xFFFF_FFFF
        self._written[rows] += 1

    def entry_count(self, row: int) -> int:
        """Return how many entries a meter holds."""
        return min(int(self._written[row]), self.capacity)

    def clear(self, row: int) -> None:
        """Forget a meter's entries."""
        self._written[row] = 0

    def read(self, row: int) -> ProfileRows:
        """Return all entries of a meter."""
        written, held = int(self._written[row]), self.entry_count(row)
        places = np.arange(written - held, written) % self.capacity
        return ProfileRows(
            self._captured_at_s[places, row].astype(np.int64),
            self._status[places, row],
            self._registers[:, places, row],
        )
