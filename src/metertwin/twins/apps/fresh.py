"""What several captures told, as one list of intervals, each once."""

from collections.abc import Iterable

import numpy as np

from metertwin.apps.view import FreshIntervals
from metertwin.twins.apps.series import Told


def fresh_of(told: Iterable[Told]) -> FreshIntervals:
    """Return the intervals of all of `told`, sorted by start and row, each once."""
    parts = [each for each in told if len(each.rows)]
    if not parts:
        return FreshIntervals.none()
    if len(parts) == 1:  # a series tells sorted and once
        return FreshIntervals(parts[0].rows, parts[0].starts_us, parts[0].is_changed)
    rows = np.concatenate([each.rows for each in parts])
    starts_us = np.concatenate([each.starts_us for each in parts])
    is_changed = np.concatenate([each.is_changed for each in parts])
    order = np.lexsort((rows, starts_us))
    rows, starts_us, is_changed = rows[order], starts_us[order], is_changed[order]
    is_first = np.ones(len(rows), bool)
    is_first[1:] = (rows[1:] != rows[:-1]) | (starts_us[1:] != starts_us[:-1])
    first = np.flatnonzero(is_first)
    changed = np.logical_or.reduceat(is_changed, first)
    return FreshIntervals(rows[first], starts_us[first], changed)
