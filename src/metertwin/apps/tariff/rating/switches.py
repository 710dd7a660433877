"""Where a tariff's calendars change period within an interval, which then has no one price.

Energy of an interval is known as a whole. Where another period begins within it, what was used
before and after is not known, and any split would be a guess on a bill.
"""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from metertwin.apps.tariff.calendar import Calendar
from metertwin.apps.tariff.demand import DemandCharge
from metertwin.apps.tariff.energy import EnergyCharge
from metertwin.apps.tariff.rating.usage import RatingError
from metertwin.apps.tariff.schedule import period_indices, switches_us
from metertwin.apps.tariff.tariff import Tariff
from metertwin.core.batch import Int64s
from metertwin.core.clock import from_us

_US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class _Split:
    """A switch of a calendar within an interval.

    Attributes:
        at: When, in local time.
        before: Period that ends.
        after: Period that begins.
        fitting_s: Longest length within which no switch of the calendar lies.
    """

    at: datetime
    before: str
    after: str
    fitting_s: int


def check_intervals(
    tariff: Tariff, spans_us: tuple[Int64s, Int64s], period_s: int, until_us: int | None = None
) -> None:
    """Refuse intervals of energy within which a price of energy or a demand period changes.

    Args:
        tariff: Its calendars.
        spans_us: Starts and ends of the intervals, microseconds since 1970 UTC, ascending, apart,
            at least one.
        period_s: Their usual length.
        until_us: Where the last one's month ends, if it does so later: switches are looked up
            until there, and found again for a month that goes on.

    Raises:
        RatingError: A switch lies within an interval.
    """
    charges = [(f"demand charge {charge.name}", charge.calendar) for charge in tariff.demand]
    if isinstance(tariff.energy, EnergyCharge):
        charges.insert(0, ("price of energy", tariff.energy.calendar))
    for name, calendar in charges:
        split = _first_split(calendar, ZoneInfo(tariff.zone), spans_us, until_us)
        if split is not None:
            raise RatingError(
                f"The {name} of tariff {tariff.id} changes from {split.before} to {split.after} at "
                f"{split.at:%Y-%m-%d %H:%M} in {tariff.zone}, within an interval of {period_s} s: "
                "how much was used before and after is not known. Give usage in intervals of "
                f"{split.fitting_s} s, or of a length that divides them, or take a tariff that "
                "does not depend on the hour.",
                tariff=tariff.id,
                period_s=period_s,
            )


def check_windows(
    tariff: Tariff, charge: DemandCharge, spans_us: tuple[Int64s, Int64s], until_us: int
) -> None:
    """Refuse averaging windows within which the period of a demand charge changes.

    Args:
        tariff: Whose charge it is.
        charge: The charge.
        spans_us: Starts and ends of its windows, as for `check_intervals`.
        until_us: Likewise.

    Raises:
        RatingError: A switch lies within a window.
    """
    split = _first_split(charge.calendar, ZoneInfo(tariff.zone), spans_us, until_us)
    if split is not None:
        raise RatingError(
            f"The demand charge {charge.name} of tariff {tariff.id} changes from {split.before} to "
            f"{split.after} at {split.at:%Y-%m-%d %H:%M} in {tariff.zone}, within a window of "
            f"{charge.window_s} s over which power is averaged; give the charge a window of "
            f"{split.fitting_s} s, or of a length that divides them.",
            tariff=tariff.id,
            window_s=charge.window_s,
        )


def _first_split(
    calendar: Calendar, zone: ZoneInfo, spans_us: tuple[Int64s, Int64s], until_us: int | None
) -> _Split | None:
    starts_us, ends_us = spans_us
    end_us = int(ends_us[-1])
    found_us = switches_us(calendar, zone, int(starts_us[0]), until_us or end_us)
    moments_us = found_us[found_us < end_us]
    at = np.searchsorted(starts_us, moments_us, side="right") - 1
    inside = moments_us[(starts_us[at] < moments_us) & (moments_us < ends_us[at])]
    if not len(inside):
        return None
    moment_us = int(inside[0])
    around_us = np.array([moment_us - 1, moment_us], np.int64)
    before, after = period_indices(calendar, zone, around_us).tolist()
    return _Split(
        at=from_us(moment_us).astimezone(zone),
        before=calendar.periods[before],
        after=calendar.periods[after],
        fitting_s=int(np.gcd.reduce(moments_us - starts_us[0])) // _US_PER_S,
    )
