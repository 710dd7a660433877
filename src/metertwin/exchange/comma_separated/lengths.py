"""How long intervals are whose file does not say it."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np

from metertwin.core.batch import Int64s
from metertwin.core.clock import from_us
from metertwin.core.local_time import local_day_edges_us
from metertwin.exchange.usage_file import US_PER_S, usual_length_s

_SHORTEST_DAY_S = 79_200  # Antarctica/Troll moves its clocks by two hours


def lengths_s(
    columns: tuple[Int64s, Int64s],
    where: str,
    zone: ZoneInfo | None,
    problems: list[str],
    notes: list[str],
) -> Int64s:
    """Return lengths, those not given as far as starts are usually apart, or local days.

    Args:
        columns: Starts in microseconds since 1970 UTC, in any order, and lengths, 0 where not
            given.
        where: What to call the series.
        zone: Whose midnights begin days; None: it is not known.
        problems: Gets one where lengths cannot be told.
        notes: Gets one where they are not given.
    """
    start_us, length_s = columns
    is_given = length_s > 0
    if is_given.all():
        return length_s
    moments_us: Int64s = np.unique(start_us)
    distances_s: Int64s = (moments_us[1:] - moments_us[:-1]) // US_PER_S
    usual_s = usual_length_s(distances_s)
    if usual_s == 0:
        problems.append(f"{where} has one row and no length; add a column interval_s")
        return np.maximum(length_s, 1)
    days = None if zone is None else _local_days(moments_us, usual_s, zone)
    if days is not None:
        ends_us, told = days
        notes.append(f"Took local days of {zone} as the intervals of {where}: {told}.")
        own_s = (ends_us[np.searchsorted(moments_us, start_us)] - start_us) // US_PER_S
        return np.where(is_given, length_s, own_s)
    notes.append(f"Took {usual_s} s as the length of intervals of {where}: so far they are apart.")
    return np.where(is_given, length_s, usual_s)


def _local_days(moments_us: Int64s, usual_s: int, zone: ZoneInfo) -> tuple[Int64s, str] | None:
    """Return where intervals that begin with local days end; None where they do not.

    A local day has 23, 24 or 25 h, so days are counted, not seconds.

    Args:
        moments_us: Starts, ascending, at least two.
        usual_s: Usual distance of the starts.
        zone: Whose days.
    """
    if usual_s < _SHORTEST_DAY_S:
        return None
    first, last = (from_us(int(moments_us[at])).astimezone(zone).date() for at in (0, -1))
    day_count = (last - first) // timedelta(days=1) + 1
    edges_us = local_day_edges_us(first, day_count, zone)
    day = np.searchsorted(edges_us, moments_us)
    if (edges_us[day] != moments_us).any():
        return None
    step = usual_length_s(day[1:] - day[:-1])
    ends_us = local_day_edges_us(first, day_count + step, zone)[day + step]
    apart = "a day" if step == 1 else f"{step} days"
    return ends_us, f"its starts are midnights, {apart} apart"
