"""An interval table of a group in the forms that HTTP callers like: one row for each gain.

A run of intervals of which only the total is known is one row with the length of the run; an
interval of which nothing is known is a row without a value. So the rows of a meter cover the range
without gap or overlap, and summing what has a value counts nothing twice.
"""

from enum import StrEnum

import msgspec
import numpy as np
import pyarrow as pa

from metertwin.api.series import ARROW, CSV, JSON, readable
from metertwin.core.interval_table import IntervalTable
from metertwin.store.formats import exact_values, to_arrow_ipc, to_csv
from metertwin.store.series import SeriesLabel


class IntervalForm(StrEnum):
    """How interval energies are written."""

    COLUMNS = "columns"
    CSV = "csv"
    ARROW = "arrow"


MEDIA_TYPES = {IntervalForm.COLUMNS: JSON, IntervalForm.CSV: CSV, IntervalForm.ARROW: ARROW}


class IntervalsDocument(msgspec.Struct, kw_only=True):
    """Interval energies as JSON: columns of `count` values each, sorted by meter and time.

    Attributes:
        columns: meter, interval_start, length_s, value (exact decimal in `unit`, null where not
            known), integer, quality, origin.
    """

    group: str
    obis: str
    unit: str
    scaler: int
    period_s: int
    count: int
    columns: dict[str, list[object]]


def render_intervals(table: IntervalTable, group: str, form: IntervalForm) -> bytes:
    """Return an interval table of a group in one of the forms."""
    rows = interval_rows(table)
    if form is IntervalForm.ARROW:
        return to_arrow_ipc(rows)
    if form is IntervalForm.CSV:
        return to_csv(rows)
    register = table.register
    return msgspec.json.encode(
        IntervalsDocument(
            group=group,
            obis=str(register.obis),
            unit=register.unit.symbol,
            scaler=register.scaler,
            period_s=register.period_s,
            count=rows.num_rows,
            columns=readable(rows) | {"value": exact_values(rows).to_pylist()},
        )
    )


def interval_rows(table: IntervalTable) -> pa.Table:
    """Return a labelled table with one row for each gain, span and unknown interval.

    Columns meter, interval_start_us, length_s, integer (null where not known), quality, origin;
    sorted by the table's order of meters and by time.
    """
    spans = table.spans
    length = np.ones(table.gain.shape, np.int64)
    gain = table.gain.astype(np.int64)
    is_known = table.is_known.copy()
    places = (spans.row, spans.first_index)
    for row, first, count in zip(*places, spans.interval_count, strict=True):
        length[row, first + 1 : first + count] = 0
    length[places], gain[places], is_known[places] = spans.interval_count, spans.gain, True
    meter_index, interval_index = np.nonzero(length)
    at = (meter_index, interval_index)
    register = table.register
    names = pa.array([str(meter) for meter in table.meters], pa.string())
    rows = pa.table(
        {
            "meter": names.take(pa.array(meter_index)),
            "interval_start_us": table.starts_us()[interval_index],
            "length_s": length[at] * register.period_s,
            "integer": pa.array(gain[at], mask=~is_known[at]),
            "quality": table.quality[at],
            "origin": table.origin[at],
        }
    )
    label = SeriesLabel(
        "", str(register.obis), register.unit.symbol, register.scaler, register.period_s
    )
    return label.write_to(rows)
