"""What a person wants to know of a series at first sight: how much, from when, how complete."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np

from metertwin.apps.tariff.schedule import next_month
from metertwin.core.batch import Int64s
from metertwin.core.clock import from_us, to_us
from metertwin.core.reading import Origin
from metertwin.core.units import scaled
from metertwin.exchange.usage_file import US_PER_S, IntervalEnergies, UsageSeries

_KILO = 3
_HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class MonthUsage:
    """A local calendar month of a series.

    Attributes:
        month: Its first day.
        energy_kwh: Energy of the intervals that begin in it (kvarh for reactive energy).
        interval_count: How many these are.
        estimated_count: Of these, how many were estimated or substituted.
        covered_ratio: Time they cover per time of the month, 0 to 1; a little more where one
            reaches into the next month.
    """

    month: date
    energy_kwh: Decimal
    interval_count: int
    estimated_count: int
    covered_ratio: float


@dataclass(frozen=True, slots=True)
class SeriesOverview:
    """A series at first sight.

    Attributes:
        start: Start of the first interval, UTC; None: there is no interval.
        end: End of the last, UTC.
        energy_kwh: All its energy (kvarh for reactive energy).
        interval_count: How many intervals it has.
        estimated_count: Of these, how many were estimated or substituted.
        doubtful_count: Of these, how many have a quality other than good.
        gap_count: How many times the next interval does not begin where the last one ended.
        gap_s: How long these gaps are together.
        months: Local calendar months that have intervals.
        hour_means_kw: Mean power by local hour of the day, shape (24,); None for an hour without
            intervals, and all None if intervals are longer than an hour.
    """

    start: datetime | None
    end: datetime | None
    energy_kwh: Decimal
    interval_count: int
    estimated_count: int
    doubtful_count: int
    gap_count: int
    gap_s: int
    months: Sequence[MonthUsage]
    hour_means_kw: Sequence[float | None]


def overview(series: UsageSeries, zone: ZoneInfo) -> SeriesOverview:
    """Return a series at first sight, months and hours in a zone's local time."""
    intervals = series.intervals
    gaps_us = intervals.start_us[1:] - intervals.end_us[:-1]
    count = len(intervals)
    return SeriesOverview(
        start=from_us(int(intervals.start_us[0])) if count else None,
        end=from_us(int(intervals.end_us[-1])) if count else None,
        energy_kwh=_kwh(series, intervals.gain),
        interval_count=count,
        estimated_count=_estimated_count(intervals),
        doubtful_count=int((intervals.quality != 0).sum()),
        gap_count=int((gaps_us > 0).sum()),
        gap_s=int(gaps_us.sum()) // US_PER_S if count else 0,
        months=_months(series, zone) if count else [],
        hour_means_kw=_hour_means_kw(series, zone),
    )


def _estimated_count(intervals: IntervalEnergies) -> int:
    return int(np.isin(intervals.origin, (Origin.ESTIMATED, Origin.SUBSTITUTED)).sum())


def _kwh(series: UsageSeries, gain: Int64s) -> Decimal:
    # Summed as Python integers: 47 bits a count leave no room for a year of them in 64.
    total = int(gain.sum()) if len(gain) < (1 << 15) else sum(gain.tolist())
    return scaled(total, series.register.scaler - _KILO)


def _months(series: UsageSeries, zone: ZoneInfo) -> list[MonthUsage]:
    intervals = series.intervals
    first = from_us(int(intervals.start_us[0])).astimezone(zone).date().replace(day=1)
    last_us = int(intervals.start_us[-1])
    months, edges_us = [first], [_midnight_us(first, zone)]
    while edges_us[-1] <= last_us:
        months.append(next_month(months[-1]))
        edges_us.append(_midnight_us(months[-1], zone))
    rows = np.searchsorted(intervals.start_us, np.array(edges_us, np.int64)).tolist()
    told = []
    for number, month in enumerate(months[:-1]):
        part = intervals.take(np.arange(rows[number], rows[number + 1]))
        length_us = edges_us[number + 1] - edges_us[number]
        if len(part):
            told.append(
                MonthUsage(
                    month,
                    _kwh(series, part.gain),
                    len(part),
                    _estimated_count(part),
                    int(part.length_s.sum()) * US_PER_S / length_us,
                )
            )
    return told


def _midnight_us(day: date, zone: ZoneInfo) -> int:
    return to_us(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC))


def _hour_means_kw(series: UsageSeries, zone: ZoneInfo) -> list[float | None]:
    intervals = series.intervals
    if not len(intervals) or int(intervals.length_s.max()) > _HOUR_S:
        return [None] * 24
    hours = np.array([from_us(us).astimezone(zone).hour for us in intervals.start_us.tolist()])
    counts = np.bincount(hours, intervals.gain.astype(np.float64), 24)
    seconds = np.bincount(hours, intervals.length_s.astype(np.float64), 24)
    factor = 10.0 ** (series.register.scaler - _KILO) * _HOUR_S
    return [
        count * factor / length if length else None
        for count, length in zip(counts.tolist(), seconds.tolist(), strict=True)
    ]
