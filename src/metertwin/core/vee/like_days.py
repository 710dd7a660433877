"""What a meter's own like days say of an interval: the mean at the same time of day."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metertwin.core.batch import Int64s
from metertwin.core.vee.days import TableDays

Flags = NDArray[np.bool_]
_CELLS_AT_ONCE = 1 << 16


class LikeDayMeans(NamedTuple):
    """Means at the time of day of each missing interval, columns (n_missing,).

    Attributes:
        like_gain: Mean of days of the same kind, in counts; 0 without any.
        like_count: Days it is made from.
        other_gain: Mean of days of any kind.
        other_count: Days it is made from.
    """

    like_gain: NDArray[np.float64]
    like_count: Int64s
    other_gain: NDArray[np.float64]
    other_count: Int64s


def like_day_means(
    gain: Int64s, is_sound: Flags, days: TableDays, missing: tuple[Int64s, Int64s], window_days: int
) -> LikeDayMeans:
    """Return the means for each missing interval.

    Args:
        gain: Counts, shape (n_meters, n_intervals).
        is_sound: Which of them may serve as an example, same shape.
        days: Days of the intervals.
        missing: Row and interval of each missing one, columns (n_missing,).
        window_days: Examples lie within so many days before or after.
    """
    parts = [
        _means(gain, is_sound, days, (rows, columns), window_days)
        for rows, columns in zip(*(_pieces(each) for each in missing), strict=True)
    ]
    return LikeDayMeans(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _pieces(column: Int64s) -> list[Int64s]:
    starts = range(0, max(len(column), 1), _CELLS_AT_ONCE)
    return [column[start : start + _CELLS_AT_ONCE] for start in starts]


def _means(
    gain: Int64s, is_sound: Flags, days: TableDays, missing: tuple[Int64s, Int64s], window_days: int
) -> LikeDayMeans:
    rows, columns = missing
    examples = days.same_slot_index[days.slot_index[columns]]
    own_day = days.day_index[columns][:, None]
    day = days.day_index[examples]
    is_example = (examples >= 0) & (day != own_day) & is_sound[rows[:, None], examples]
    is_example &= np.abs(day - own_day) <= window_days
    is_like = is_example & (days.day_kind[day] == days.day_kind[own_day])
    values = gain[rows[:, None], examples]
    return LikeDayMeans(*_mean(values, is_like), *_mean(values, is_example))


def _mean(values: Int64s, is_wanted: Flags) -> tuple[NDArray[np.float64], Int64s]:
    count = is_wanted.sum(axis=1, dtype=np.int64)
    total = np.where(is_wanted, values, 0).sum(axis=1, dtype=np.int64)
    return total / np.maximum(count, 1), count
