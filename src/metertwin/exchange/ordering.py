"""Intervals of a file put in order: what is told twice once, what contradicts itself never."""

import numpy as np

from metertwin.core.clock import from_us
from metertwin.exchange.usage_file import PROBLEMS_SHOWN, IntervalEnergies


def in_order(
    energies: IntervalEnergies, where: str, problems: list[str], notes: list[str]
) -> IntervalEnergies:
    """Return intervals by their start, those told twice alike once.

    Args:
        energies: In any order.
        where: What to call the series.
        problems: Gets one for each pair that overlaps.
        notes: Gets one if anything was told twice.
    """
    rows = np.lexsort((energies.gain, energies.length_s, energies.start_us))
    ordered = energies.take(rows)
    columns = (ordered.start_us, ordered.length_s, ordered.gain, ordered.quality, ordered.origin)
    is_repeated = np.zeros(len(ordered), bool)
    is_repeated[1:] = np.logical_and.reduce([column[1:] == column[:-1] for column in columns])
    if is_repeated.any():
        notes.append(f"Took {is_repeated.sum():,} intervals of {where} once that it tells twice.")
        ordered = ordered.take(~is_repeated)
    clashes = np.flatnonzero(ordered.start_us[1:] < ordered.end_us[:-1])
    problems.extend(
        f"in {where} the interval from {_told(ordered, row)} and that from "
        f"{_told(ordered, row + 1)} overlap or contradict each other"
        for row in clashes[:PROBLEMS_SHOWN].tolist()
    )
    if len(clashes) > PROBLEMS_SHOWN:
        problems.append(f"in {where} {len(clashes) - PROBLEMS_SHOWN:,} more pairs overlap")
    return ordered


def _told(energies: IntervalEnergies, row: int) -> str:
    start = from_us(int(energies.start_us[row])).isoformat()
    return f"{start} of {energies.length_s[row]} s with {energies.gain[row]} counts"
