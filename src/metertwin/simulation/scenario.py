"""What goes wrong: theft, outages, dips, clocks, resets, replaced and silent meters."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FOR_EVER_S = 1 << 40
"""Later than any simulated moment, in s since 1970."""


class Kind(StrEnum):
    """What can happen; the value is the word in a scenario file."""

    THEFT_FACTOR = "theft_factor"  # the meter registers `factor` of what flows through it
    THEFT_BYPASS = "theft_bypass"  # `share` of the load flows around the meter
    OUTAGE = "outage"  # no voltage at a feeder or at single meters
    VOLTAGE_DIP = "voltage_dip"  # a feeder's supply falls to `residual` of normal
    CLOCK_DRIFT = "clock_drift"  # the meter's clock gains `rate_ppm` (loses, below 0)
    COUNTER_RESET = "counter_reset"  # registers start again at 0
    REPLACED_METER = "replaced_meter"  # another serial number, registers and profile new
    SILENT = "silent"  # the meter measures and does not answer

    @property
    def is_instant(self) -> bool:
        """Whether it happens at `start_s` and has no end."""
        return self in {Kind.COUNTER_RESET, Kind.REPLACED_METER}


PARAMETERS: dict[Kind, tuple[str, float, float]] = {
    Kind.THEFT_FACTOR: ("factor", 0.0, 1.0),
    Kind.THEFT_BYPASS: ("share", 0.0, 1.0),
    Kind.VOLTAGE_DIP: ("residual", 0.5, 1.2),
    Kind.CLOCK_DRIFT: ("rate_ppm", -100_000.0, 100_000.0),
}
"""Name and range of a kind's one number; the other kinds have none."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One thing that happens.

    Attributes:
        rows: Meters it happens to.
        feeders: Feeders it happens to as a whole.
        start_s: First moment, s since 1970 UTC.
        end_s: First moment it is over; `FOR_EVER_S` without an end.
        number: The kind's number, see `PARAMETERS`; 0 where it has none.
    """

    kind: Kind
    rows: tuple[int, ...]
    feeders: tuple[int, ...]
    start_s: int
    end_s: int = FOR_EVER_S
    number: float = 0.0

    def steps(self, starts_s: Ints) -> Bools:
        """Say during which steps it lasts."""
        during: Bools = (starts_s >= self.start_s) & (starts_s < self.end_s)
        return during


@dataclass(frozen=True, slots=True)
class Scenario:
    """All that happens, in any order."""

    incidents: tuple[Incident, ...] = ()

    def edges_s(self) -> Ints:
        """Return every moment at which something begins or ends, ascending."""
        moments = {item.start_s for item in self.incidents}
        moments |= {item.end_s for item in self.incidents if item.end_s != FOR_EVER_S}
        return np.array(sorted(moments), np.int64)

    def of(self, *kinds: Kind) -> tuple[Incident, ...]:
        """Return the incidents of some kinds."""
        return tuple(item for item in self.incidents if item.kind in kinds)
