"""Which of several readings of one (meter, register, captured_at) stands.

The highest number wins, in whatever order they come, so the table is the same after any crash and
any redelivery. A loser that says the same as the winner is a repetition and only counted; one that
says something else was superseded and goes to the audit.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metertwin.core.batch import Int64s

# Columns of different integer types go by one name here; the widest serves for the checker.
Columns = dict[str, Int64s]
NAMES = (
    "meter_id",
    "register_id",
    "captured_at_us",
    "integer",
    "quality",
    "origin",
    "received_at_us",
    "sequence",
)
_KEY = ("meter_id", "register_id", "captured_at_us")
_SAID = ("integer", "quality", "origin")


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What to do with the rows that were judged, as positions in them.

    Attributes:
        winners: One row for each key.
        superseded: Losers that differ from their winner.
        repeated: Losers that say the same as it.
    """

    winners: Int64s
    superseded: Int64s
    repeated: Int64s


def judge(rows: Columns, is_stored: NDArray[np.bool_]) -> Verdict:
    """Judge rows, stored ones and new ones together.

    Args:
        rows: The columns of `NAMES`, each of shape (n,).
        is_stored: Whether a row is in the table already; of two rows with the same number the
            stored one stands. Shape (n,).
    """
    order = np.lexsort(
        (
            ~is_stored,
            -rows["sequence"].astype(np.int64),
            rows["captured_at_us"],
            rows["register_id"],
            rows["meter_id"],
        )
    )
    is_winner = np.ones(len(order), dtype=bool)
    is_winner[1:] = False
    for name in _KEY:
        column = rows[name][order]
        is_winner[1:] |= column[1:] != column[:-1]
    winner_of = np.flatnonzero(is_winner)[np.cumsum(is_winner) - 1]
    says_the_same = np.ones(len(order), dtype=bool)
    for name in _SAID:
        column = rows[name][order]
        says_the_same &= column == column[winner_of]
    return Verdict(
        winners=order[is_winner],
        superseded=order[~is_winner & ~says_the_same],
        repeated=order[~is_winner & says_the_same],
    )
