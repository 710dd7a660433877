"""A series of readings, from Arrow as the recorder answers it to what HTTP callers like."""

from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa

from metertwin.core.clock import from_us
from metertwin.core.reading import Origin
from metertwin.store.formats import exact_values, from_arrow_ipc, to_csv
from metertwin.store.series import SeriesLabel

JSON = "application/json"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
FORMS = (JSON, CSV, ARROW)
_ORIGINS = [origin.name.lower() for origin in Origin]


class SeriesDocument(msgspec.Struct, kw_only=True):
    """A series as JSON: columns of `count` values each; times in UTC, values as exact decimals."""

    meter: str
    obis: str
    unit: str
    scaler: int
    period_s: int
    count: int
    columns: dict[str, list[Any]]


def render(octets: bytes, form: str) -> bytes:
    """Return an Arrow stream of a labelled series in one of FORMS."""
    if form == ARROW:
        return octets
    table = from_arrow_ipc(octets)
    if form == CSV:
        return to_csv(table)
    label = SeriesLabel.read_from(table)
    assert label is not None
    columns = {"value": exact_values(table).to_pylist(), **readable(table)}
    # Time first, as in the store's own column order: people read from the left.
    times = {name: columns.pop(name) for name in list(columns) if _is_time(name)}
    return msgspec.json.encode(
        SeriesDocument(
            meter=label.meter,
            obis=label.obis,
            unit=label.unit,
            scaler=label.scaler,
            period_s=label.period_s,
            count=table.num_rows,
            columns={**times, **columns},
        )
    )


def rows(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Return a recorder's columns as rows, times in microseconds as UTC times.

    Example:
        >>> rows({"code": [2], "captured_at_us": [0]})
        [{'code': 2, 'captured_at': datetime.datetime(1970, 1, 1, 0, 0, tzinfo=...)}]
    """
    shown = {
        name.removesuffix("_us"): [_moment(us) for us in column] if _in_us(name) else column
        for name, column in columns.items()
    }
    return [dict(zip(shown, row, strict=True)) for row in zip(*shown.values(), strict=True)]


def readable(table: pa.Table) -> dict[str, list[Any]]:
    """Return a table's columns as people read them: times in UTC, origins by name."""
    shown: dict[str, list[Any]] = {}
    for name in table.column_names:
        column = table[name]
        if _in_us(name):
            shown[name.removesuffix("_us")] = _moments(column)
        elif name == "origin":
            shown[name] = [_ORIGINS[origin] for origin in column.to_pylist()]
        else:
            shown[name] = column.to_pylist()
    return shown


def _moments(times_us: pa.ChunkedArray) -> list[datetime | None]:
    """Return times; each is made once, however often it stands in the column."""
    encoded = times_us.combine_chunks().dictionary_encode()
    moments = [from_us(us) for us in encoded.dictionary.to_pylist()]
    return [None if at is None else moments[at] for at in encoded.indices.to_pylist()]


def _in_us(name: str) -> bool:
    return name.endswith("_us")


def _is_time(name: str) -> bool:
    return name in {"captured_at", "interval_start"}


def _moment(since_epoch_us: int | None) -> datetime | None:
    return None if since_epoch_us is None else from_us(since_epoch_us)
