"""Interval tables cut to what is asked, and to what a meter has at all."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from metertwin.core.batch import Int64s
from metertwin.core.interval_table import Flags, IntervalTable, KnownSpans
from metertwin.core.reading import Origin


def newest_us_of(table: IntervalTable) -> Int64s:
    """Return the end of each meter's newest interval known, -1 where none is."""
    back = table.is_known[:, ::-1]
    last = np.where(back.any(axis=1), table.interval_count - back.argmax(axis=1), 0)
    newest: Int64s = np.where(last > 0, table.start_us + last * table.period_us, -1)
    return newest


def metered(
    table: IntervalTable, imports: IntervalTable, is_wanted: Flags, is_promised: Flags
) -> IntervalTable | None:
    """Return a further register, 0 of meters that do not have it; None where nobody does."""
    if table.end_us != imports.end_us and table.period_us == imports.period_us:
        table = cut(table, imports.start_us, imports.end_us)
    is_told = np.asarray(table.is_known.any(axis=1))
    is_told[table.spans.row] = True
    is_metered = (is_told & is_wanted) | is_promised
    if not is_metered.any():
        return None
    without = ~is_metered[:, None]
    spans = table.spans
    kept = np.flatnonzero(is_metered[spans.row])
    return replace(
        table,
        gain=np.where(without, 0, table.gain),
        is_known=table.is_known | without,
        origin=np.where(without, Origin.MEASURED, table.origin).astype(np.uint8),
        quality=np.where(without, 0, table.quality).astype(np.uint8),
        spans=KnownSpans(
            spans.row[kept], spans.first_index[kept], spans.interval_count[kept], spans.gain[kept]
        ),
    )


def nothing_before(table: IntervalTable, is_before: Flags) -> IntervalTable:
    """Return the table with nothing where the meter was not there yet."""
    if not is_before.any():
        return table
    return replace(
        table,
        gain=np.where(is_before, 0, table.gain),
        is_known=table.is_known | is_before,
        origin=np.where(is_before, Origin.MEASURED, table.origin).astype(np.uint8),
    )


def take_rows(table: IntervalTable, rows: Int64s) -> IntervalTable:
    """Return some rows of a table, in this order."""
    if len(rows) == len(table.meters) and (rows == np.arange(len(rows))).all():
        return table
    place: Mapping[int, int] = {row: at for at, row in enumerate(rows.tolist())}
    spans = table.spans
    kept = np.array([n for n in range(len(spans)) if int(spans.row[n]) in place], np.int64)
    return IntervalTable(
        [table.meters[row] for row in rows.tolist()],
        table.register,
        table.start_us,
        table.gain[rows],
        table.is_known[rows],
        table.quality[rows],
        table.origin[rows],
        KnownSpans(
            np.array([place[int(spans.row[n])] for n in kept.tolist()], np.int64),
            spans.first_index[kept],
            spans.interval_count[kept],
            spans.gain[kept],
        ),
    )


def cut(table: IntervalTable, start_us: int, end_us: int) -> IntervalTable:
    """Return the intervals within [start, end); spans that reach over are left out."""
    if (start_us, end_us) == (table.start_us, table.end_us):
        return table
    first = (start_us - table.start_us) // table.period_us
    last = (end_us - table.start_us) // table.period_us
    part = np.s_[:, first:last]
    spans = table.spans
    kept = (spans.first_index >= first) & (spans.first_index + spans.interval_count <= last)
    return replace(
        table,
        start_us=start_us,
        gain=table.gain[part],
        is_known=table.is_known[part],
        quality=table.quality[part],
        origin=table.origin[part],
        spans=KnownSpans(
            spans.row[kept],
            spans.first_index[kept] - first,
            spans.interval_count[kept],
            spans.gain[kept],
        ),
    )
