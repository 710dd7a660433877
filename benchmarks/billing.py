"""What a bill costs, in time and in cents: time of one processor, and differences to NREL's SAM.

Without `--json` the comparison with SAM is printed as a table. Arguments that end in `.json` are
files of the Utility Rate Database; given any, only their rates are compared and nothing is timed.
"""

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.household import FIRST_DAY, MONTH, YEAR, household_tariff
from benchmarks.rate_population import cases_of
from benchmarks.sam import sam_model
from benchmarks.sam_comparison import Comparison, comparisons, comparisons_of
from benchmarks.urdb_rates import urdb_cases
from metertwin.apps.tariff.rating import UsageBatch, rate
from metertwin.apps.tariff.schedule import billing_month_edges_us
from metertwin.core.ids import MeterId

RATES_COUNT = 480
FLEET_COUNT = 100_000
CHUNK_COUNT = 4_000


def usage_of(counts: NDArray[np.int32]) -> UsageBatch:
    """Return counts in Wh from January 2026 on as usage."""
    start_us = int(billing_month_edges_us(household_tariff(), FIRST_DAY, 0)[0])
    meters = [MeterId(f"m{row}") for row in range(len(counts))]
    return UsageBatch(meters, start_us, 900, 0, counts)


def year_ms() -> float:
    """Return the time to rate one meter's year of quarter hours, in a batch of 1,000."""
    chance = np.random.default_rng(1)
    usage = usage_of(chance.integers(0, 400, (1000, YEAR), dtype=np.int32))
    rate(household_tariff(), usage)
    return _best_ms(lambda: rate(household_tariff(), usage), 15) / len(usage.meters)


def sam_year_ms() -> float:
    """Return SAM's time for one meter's year of quarter hours."""
    cases, usage, dynamics = next(
        found for found in map(cases_of, range(1, 100)) if found[1].period_s == 900
    )
    case = cases[-1]
    load_kw = usage.power_kw(usage.load_wh)
    model = sam_model(case, load_kw, load_kw * 0, dynamics)
    return _best_ms(model.execute, 15)


def fleet_s() -> float:
    """Return the time to bill a month of 100,000 meters; making up their usage is not counted."""
    chance = np.random.default_rng(2)
    tariff, spent_s, owed = household_tariff(), 0.0, Decimal(0)
    for _ in range(0, FLEET_COUNT, CHUNK_COUNT):
        usage = usage_of(chance.integers(0, 400, (CHUNK_COUNT, MONTH), dtype=np.int32))
        began_s = time.process_time()
        owed += sum(rate(tariff, usage).totals(0), Decimal(0))
        spent_s += time.process_time() - began_s
    assert owed > 0
    return spent_s


def single_month_p99_ms() -> float:
    """Return how long one meter's month takes at most in 99 of 100 cases, bill included."""
    chance = np.random.default_rng(3)
    usage = usage_of(chance.integers(0, 400, (1, MONTH), dtype=np.int32))
    tariff = household_tariff()
    times_ms = sorted(_best_ms(lambda: rate(tariff, usage).bill(0, 0), 1) for _ in range(1000))
    return times_ms[989]


def _best_ms(work: Callable[[], object], times: int) -> float:
    """Return the least time on the processor: others may be at work on the same one."""
    spent_ms = []
    for _ in range(times):
        began_s = time.process_time()
        work()
        spent_ms.append((time.process_time() - began_s) * 1000)
    return min(spent_ms)


def comparison_table(found: Iterable[Comparison]) -> Table:
    """Return how many cases differ, by tier rule and metering."""
    rows: dict[str, list[Comparison]] = defaultdict(list)
    for comparison in found:
        rows[comparison.case.name].append(comparison)
    table = Table("tier rule, metering", "rates", "amounts", "differing", "ties", "max cents")
    for name, row in sorted(rows.items()):
        table.add_row(
            name,
            str(len(row)),
            str(sum(c.amounts_count for c in row)),
            str(sum(len(c.differing) for c in row)),
            str(sum(c.ties_count for c in row)),
            str(max(c.cents_max for c in row)),
        )
    return table


def compare_files(paths: list[Path]) -> None:
    """Compare the rates of files with SAM and print what differs."""
    found: list[Comparison] = []
    for each in (each for path in paths for each in urdb_cases(path)):
        try:
            found += comparisons_of([each])
        except Exception as error:  # noqa: BLE001 - PySAM raises nothing narrower
            print(f"SAM refuses {each[0][0].tariff.id}: {str(error).strip()}")
    Console().print(comparison_table(found))
    for text in [text for comparison in found for text in comparison.differing][:20]:
        print(text)


def main() -> None:
    paths = [Path(argument) for argument in sys.argv if argument.endswith(".json")]
    if paths:
        compare_files(paths)
        return
    found = list(comparisons(range(RATES_COUNT)))
    own_ms, sam_ms = year_ms(), sam_year_ms()
    differing = [text for comparison in found for text in comparison.differing]
    cents = float(max(comparison.cents_max for comparison in found))
    rows = [
        row("a meter's year of quarter hours, in a batch", 0.1, own_ms, "ms"),
        row("SAM's time for it, times ours", 10, sam_ms / own_ms, "times", is_least=True),
        row("a month of 100,000 meters", 15, fleet_s(), "s of CPU"),
        row("a single meter's month with its bill, p99", 3, single_month_p99_ms(), "ms"),
        row("amounts that differ from SAM's", 0, len(differing), f"of {13 * len(found)}"),
        row("largest difference to SAM", 0, cents, "cents"),
    ]
    if "--json" in sys.argv:
        print(json.dumps(rows))
        return
    Console().print(comparison_table(found))
    for text in differing[:20]:
        print(text)
    for each in rows:
        print(each)


def row(
    name: str, goal: float, figure: float, unit: str, *, is_least: bool = False
) -> dict[str, object]:
    """Return one figure with its goal; `ratio` is figure by goal."""
    is_ok = figure >= goal if is_least else figure <= goal
    ratio = figure / goal if goal else float(figure > 0)
    return {"name": name, "goal": goal, "figure": figure, "unit": unit, "ratio": ratio, "ok": is_ok}


if __name__ == "__main__":
    main()
