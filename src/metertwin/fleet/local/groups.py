"""The groups of a site, from the meters that it reads."""

from metertwin.core.ids import GroupId
from metertwin.meters.entry import MeterEntry
from metertwin.twins.settings import GroupSettings

_INTERVAL_S = 900.0
_POLLS_FRESH_COUNT = 3


def groups_of(
    entries: tuple[MeterEntry, ...], poll_s: float, twins_per_container: int = 0
) -> tuple[GroupSettings, ...]:
    """Return the groups that a registry's meters form, in the order in which they occur.

    A twin counts as in step until it missed two polls, `poll_s` of the meters' time apart, and for
    an interval of the load profile at least.
    """
    meters: dict[GroupId, list[MeterEntry]] = {}
    for entry in entries:
        meters.setdefault(entry.group_id, []).append(entry)
    return tuple(
        GroupSettings(
            id=group,
            meters=tuple(entry.meter for entry in of_group),
            freshness_s=max(_INTERVAL_S, _POLLS_FRESH_COUNT * poll_s),
            protected_meters=tuple(entry.meter for entry in of_group if entry.is_protected),
            twins_per_container=twins_per_container,
        )
        for group, of_group in meters.items()
    )
