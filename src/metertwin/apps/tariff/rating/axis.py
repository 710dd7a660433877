"""The time axis of a rating: its billing months, and the runs in which nothing changes.

All meters of a batch share the axis, so everything about local time is found out once, however many
meters there are, and kept for the next batch of the same months.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from metertwin.apps.tariff.calendar import Calendar
from metertwin.apps.tariff.rating.usage import RatingError, UsageBatch
from metertwin.apps.tariff.schedule import (
    axis_period_indices,
    billing_month_edges_us,
    billing_month_of,
)
from metertwin.apps.tariff.tariff import Tariff
from metertwin.core.batch import Int64s, UInt8s
from metertwin.core.clock import from_us

_US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class MonthSpan:
    """One billing month on the axis.

    Attributes:
        first: Its first day, which names it.
        start_us: Its first moment, microseconds since 1970 UTC.
        end_us: First moment of the next month.
        first_index: Its first interval.
        end_index: First interval behind it.
        day_count: Days of the whole month.
        begun_days: Days that have begun where the intervals end.
        is_final: Whether the intervals reach its end.
    """

    first: date
    start_us: int
    end_us: int
    first_index: int
    end_index: int
    day_count: int
    begun_days: int
    is_final: bool


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Runs of intervals within one month and one slot, such as a tariff period.

    Attributes:
        starts_index: First interval of each run, shape (n_runs,).
        run_slot_index: Slot of each run, shape (n_runs,).
        month_place: First run of each month, and the number of runs, shape (n_months + 1,).
    """

    starts_index: Int64s
    run_slot_index: Int64s
    month_place: Int64s

    def of_month(self, month_index: int) -> slice:
        """Return which runs are a month's."""
        return slice(int(self.month_place[month_index]), int(self.month_place[month_index + 1]))


@dataclass(frozen=True, slots=True)
class Axis:
    """Evenly spaced intervals from the start of a billing month on.

    Attributes:
        start_us: Start of the first interval, microseconds since 1970 UTC.
        period_s: Length of an interval.
        interval_count: How many.
        months: The billing months they cover, the last perhaps in part.
    """

    start_us: int
    period_s: int
    interval_count: int
    months: tuple[MonthSpan, ...]

    def runs(self, slot_index: Int64s) -> Runs:
        """Return the runs of equal slot within a month.

        Args:
            slot_index: Slot of each interval, shape (n_intervals,).
        """
        is_start = np.ones(self.interval_count, bool)
        is_start[1:] = slot_index[1:] != slot_index[:-1]
        firsts = [month.first_index for month in self.months]
        is_start[firsts] = True
        starts = np.flatnonzero(is_start).astype(np.int64)
        places = np.searchsorted(starts, [*firsts, self.interval_count])
        return Runs(starts, slot_index[starts], places.astype(np.int64))

    def periods(self, calendar: Calendar, zone: ZoneInfo) -> UInt8s:
        """Return the period of each interval: the one that holds where it starts."""
        step_us = self.period_s * _US_PER_S
        return axis_period_indices(calendar, zone, self.start_us, step_us, self.interval_count)

    @property
    def starts_us(self) -> Int64s:
        """Start of each interval, microseconds since 1970 UTC."""
        step_us = self.period_s * _US_PER_S
        return self.start_us + np.arange(self.interval_count, dtype=np.int64) * step_us

    def windows(self, window_s: int) -> Int64s:
        """Return the first interval of each averaging window; windows begin with the month.

        Raises:
            RatingError: The window is no multiple of the interval.
        """
        if window_s % self.period_s:
            raise RatingError(
                f"Demand is averaged over {window_s} s, but intervals are {self.period_s} s long; "
                "meter with a period that divides the window.",
                window_s=window_s,
                period_s=self.period_s,
            )
        step = window_s // self.period_s
        parts = [np.arange(m.first_index, m.end_index, step, dtype=np.int64) for m in self.months]
        return np.concatenate(parts)

    def during(self, spans_us: tuple[tuple[int, int], ...]) -> UInt8s:
        """Return 1 for intervals that start within one of the spans, else 0."""
        starts_us = self.starts_us
        inside = np.zeros(self.interval_count, np.uint8)
        for start_us, end_us in spans_us:
            first, end = np.searchsorted(starts_us, [start_us, end_us])
            inside[first:end] = 1
        return inside


def axis_of(tariff: Tariff, usage: UsageBatch) -> Axis:
    """Return the axis of a usage under a tariff.

    Raises:
        RatingError: There is no interval, the first does not start a billing month, or a month
            ends within an interval.
    """
    return _axis(tariff, usage.start_us, usage.period_s, usage.interval_count)


@lru_cache(maxsize=64)
def _axis(tariff: Tariff, start_us: int, period_s: int, interval_count: int) -> Axis:
    if interval_count == 0:
        raise RatingError("Usage has no interval; there is nothing to rate.")
    zone = ZoneInfo(tariff.zone)
    end_us = start_us + interval_count * period_s * _US_PER_S
    first = billing_month_of(tariff, from_us(start_us).astimezone(zone).date())
    most = interval_count * period_s // (28 * 86_400) + 1
    edges_us = billing_month_edges_us(tariff, first, most)
    while edges_us[-1] < end_us:  # a month that loses an hour is shorter than 28 days
        most += 1
        edges_us = billing_month_edges_us(tariff, first, most)
    if edges_us[0] != start_us:
        raise RatingError(
            f"Usage starts at {from_us(start_us).isoformat()}, billing months of tariff "
            f"{tariff.id} begin at local midnight of day {tariff.month_start_day} in {tariff.zone} "
            f"(this one {from_us(int(edges_us[0])).isoformat()}); give usage from there on.",
            tariff=tariff.id,
        )
    months = []
    for edge_us, next_us in zip(edges_us[:-1].tolist(), edges_us[1:].tolist(), strict=True):
        if edge_us >= end_us:
            break
        months.append(_span(zone, edge_us, next_us, (start_us, period_s, end_us)))
    return Axis(start_us, period_s, interval_count, tuple(months))


def _span(zone: ZoneInfo, edge_us: int, next_us: int, grid: tuple[int, int, int]) -> MonthSpan:
    start_us, period_s, end_us = grid
    stop_us = min(next_us, end_us)
    if (stop_us - start_us) % (period_s * _US_PER_S):
        raise RatingError(
            f"The billing month from {from_us(edge_us).isoformat()} ends within an interval of "
            f"{period_s} s; meter with a period that divides the zone's offset.",
            period_s=period_s,
        )
    first = from_us(edge_us).astimezone(zone).date()
    last_begun = from_us(stop_us - 1).astimezone(zone).date()
    return MonthSpan(
        first=first,
        start_us=edge_us,
        end_us=next_us,
        first_index=(edge_us - start_us) // (period_s * _US_PER_S),
        end_index=(stop_us - start_us) // (period_s * _US_PER_S),
        day_count=(from_us(next_us - 1).astimezone(zone).date() - first) // timedelta(days=1) + 1,
        begun_days=(last_begun - first) // timedelta(days=1) + 1,
        is_final=stop_us == next_us,
    )
