"""What a usage file tells, whatever its form: series of interval energies, bills, and notes.

Intervals stand as the file gives them, each with its own start and length, so that a file with
gaps or with days of 23 hours is told as it is; `exchange.tables` puts regular ones on a grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from metertwin.core.batch import Int64s, UInt8s
from metertwin.core.errors import InvalidInputError
from metertwin.core.ids import MeterId
from metertwin.core.interval_table import IntervalTable
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.units import Unit
from metertwin.exchange.bill_summary import BillSummary

IMPORT = Obis(1, 0, 1, 8, 0)
EXPORT = Obis(1, 0, 2, 8, 0)
REACTIVE_IMPORT = Obis(1, 0, 3, 8, 0)
REACTIVE_EXPORT = Obis(1, 0, 4, 8, 0)
UNITS = {
    IMPORT: Unit.WATT_HOUR,
    EXPORT: Unit.WATT_HOUR,
    REACTIVE_IMPORT: Unit.VAR_HOUR,
    REACTIVE_EXPORT: Unit.VAR_HOUR,
}
US_PER_S = 1_000_000
PROBLEMS_SHOWN = 20


class UsageFileError(InvalidInputError):
    """A usage file cannot be read, or what it says cannot be so; the message lists every problem.

    At most the first 20 problems are listed, with how many more there are.
    """

    code = "input.usage_file"

    @classmethod
    def listing(cls, where: str, problems: Sequence[str]) -> "UsageFileError":
        """Return the error for the problems found in a file called `where`."""
        shown = [problem.rstrip(".") for problem in problems[:PROBLEMS_SHOWN]]
        more = len(problems) - len(shown)
        tail = f"; and {more} more" if more else ""
        return cls(f"{where}: {'; '.join(shown)}{tail}.", problems=list(problems[:PROBLEMS_SHOWN]))


@dataclass(frozen=True, slots=True, eq=False)
class IntervalEnergies:
    """Intervals in the order of their start, columns (n_intervals,).

    Attributes:
        start_us: Start, microseconds since 1970 UTC.
        length_s: Length, above 0.
        gain: Counts gained.
        quality: `Quality` bits.
        origin: `Origin` values.
    """

    start_us: Int64s
    length_s: Int64s
    gain: Int64s
    quality: UInt8s
    origin: UInt8s

    def __len__(self) -> int:
        return len(self.start_us)

    @property
    def end_us(self) -> Int64s:
        """First microsecond after each interval."""
        return self.start_us + self.length_s * US_PER_S

    def take(self, rows: Int64s | NDArray[np.bool_]) -> "IntervalEnergies":
        """Return the intervals of some rows."""
        return IntervalEnergies(
            self.start_us[rows],
            self.length_s[rows],
            self.gain[rows],
            self.quality[rows],
            self.origin[rows],
        )


@dataclass(frozen=True, slots=True, eq=False)
class UsageSeries:
    """Energies of one register of one meter.

    Attributes:
        meter: Whose; from a Green Button file, the last part of its usage point's address.
        register: 1-0:1.8.0 drawn or 1-0:2.8.0 fed in, 3.8.0 and 4.8.0 for reactive energy; gain x
            10^scaler in Wh or varh. `period_s` is the usual length, 0 where there is none.
        title: What the file calls it.
        intervals: Ascending, not overlapping.
    """

    meter: MeterId
    register: Register
    title: str
    intervals: IntervalEnergies

    @classmethod
    def of_table(cls, table: IntervalTable, row: int, title: str = "") -> "UsageSeries":
        """Return what is known of one meter in an interval table.

        A run of which only the total is known becomes one longer interval.

        Raises:
            UsageFileError: The register is not an energy that usage files can tell.
        """
        if UNITS.get(_total(table.register.obis)) is not table.register.unit:
            raise UsageFileError(
                f"Register {table.register.obis} in {table.register.unit.symbol or 'numbers'} is "
                "not an energy that usage files tell; they tell 1.8.0, 2.8.0, 3.8.0 and 4.8.0."
            )
        known = np.flatnonzero(table.is_known[row])
        spans = np.flatnonzero(table.spans.row == row)
        first = np.concatenate([known, table.spans.first_index[spans]])
        counts = np.concatenate([np.ones(len(known), np.int64), table.spans.interval_count[spans]])
        none = np.zeros(len(spans), np.uint8)
        intervals = IntervalEnergies(
            table.start_us + first * table.period_us,
            counts * table.register.period_s,
            np.concatenate([table.gain[row][known].astype(np.int64), table.spans.gain[spans]]),
            np.concatenate([table.quality[row][known], none]),
            np.concatenate([table.origin[row][known], none]),
        )
        register = table.register._replace(obis=_total(table.register.obis))
        ordered = intervals.take(np.argsort(intervals.start_us))
        return cls(table.meters[row], register, title, ordered)


@dataclass(frozen=True, slots=True)
class OtherSeries:
    """A series that is in the file and is no energy per interval.

    Attributes:
        meter: Whose.
        title: What the file calls it.
        reason: Why it is not used: its unit, its commodity, its way of counting.
        interval_count: Readings it has.
    """

    meter: MeterId
    title: str
    reason: str
    interval_count: int


@dataclass(frozen=True, slots=True)
class UsageFile:
    """All a usage file tells.

    Attributes:
        series: Energies, by meter and register.
        bills: What bills said, in the order of the file.
        others: Series of other things; a reader tells of them and uses none.
        notes: What was odd and how it was taken, one sentence each.
        zone: Zone of local days and months; None where the file names none that is known.
    """

    series: Sequence[UsageSeries] = ()
    bills: Sequence[BillSummary] = ()
    others: Sequence[OtherSeries] = ()
    notes: Sequence[str] = field(default_factory=tuple)
    zone: ZoneInfo | None = None


def _total(obis: Obis) -> Obis:
    """Return the code with "all tariffs" said as 0: printed forms leave it out or say it."""
    return obis._replace(e=0, f=255) if obis.e in {0, 255} else obis


def usual_length_s(length_s: Int64s) -> int:
    """Return the most frequent length, the shortest of equally frequent ones; 0: there is none."""
    lengths, counts = np.unique(length_s, return_counts=True)
    return int(lengths[counts.argmax()]) if len(lengths) else 0
