"""Which of the two tariffs is in force: the calendars the meters follow."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from metertwin.simulation.local_clock import offsets_min

Ints = NDArray[np.int64]

_DAY_S, _MONDAY_OFFSET_DAYS = 86_400, 3  # 1970-01-01 was a Thursday


@dataclass(frozen=True, slots=True)
class Switch:
    """From this second of the local day on, this tariff (1 or 2) is in force."""

    second_of_day: int
    tariff: int


@dataclass(frozen=True, slots=True)
class TariffCalendar:
    """The switches of each weekday, Monday first; before a day's first switch its last holds."""

    week: tuple[tuple[Switch, ...], ...]

    def at(self, starts_s: Ints, zone: ZoneInfo) -> NDArray[np.uint8]:
        """Return the tariff at each moment, given in s since 1970 UTC."""
        minutes, _ = offsets_min(zone, starts_s)
        local_s = starts_s + 60 * minutes
        weekdays = (local_s // _DAY_S + _MONDAY_OFFSET_DAYS) % 7
        tariffs = np.ones(len(starts_s), np.uint8)
        for weekday, switches in enumerate(self.week):
            here = np.flatnonzero(weekdays == weekday)
            times = np.array([switch.second_of_day for switch in switches])
            order = np.array([switch.tariff for switch in switches], np.uint8)
            tariffs[here] = order[np.searchsorted(times, local_s[here] % _DAY_S, "right") - 1]
        return tariffs


DAY_AND_NIGHT = TariffCalendar(((Switch(6 * 3600, 1), Switch(22 * 3600, 2)),) * 7)
"""Tariff 1 from 6 to 22 o'clock, tariff 2 at night."""
