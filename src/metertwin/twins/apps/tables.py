"""Interval tables put together: pages of meters, and newer intervals over older ones."""

from collections.abc import Sequence

import numpy as np

from metertwin.core.ids import MeterId
from metertwin.core.interval_table import IntervalTable, KnownSpans
from metertwin.twins.apps.window import MixedProfilesError


def stacked(pages: Sequence[IntervalTable], meters: Sequence[MeterId]) -> IntervalTable:
    """Return the rows of all pages as one table in the order of `meters`.

    A meter on no page has a row of which nothing is known.

    Raises:
        MixedProfilesError: The pages are of different units or periods.
    """
    kinds = {(page.register.unit, page.register.period_s, page.start_us) for page in pages}
    if len(kinds) > 1:
        ways = " and ".join(
            sorted(
                {f"{page.register.unit.symbol} every {page.register.period_s} s" for page in pages}
            )
        )
        raise MixedProfilesError(
            f"These {len(meters)} meters count {pages[0].register.obis} in {ways}; ask for the "
            "meters of each way by themselves."
        )
    scaler = min(page.register.scaler for page in pages)
    table = _blank(pages[0], scaler, meters)
    place = {meter: row for row, meter in enumerate(meters)}
    spans = [table.spans]
    for page in pages:
        rows = np.array([place[meter] for meter in page.meters], np.int64)
        factor = 10 ** (page.register.scaler - scaler)
        table.gain[rows] = page.gain.astype(np.int64) * factor
        table.is_known[rows] = page.is_known
        table.quality[rows] = page.quality
        table.origin[rows] = page.origin
        old = page.spans
        spans.append(
            KnownSpans(rows[old.row], old.first_index, old.interval_count, old.gain * factor)
        )
    return _with_spans(table, spans)


def overlaid(older: IntervalTable, newer: IntervalTable) -> IntervalTable:
    """Return `older` with what `newer`, a later part of the same rows, knows better.

    Spans of the older table stay where none of their intervals became known.

    Raises:
        MixedProfilesError: The two differ in unit or period.
    """
    if not newer.is_known.any():
        return older
    is_same = (older.register.unit, older.period_us) == (newer.register.unit, newer.period_us)
    if not is_same:
        raise MixedProfilesError(
            f"{older.register.obis} is every {older.register.period_s} s in history and every "
            f"{newer.register.period_s} s in what the meters say now."
        )
    scaler = min(older.register.scaler, newer.register.scaler)
    table = _blank(older, scaler, older.meters)
    old_factor = 10 ** (older.register.scaler - scaler)
    new_factor = 10 ** (newer.register.scaler - scaler)
    for plane in ("is_known", "quality", "origin"):
        getattr(table, plane)[:] = getattr(older, plane)
    table.gain[:] = older.gain.astype(np.int64) * old_factor
    first = (newer.start_us - older.start_us) // older.period_us
    part = (slice(None), slice(first, first + newer.interval_count))
    known = newer.is_known
    table.gain[part][known] = newer.gain[known] * new_factor
    table.is_known[part][known] = True
    table.quality[part][known] = newer.quality[known]
    table.origin[part][known] = newer.origin[known]
    kept = [number for number, still in enumerate(_still_unknown(table, older.spans)) if still]
    spans = older.spans
    left = KnownSpans(
        spans.row[kept],
        spans.first_index[kept],
        spans.interval_count[kept],
        spans.gain[kept] * old_factor,
    )
    return _with_spans(table, [left])


def _still_unknown(table: IntervalTable, spans: KnownSpans) -> list[bool]:
    return [
        not table.is_known[row, first : first + count].any()
        for row, first, count in zip(
            spans.row.tolist(),
            spans.first_index.tolist(),
            spans.interval_count.tolist(),
            strict=True,
        )
    ]


def _blank(like: IntervalTable, scaler: int, meters: Sequence[MeterId]) -> IntervalTable:
    shape = (len(meters), like.interval_count)
    return IntervalTable(
        meters,
        like.register._replace(scaler=scaler),
        like.start_us,
        gain=np.zeros(shape, np.int64),
        is_known=np.zeros(shape, bool),
        quality=np.zeros(shape, np.uint8),
        origin=np.zeros(shape, np.uint8),
        spans=KnownSpans.none(),
    )


def _with_spans(table: IntervalTable, spans: Sequence[KnownSpans]) -> IntervalTable:
    return IntervalTable(
        table.meters,
        table.register,
        table.start_us,
        table.gain,
        table.is_known,
        table.quality,
        table.origin,
        KnownSpans(
            np.concatenate([each.row for each in spans]),
            np.concatenate([each.first_index for each in spans]),
            np.concatenate([each.interval_count for each in spans]),
            np.concatenate([each.gain for each in spans]),
        ),
    )
