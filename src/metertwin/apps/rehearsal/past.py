"""A history as an app's window showed it at some moment of the past."""

import numpy as np

from metertwin.apps.app import History
from metertwin.core.batch import Int64s
from metertwin.core.clock import from_us
from metertwin.core.errors import NotFoundError
from metertwin.core.interval_table import IntervalTable, KnownSpans
from metertwin.core.obis import Obis

_US_PER_DAY = 86_400_000_000


class PastIntervals:
    """The intervals of a history that lie before a moment, as the app's window showed them then.

    Args:
        history: Tables of the same meters in the same order.
        window_days: How far back the app may look, besides today.
    """

    def __init__(self, history: History, window_days: int) -> None:
        self._history = history
        self._window_us = window_days * _US_PER_DAY
        self.now_us = 0

    @property
    def first_us(self) -> int:
        """Start of the window: a midnight UTC as in a twin host, or the history's start."""
        begun_us = min((table.start_us for table in self._history.values()), default=0)
        return max(begun_us, self.now_us // _US_PER_DAY * _US_PER_DAY - self._window_us)

    def table(self, obis: Obis, start_us: int, end_us: int, rows: Int64s) -> IntervalTable:
        """Return the intervals of some meters over [start, end), unknown from now on.

        Raises:
            NotFoundError: The history does not have the register, or begins later.
        """
        table = self._history.get(obis)
        if table is None or start_us < self.first_us:
            raise NotFoundError(
                f"The rehearsal has no intervals of {obis} from {from_us(start_us).isoformat()} "
                f"on; it has {', '.join(map(str, self._history)) or 'none'} from "
                f"{from_us(self.first_us).isoformat()} on.",
                obis=str(obis),
            )
        return _section(table, start_us, end_us, rows, self.now_us)


def _section(
    table: IntervalTable, start_us: int, end_us: int, rows: Int64s, now_us: int
) -> IntervalTable:
    first = (start_us - table.start_us) // table.period_us
    count = max((end_us - start_us) // table.period_us, 0)
    have = slice(max(first, 0), max(min(first + count, table.interval_count), 0))
    passed_count = (now_us - table.start_us) // table.period_us
    shape = (len(rows), count)
    gain, is_known = np.zeros(shape, table.gain.dtype), np.zeros(shape, bool)
    quality, origin = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    place = slice(have.start - first, have.start - first + max(have.stop - have.start, 0))
    is_past = np.arange(have.start, max(have.stop, have.start)) < passed_count
    is_known[:, place] = table.is_known[rows][:, have] & is_past
    gain[:, place] = np.where(is_known[:, place], table.gain[rows][:, have], 0)
    quality[:, place] = np.where(is_past, table.quality[rows][:, have], 0)
    origin[:, place] = np.where(is_past, table.origin[rows][:, have], 0)
    return IntervalTable(
        meters=[table.meters[row] for row in rows.tolist()],
        register=table.register,
        start_us=start_us,
        gain=gain,
        is_known=is_known,
        quality=quality,
        origin=origin,
        spans=_spans(table.spans, rows, first, min(first + count, passed_count)),
    )


def _spans(spans: KnownSpans, rows: Int64s, first: int, last: int) -> KnownSpans:
    """Return the spans of some rows that lie within [first, last), moved to the section."""
    places = {int(row): place for place, row in enumerate(rows)}
    kept = [
        number
        for number in range(len(spans))
        if int(spans.row[number]) in places
        and spans.first_index[number] >= first
        and spans.first_index[number] + spans.interval_count[number] <= last
    ]
    return KnownSpans(
        np.array([places[int(spans.row[number])] for number in kept], np.int64),
        spans.first_index[kept] - first,
        spans.interval_count[kept],
        spans.gain[kept],
    )
