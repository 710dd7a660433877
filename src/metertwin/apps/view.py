"""What an app sees of its group: newest registers, recent intervals, the time, chance.

All of it is a snapshot an app may read and must not change. The time is the meters' time, given by
the host; an app never asks a clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from metertwin.core.batch import Int64s, UInt8s
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.interval_table import IntervalTable
from metertwin.core.obis import Obis


@dataclass(frozen=True, slots=True, eq=False)
class RegisterColumn:
    """The newest value of one register of every meter of the group, in the order of the view.

    Attributes:
        values: In the register's unit; NaN where a meter has none, shape (n_meters,).
        captured_at_us: By the meter's clock, microseconds since 1970 UTC; -1 where there is none.
        quality: `Quality` bits.
    """

    values: NDArray[np.float64]
    captured_at_us: Int64s
    quality: UInt8s


@dataclass(frozen=True, slots=True, eq=False)
class FreshIntervals:
    """Intervals that the last batch told or changed, columns (n_fresh,).

    Attributes:
        row: Meter, as a row of the view.
        start_us: Start of the interval, microseconds since 1970 UTC.
        is_changed: Whether it was known before with another energy: corrected, or late enough to
            change a neighbour.
    """

    row: Int64s
    start_us: Int64s
    is_changed: NDArray[np.bool_]

    @classmethod
    def none(cls) -> "FreshIntervals":
        """Return that nothing is fresh."""
        empty = np.zeros(0, np.int64)
        return cls(empty, empty, np.zeros(0, bool))


class IntervalSource(Protocol):
    """Recent intervals of the group's load profiles."""

    def table(self, obis: Obis, start_us: int, end_us: int, rows: Int64s) -> IntervalTable:
        """Return the intervals of some meters over [start, end), known or not.

        Every interval in `fresh` can be asked for.

        Raises:
            NotFoundError: The app did not ask for this register in `AppInfo.registers`, or the
                range begins more than `AppInfo.window_days` before today, UTC.
            ConflictError: The meters count it in several units or periods.
            IntervalTableError: The range is off the period's grid, or reversed.
        """
        ...

    @property
    def first_us(self) -> int:
        """From when on nothing is missing that was captured, microseconds since 1970 UTC.

        Mostly the midnight at which the window begins. Later while an app that came after its
        group is still being given the past: intervals before may be unknown here and known in
        history.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class GroupView:
    """A group at one moment.

    Attributes:
        now: The meters' time, UTC.
        meters: Meters, one row each; rows never change, new meters join at the end.
        intervals: Recent intervals of the registers the app asked for.
        fresh: What is new since the app was last called; empty except in `on_intervals`.
        random: Chance, seeded by group, app and stream position: the same in every replay.
    """

    group: GroupId
    now: datetime
    meters: Sequence[MeterId]
    intervals: IntervalSource
    fresh: FreshIntervals
    registers: "RegisterSource"
    random: "np.random.Generator"  # as text: numpy loads its generators when they are first named


class RegisterSource(Protocol):
    """Newest registers of the group."""

    def column(self, obis: Obis) -> RegisterColumn:
        """Return the newest value of a register read at a moment, of every meter."""
        ...

    def row_of(self, meter: MeterId) -> int | None:
        """Return the row of a meter; None where the group has no twin of it."""
        ...
