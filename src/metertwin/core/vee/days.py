"""Which local day and which time of day each interval of a table has, and which days are alike."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from metertwin.core.batch import Int64s
from metertwin.core.clock import from_us
from metertwin.core.interval_table import IntervalTable
from metertwin.core.local_time import local_day_edges_us

Flags = NDArray[np.bool_]
_DAY_US = 86_400_000_000
_SATURDAY = 5


class DayKind(IntEnum):
    """Days that people spend alike."""

    WORKDAY = 0
    SATURDAY = 1
    SUNDAY = 2  # and holidays


@dataclass(frozen=True, slots=True, eq=False)
class TableDays:
    """The local days of a table's intervals.

    Attributes:
        day_index: Day of each interval by its start, from 0, shape (n_intervals,).
        first_index: First interval of each day, shape (n_days,).
        interval_count: Intervals of each day, shape (n_days,).
        is_whole: Whether the table has all of the day, shape (n_days,).
        day_kind: `DayKind` of each day, shape (n_days,).
        slot_index: Time of day in periods since midnight by the clock on the wall, shape
            (n_intervals,); the two hours of autumn share theirs.
        same_slot_index: Intervals of each slot, -1 behind the last, shape (n_slots, most days).
    """

    day_index: Int64s
    first_index: Int64s
    interval_count: Int64s
    is_whole: Flags
    day_kind: Int64s
    slot_index: Int64s
    same_slot_index: Int64s

    @classmethod
    def of(cls, table: IntervalTable, zone: ZoneInfo, holidays: Collection[date]) -> "TableDays":
        """Return the days of a table, those on the list of holidays counted as Sundays."""
        starts_us = table.starts_us()
        first_day = from_us(table.start_us).astimezone(zone).date()
        last_day = from_us(table.end_us).astimezone(zone).date()
        count = (last_day - first_day).days + 1
        edges_us = local_day_edges_us(first_day, count, zone)
        calendar_day = np.searchsorted(edges_us, starts_us, side="right") - 1
        present, first_index, day_index = np.unique(
            calendar_day, return_index=True, return_inverse=True
        )
        dates = [first_day + timedelta(days=int(day)) for day in present]
        slot_index = _slots(starts_us, edges_us, calendar_day, zone) // table.period_us
        interval_count = np.diff(np.append(first_index, len(starts_us)))
        lengths_us = np.diff(edges_us)[present]
        return cls(
            day_index=day_index.astype(np.int64),
            first_index=first_index.astype(np.int64),
            interval_count=interval_count.astype(np.int64),
            is_whole=interval_count == lengths_us // table.period_us,
            day_kind=np.array([_kind(day, holidays) for day in dates], np.int64),
            slot_index=slot_index,
            same_slot_index=_by_slot(slot_index),
        )

    def alike(self, window_days: int) -> Flags:
        """Say which days are of one kind and within the window, itself not, (n_days, n_days)."""
        apart = np.abs(np.subtract.outer(self._ordinals(), self._ordinals()))
        same = self.day_kind[:, None] == self.day_kind[None, :]
        alike: Flags = same & (apart <= window_days) & (apart > 0)
        return alike

    def _ordinals(self) -> Int64s:
        return np.arange(len(self.first_index), dtype=np.int64)


def _kind(day: date, holidays: Collection[date]) -> DayKind:
    if day in holidays or day.weekday() > _SATURDAY:
        return DayKind.SUNDAY
    return DayKind.SATURDAY if day.weekday() == _SATURDAY else DayKind.WORKDAY


def _slots(starts_us: Int64s, edges_us: Int64s, day: Int64s, zone: ZoneInfo) -> Int64s:
    """Return the time of day by the wall clock in us: since midnight, but where clocks change."""
    since_us: Int64s = starts_us - edges_us[day]
    changing = np.flatnonzero(np.diff(edges_us)[day] != _DAY_US)
    for index in changing.tolist():
        local = from_us(int(starts_us[index])).astimezone(zone)
        since_us[index] = (local.hour * 3600 + local.minute * 60 + local.second) * 1_000_000
    return since_us


def _by_slot(slot_index: Int64s) -> Int64s:
    if not len(slot_index):
        return np.zeros((0, 0), np.int64)
    order = np.argsort(slot_index, kind="stable")
    sorted_slots = slot_index[order]
    place = np.arange(len(order)) - np.searchsorted(sorted_slots, sorted_slots)
    by_slot = np.full((int(sorted_slots[-1]) + 1, int(place.max()) + 1), -1, np.int64)
    by_slot[sorted_slots, place] = order
    return by_slot
