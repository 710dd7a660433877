"""Sums and peaks of interval counts over runs: the only passes over all the intervals.

Rows are taken a few at a time, so that they stay in the processor's cache between the passes.
"""

from collections.abc import Callable

import numpy as np

from metertwin.apps.tariff.rating.usage import Counts, RatingError
from metertwin.core.batch import Int64s

_AT_ONCE_COUNTS = 1 << 19
_LIMIT = 2**63


def run_sums(counts: Counts, starts_index: Int64s) -> Int64s:
    """Return the sum of each run, from its start to the next one's, shape (n_meters, n_runs).

    Raises:
        RatingError: A count is negative, or so large that sums could overflow.
    """

    def checked_sums(block: Counts) -> Int64s:
        _check(block)
        sums: Int64s = np.add.reduceat(block, starts_index, axis=1, dtype=np.int64)
        return sums

    return _by_blocks(counts, checked_sums, len(starts_index))


def run_peaks(counts: Counts, starts_index: Int64s) -> Int64s:
    """Return the largest count of each run, shape (n_meters, n_runs)."""
    return _by_blocks(
        counts,
        lambda block: np.maximum.reduceat(block, starts_index, axis=1).astype(np.int64),
        len(starts_index),
    )


def _by_blocks(counts: Counts, reduced: Callable[[Counts], Int64s], run_count: int) -> Int64s:
    result = np.empty((len(counts), run_count), np.int64)
    step = max(1, _AT_ONCE_COUNTS // max(1, counts.shape[1]))
    for first in range(0, len(counts), step):
        result[first : first + step] = reduced(counts[first : first + step])
    return result


def _check(block: Counts) -> None:
    lowest = int(block.min())
    if lowest < 0:
        raise RatingError(
            f"Usage has a count of {lowest}; energy drawn and fed in are separate and never "
            "negative. Check how the intervals were made.",
            gain=lowest,
        )
    if block.dtype.itemsize == 8 and int(block.max()) * block.shape[1] >= _LIMIT:
        raise RatingError(
            f"Usage has a count of {int(block.max())}; sums over the range would leave 64 bits. "
            "Check the register's scaler.",
            gain=int(block.max()),
        )
