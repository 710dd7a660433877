"""Why a month is rated again, in sentences."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from zoneinfo import ZoneInfo

from metertwin.core.clock import from_us

_SINGLE_DAYS_MAX = 3
_US_PER_S = 1_000_000


def reasons_of(
    before: Mapping[str, str],
    after: Mapping[str, str],
    unmeasured_us: Sequence[tuple[int, int]],
    came_us: Sequence[int],
    *,
    period_s: int,
    zone: ZoneInfo,
) -> list[str]:
    """Return a sentence for everything that came or changed since a month was last rated.

    Args:
        before: What the old bill followed from, besides intervals.
        after: The same of the new one.
        unmeasured_us: Runs that no meter had told then: start (us since 1970 UTC) and count.
        came_us: Starts of the intervals that came since.
        period_s: Length of an interval.
        zone: Whose days the sentences name.

    Example:
        >>> reasons_of({}, {}, [(0, 4)], [0, 900_000_000, 7_200_000_000], period_s=900,
        ...            zone=ZoneInfo("UTC"))
        ['2 intervals of 1 January came late.',
         '1 interval of 1 January was corrected by the meter.']
    """
    was_unknown = {
        start_us + number * period_s * _US_PER_S
        for start_us, count in unmeasured_us
        for number in range(count)
    }
    late = [at for at in came_us if at in was_unknown]
    corrected = [at for at in came_us if at not in was_unknown]
    told = _of_days(late, zone, ("came late", "came late"))
    told += _of_days(corrected, zone, ("was corrected by the meter", "were corrected by the meter"))
    return [*told, *_of_causes(before, after)]


def _of_days(starts_us: Sequence[int], zone: ZoneInfo, said: tuple[str, str]) -> list[str]:
    days = Counter(from_us(at).astimezone(zone).date() for at in starts_us)
    if len(days) > _SINGLE_DAYS_MAX:
        first, last = day_name(min(days)), day_name(max(days))
        return [f"{len(starts_us)} intervals of {first} to {last} {said[1]}."]
    return [
        f"{_counted(count)} of {day_name(day)} {said[count != 1]}."
        for day, count in sorted(days.items())
    ]


def _counted(count: int) -> str:
    return f"{count} interval{'' if count == 1 else 's'}"


def day_name(day: date) -> str:
    """Return a day of a known year, for example `3 March`."""
    return f"{day.day} {day:%B}"


def _of_causes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    told = []
    if before.get("tariff") != after.get("tariff"):
        told.append(f"The tariff is {after.get('tariff')} instead of {before.get('tariff')}.")
    if before.get("carry") != after.get("carry"):
        told.append("The bill of the month before changed, and with it what it handed on.")
    if before.get("dynamics") != after.get("dynamics"):
        told.append("Real-time prices or critical peaks of the month changed.")
    edits_before = {name for name in before if name.startswith("edit ")}
    edits_after = {name for name in after if name.startswith("edit ")}
    told += [f"Edit: {after[name]}." for name in sorted(edits_after - edits_before)]
    told += [f"Edit withdrawn: {before[name]}." for name in sorted(edits_before - edits_after)]
    return told
