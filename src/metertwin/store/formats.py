"""Answers as JSON, CSV and Arrow bytes, with exact decimals.

A value is integer x 10^scaler and is written out in full ("230.4", never 2.304e2), so a
spreadsheet and a bill start from the same digits the meter showed.
"""

import io
from dataclasses import asdict

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from metertwin.core.batch import Int64s
from metertwin.core.clock import from_us
from metertwin.core.reading import Origin
from metertwin.core.units import scaled
from metertwin.store.series import SeriesLabel

# Arrow prints decimals below 10^-6 with an exponent; outside these scalers Python writes them out.
_ARROW_SCALERS = range(-6, 1)
_DECIMAL_DIGITS = 38


class JsonColumns(msgspec.Struct, frozen=True, omit_defaults=True):
    """A table as columns for JSON; a series also has exact values and says what it is.

    Attributes:
        columns: Values by column name, all of one length; times in microseconds since 1970 UTC.
            A series has a column `value`: integer x 10^scaler as decimal text.
        meter: Of a series; as the fields below it None for any other table.
        unit: Symbol; empty for a plain number.
        period_s: Capture period of the load profile, in s; 0 for values read at a moment.
    """

    columns: dict[str, list[int | str | None]]
    meter: str | None = None
    obis: str | None = None
    unit: str | None = None
    scaler: int | None = None
    period_s: int | None = None


def to_json_columns(table: pa.Table) -> JsonColumns:
    """Return a table as columns that msgspec writes as JSON or MessagePack."""
    columns = {name: table[name].to_pylist() for name in table.column_names}
    label = SeriesLabel.read_from(table)
    if label is None:
        return JsonColumns(columns=columns)
    columns["value"] = exact_values(table).to_pylist()
    return JsonColumns(columns=columns, **asdict(label))


def to_csv(table: pa.Table) -> bytes:
    """Return a table as CSV with a header; times as ISO 8601 in UTC, origins by name.

    A series has the columns value and unit beside its integers.
    """
    columns = {}
    for name in table.column_names:
        if name.endswith("_us"):
            columns[name.removesuffix("_us")] = iso_times(table[name])
        elif name == "origin":
            names = [origin.name.lower() for origin in Origin]
            columns[name] = pa.array(names).take(table[name].combine_chunks().cast(pa.int32()))
        else:
            columns[name] = table[name]
    label = SeriesLabel.read_from(table)
    if label is not None:
        columns["value"] = exact_values(table)
        columns["unit"] = pa.array([label.unit] * len(table), pa.string())
    written = io.BytesIO()
    # Nothing in a series needs quotes; Arrow would otherwise quote the decimals as text.
    quoting = "needed" if label is None else "none"
    csv.write_csv(pa.table(columns), written, csv.WriteOptions(quoting_style=quoting))
    return written.getvalue()


def to_arrow_ipc(table: pa.Table) -> bytes:
    """Return a table as an Arrow IPC stream; a series keeps its label in the schema's metadata."""
    written = io.BytesIO()
    with pa.ipc.new_stream(written, table.schema) as stream:
        stream.write_table(table)
    return written.getvalue()


def from_arrow_ipc(octets: bytes) -> pa.Table:
    """Return the table of an Arrow IPC stream."""
    with pa.ipc.open_stream(octets) as stream:
        return stream.read_all()


def exact_values(table: pa.Table) -> pa.Array:
    """Return a series' values as decimal strings, shape (n,); null where the integer is null.

    The table must have a label (see `series.SeriesLabel`).
    """
    label = SeriesLabel.read_from(table)
    assert label is not None
    integers = table["integer"].combine_chunks()
    if label.scaler in _ARROW_SCALERS:
        known = integers.fill_null(0).to_numpy()
        texts = _as_decimals(known, -label.scaler).cast(pa.string())
        return pc.if_else(integers.is_valid(), texts, None) if integers.null_count else texts
    return pa.array(
        [None if n is None else f"{scaled(n, label.scaler):f}" for n in integers.to_pylist()],
        pa.string(),
    )


def iso_times(times_us: pa.ChunkedArray) -> pa.Array:
    """Return microseconds since 1970 as ISO 8601 in UTC; null stays null."""
    # Whole seconds are written without a fraction, as people write them; one text for each time.
    encoded = times_us.combine_chunks().dictionary_encode()
    texts = [from_us(us).isoformat() for us in encoded.dictionary.to_pylist()]
    return pa.array(texts, pa.string()).take(encoded.indices)


def _as_decimals(integers: Int64s, digits: int) -> pa.Array:
    """Return integers x 10^-digits as Arrow decimals: 128 bits each, the low word first."""
    words = np.empty((len(integers), 2), dtype="<i8")
    words[:, 0] = integers
    words[:, 1] = integers >> 63
    kind = pa.decimal128(_DECIMAL_DIGITS, digits)
    return pa.Array.from_buffers(kind, len(integers), [None, pa.py_buffer(words)])
