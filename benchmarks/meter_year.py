"""One meter's year of quarter hours, validated, estimated and billed: what `compute_added` times.

Runs inside a container of MeterTwin's image, which has no benchmarks of its own: the two files are
given to it. Prints one line of JSON.
"""

import json
import resource
import time
from collections.abc import Callable
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np

from benchmarks.household import FIRST_DAY, MONTH, YEAR, ZONE, household_tariff
from metertwin.apps.tariff.rating import UsageBatch, rate
from metertwin.apps.tariff.schedule import billing_month_edges_us
from metertwin.core.ids import MeterId
from metertwin.core.interval_table import IntervalTable, KnownSpans
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.units import Unit
from metertwin.core.vee import VeeRules, validate_estimate_edit

YEARS_COUNT, MONTHS_COUNT = 12, 150
QUARTERS_OF_DAY = 96
GAPS_COUNT, GAP_QUARTERS = 40, 8  # two hours are missing forty times a year


def table_of(intervals_count: int) -> IntervalTable:
    """Return a household's gains in Wh from January 2026 on: a daily shape, chance and gaps."""
    chance = np.random.default_rng(1)
    quarter = np.arange(intervals_count) % QUARTERS_OF_DAY
    shape_wh = 90 + 70 * np.sin(2 * np.pi * (quarter - 40) / QUARTERS_OF_DAY)
    gain = chance.poisson(shape_wh).astype(np.int64)
    is_known = np.ones(intervals_count, bool)
    gaps_count = max(GAPS_COUNT * intervals_count // YEAR, 1)
    for start in chance.integers(0, intervals_count - GAP_QUARTERS, gaps_count):
        is_known[start : start + GAP_QUARTERS] = False
    return IntervalTable(
        meters=[MeterId("m")],
        register=Register(Obis.parse("1-0:1.8.0*255"), Unit.WATT_HOUR, 0, 900),
        start_us=int(billing_month_edges_us(household_tariff(), FIRST_DAY, 0)[0]),
        gain=np.where(is_known, gain, 0)[np.newaxis],
        is_known=is_known[np.newaxis],
        quality=np.zeros((1, intervals_count), np.uint8),
        origin=np.zeros((1, intervals_count), np.uint8),
        spans=KnownSpans.none(),
    )


def billed_year(table: IntervalTable) -> Decimal:
    """Validate, estimate and bill a year; return what the year costs."""
    zone = ZoneInfo(ZONE)
    result = validate_estimate_edit(table, VeeRules(), zone=zone)
    rated = rate(household_tariff(), UsageBatch.of(result.table))
    return sum((rated.bill(0, index).total for index in range(12)), Decimal(0))


def timed_s(work: Callable[[], object], times: int) -> float:
    """Return the mean time by the clock on the wall: a quota shows there and nowhere else.

    A quota is handed out a hundred milliseconds at a time, so a short work must be done so often
    that it outlasts many of them.
    """
    work()
    began_s = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - began_s) / times


def main() -> None:
    year, month, zone = table_of(YEAR), table_of(MONTH), ZoneInfo(ZONE)
    figures = {
        "year_s": timed_s(lambda: billed_year(year), YEARS_COUNT),
        "month_s": timed_s(
            lambda: validate_estimate_edit(month, VeeRules(), zone=zone), MONTHS_COUNT
        ),
        "cost": str(billed_year(year)),
        "table_bytes": sum(
            each.nbytes for each in (year.gain, year.is_known, year.quality, year.origin)
        ),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
