"""What checks look at: a table's gains, which of them are judged, and its days."""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from metertwin.core.batch import Int64s
from metertwin.core.interval_table import IntervalTable
from metertwin.core.reading import Origin, Quality
from metertwin.core.units import scaled
from metertwin.core.vee.days import TableDays

Flags = NDArray[np.bool_]
_FEED_IN_C = (2, 22, 42, 62)  # OBIS group C: active energy fed in, sum and L1 to L3


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A table under validation.

    Attributes:
        table: The table, edits applied.
        days: Its local days.
        is_judged: Known gains as the meter gave them: neither estimated, nor substituted, nor
            taken away by a check before.
        is_out: Intervals in which the supply failed: a zero there is true.
        limits_w: Highest power of each meter's connection, shape (n_meters,), if known.
    """

    table: IntervalTable
    days: TableDays
    is_judged: Flags
    is_out: Flags
    limits_w: NDArray[np.float64] | None = None

    @classmethod
    def of(
        cls, table: IntervalTable, days: TableDays, limits_w: NDArray[np.float64] | None
    ) -> "Subject":
        """Judge what a meter measured, or a simulated one."""
        is_judged = table.is_known & np.isin(table.origin, (Origin.MEASURED, Origin.SIMULATED))
        is_out = (table.quality & Quality.POWER_DOWN.value) > 0
        return cls(table, days, is_judged, is_out, limits_w)

    @property
    def gain(self) -> Int64s:
        """Gains of the table."""
        return self.table.gain

    @property
    def is_feed_in(self) -> bool:
        """Whether the register counts active energy fed in, of all phases or of one."""
        return self.table.register.obis.c in _FEED_IN_C

    @property
    def unit(self) -> str:
        """Symbol of the register's unit."""
        return self.table.register.unit.symbol

    def value(self, gain: int) -> Decimal:
        """Return counts in the register's unit."""
        return scaled(gain, self.table.register.scaler)

    def limit(self, counts: float) -> Decimal:
        """Return a calculated limit in the register's unit, to a thousandth of a count."""
        return scaled(round(counts * 1000), self.table.register.scaler - 3).normalize()

    def hours(self, interval_count: int) -> Decimal:
        """Return how long so many intervals are, in h."""
        return (Decimal(interval_count * self.table.register.period_s) / 3600).normalize()

    def most_intervals(self, hours: float) -> int:
        """Return how many whole intervals fit into a time."""
        return int(hours * 3600 // self.table.register.period_s)
