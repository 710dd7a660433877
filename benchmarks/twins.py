"""What a twin costs in memory, and how fast batches are applied.

The twins are pooled in groups of 100, as behind a transformer, each with the registers of the
simulated residential meter, all of them filled.
"""

import gc
import json
import sys
import time

import numpy as np
import psutil

from metertwin.core.batch import ReadingBatch
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.units import Unit
from metertwin.twins.group import TwinGroup
from metertwin.twins.settings import GroupSettings

GROUP_SIZE = 100
MOMENTARY = tuple(
    Register(Obis(1, 0, c, d, e), Unit.WATT_HOUR if d == 8 else Unit.WATT, 0)
    for c, d, e in (
        *((1, 8, tariff) for tariff in range(3)),
        *((c, 8, 0) for c in (2, 3, 4)),
        *((c, 7, 0) for c in (1, 2, 3, 4, 14, 31, 32, 51, 52, 71, 72)),
    )
)
PROFILE = tuple(Register(Obis(1, 0, c, 8, 0), Unit.WATT_HOUR, 0, 900) for c in (1, 2, 3, 4))
REGISTERS = MOMENTARY + PROFILE


def batch_of(group: GroupId, meters: list[MeterId], turn: int) -> ReadingBatch:
    """Return one poll round of a group: every register of every meter."""
    rows, width = len(meters), len(REGISTERS)
    count = rows * width
    moment_us = 1_780_000_000_000_000 + turn * 300_000_000
    return ReadingBatch(
        group=group,
        epoch=1,
        meters=meters,
        first_sequences=np.full(rows, 1 + turn * width, dtype=np.int64),
        counts=np.full(rows, width, dtype=np.uint32),
        registers=REGISTERS,
        register_index=np.tile(np.arange(width, dtype=np.uint16), rows),
        integers=np.arange(count, dtype=np.int64) + turn,
        captured_at_us=np.full(count, moment_us, dtype=np.int64),
        received_at_us=np.full(count, moment_us + 1_000_000, dtype=np.int64),
        quality=np.zeros(count, dtype=np.uint8),
        origin=np.full(count, 3, dtype=np.uint8),
    )


def filled_groups(twins_count: int, prefix: str) -> list[TwinGroup]:
    """Return groups whose twins have all registers."""
    groups = []
    for number in range(twins_count // GROUP_SIZE):
        meters = [MeterId(f"{prefix}{number * GROUP_SIZE + n:07d}") for n in range(GROUP_SIZE)]
        group = TwinGroup(GroupSettings(id=GroupId(f"{prefix}{number}"), meters=tuple(meters)))
        group.apply([batch_of(group.settings.id, meters, 0)])
        groups.append(group)
    return groups


def memory_bytes() -> int:
    """Return what this process keeps in memory."""
    gc.collect()
    return int(psutil.Process().memory_info().rss)


def apply_rate(groups: list[TwinGroup]) -> float:
    """Return values applied per second of CPU, over poll rounds of all groups."""
    rounds = [
        [batch_of(group.settings.id, group.columns.meters, turn) for group in groups[:200]]
        for turn in range(1, 6)
    ]
    began_s = time.process_time()
    for batches in rounds:
        for group, batch in zip(groups, batches, strict=False):
            group.apply([batch])
    spent_s = time.process_time() - began_s
    return sum(len(batch) for batches in rounds for batch in batches) / spent_s


def main() -> None:
    before = memory_bytes()
    groups = filled_groups(100_000, "m")
    per_twin_bytes = (memory_bytes() - before) / 100_000
    values_per_s = apply_rate(groups)
    more = filled_groups(900_000, "n")
    million_gib = (memory_bytes() - before) / 2**30
    total_gib = psutil.virtual_memory().total / 2**30
    rows = [
        row("memory of a twin at 100,000 pooled", 4_000, per_twin_bytes, "B", is_most=True),
        row("values applied, in process", 500_000, values_per_s, "values/s of CPU"),
        row("memory of 1,000,000 twins", total_gib, million_gib, "GiB", is_most=True),
    ]
    assert len(groups) + len(more) == 10_000
    if "--json" in sys.argv:
        print(json.dumps(rows))
    else:
        for each in rows:
            print(each)


def row(
    name: str, goal: float, figure: float, unit: str, *, is_most: bool = False
) -> dict[str, object]:
    """Return one figure with its goal; `ratio` is figure by goal."""
    is_ok = figure <= goal if is_most else figure >= goal
    ratio = figure / goal
    return {"name": name, "goal": goal, "figure": figure, "unit": unit, "ratio": ratio, "ok": is_ok}


if __name__ == "__main__":
    main()
