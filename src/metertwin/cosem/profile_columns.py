"""Profile buffers straight from their octets to numpy columns, all rows at once.

Rows of one layout, the usual case, are never made into values: their octets form a matrix, and a
column is a view of it. Rows that differ (nulls, texts of varying length) go through
`metertwin.cosem.profile` and end in the same columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo

import numpy as np
import numpy.typing as npt

from metertwin.core.clock import to_us
from metertwin.cosem.apdu.descriptors import CaptureObject
from metertwin.cosem.data import decode, decode_all
from metertwin.cosem.datetime import decode_datetime
from metertwin.cosem.errors import DecodeError
from metertwin.cosem.lengths import read_length
from metertwin.cosem.profile import is_clock, read_profile
from metertwin.cosem.uniform import Layout, layout_of
from metertwin.cosem.values import Data, Tag

Int64s = npt.NDArray[np.int64]
Octets = npt.NDArray[np.uint8]

STATUS_UNSPECIFIED = 0xFF
_US_PER_S = 1_000_000
_INT64_MAX = 2**63 - 1
_INTEGERS = {
    Tag.INT8: ">i1",
    Tag.INT16: ">i2",
    Tag.INT32: ">i4",
    Tag.INT64: ">i8",
    Tag.UINT8: ">u1",
    Tag.UINT16: ">u2",
    Tag.UINT32: ">u4",
    Tag.UINT64: ">u8",
    Tag.ENUM: ">u1",
}


@dataclass(frozen=True, slots=True)
class ProfileColumns:
    """A profile buffer of n rows as columns.

    Attributes:
        columns: What each column is.
        captured_at_us: The clock's column in microseconds since 1970 UTC, shape (n,); shape (0,)
            if no column is a clock.
        clock_status: The status that came with each time, as captured_at_us;
            `STATUS_UNSPECIFIED` where the meter left it or the time out.
        integers: Per column its integers, shape (n,), or None for a column that has none.
    """

    columns: tuple[CaptureObject, ...]
    captured_at_us: Int64s
    clock_status: Octets
    integers: tuple[Int64s | None, ...]


def read_profile_columns(
    octets: bytes,
    columns: Sequence[CaptureObject],
    capture_period_s: int,
    zone: tzinfo | None = None,
) -> ProfileColumns:
    """Return an encoded profile buffer as columns.

    Args:
        octets: The buffer's A-XDR octets, as `ClientAssociation.get_octets` returns them.
        columns: The captured objects, in the order of a row's elements.
        capture_period_s: The profile's capture period in s, 0 for event-driven ones.
        zone: The meter's zone, where its times leave the deviation unspecified.

    Raises:
        DecodeError: As `read_profile`; or an unsigned integer is above 2^63 - 1.
    """
    uniform = _matrix(octets, len(columns))
    if uniform is None:
        return _by_values(octets, columns, capture_period_s, zone)
    layout, matrix = uniform
    captured_at_us, status = np.empty(0, np.int64), np.empty(0, np.uint8)
    integers: list[Int64s | None] = []
    for column, tag, start, size in zip(
        columns, layout.tags, layout.offsets, layout.sizes, strict=True
    ):
        cells = matrix[:, start : start + size]
        if is_clock(column):
            captured_at_us, status = _times(cells, zone), _status(cells)
            integers.append(None)
        else:
            integers.append(_integers(cells, tag))
    return ProfileColumns(tuple(columns), captured_at_us, status, tuple(integers))


def _matrix(octets: bytes, column_count: int) -> tuple[Layout, Octets] | None:
    """Return layout and octets of the rows, shape (n_rows, row size), if they have one layout."""
    if octets[:1] != bytes((Tag.ARRAY,)):
        return None
    row_count, start = read_length(octets, 1)
    if not row_count or octets[start : start + 1] != bytes((Tag.STRUCTURE,)):
        return None
    end = decode(octets, start)[1]
    layout = layout_of(octets[start:end])
    size = end - start
    if (
        layout is None
        or len(layout.tags) != column_count
        or row_count * size != len(octets) - start
    ):
        return None
    matrix = np.frombuffer(octets, np.uint8, offset=start).reshape(row_count, size)
    fixed = np.frombuffer(layout.fixed, np.uint8) != 0
    return (layout, matrix) if (matrix[:, fixed] == matrix[0, fixed]).all() else None


def _integers(cells: Octets, tag: Tag) -> Int64s | None:
    kind = _INTEGERS.get(tag)
    if kind is None:
        return None
    numbers = np.ascontiguousarray(cells).view(kind)[:, 0]
    if tag is Tag.UINT64 and (numbers > _INT64_MAX).any():
        raise DecodeError(f"A column holds {numbers.max()}; integers up to {_INT64_MAX} are read.")
    return numbers.astype(np.int64)


def _status(cells: Octets) -> Octets:
    return cells[:, -1].copy() if cells.shape[1] else np.empty(0, np.uint8)


def _times(cells: Octets, zone: tzinfo | None) -> Int64s:
    """Return date-times of shape (n, 12) as microseconds since 1970 UTC."""
    plain = _plain_times(cells) if cells.shape[1] == 12 else None
    if plain is not None:
        return plain
    moments = [to_us(decode_datetime(bytes(row), zone).moment) for row in cells]
    return np.array(moments, np.int64)


def _plain_times(cells: Octets) -> Int64s | None:
    """Return the times if every part of every one is specified, possible and not before 1970."""
    parts = cells.astype(np.int64)
    year = parts[:, 0] << 8 | parts[:, 1]
    month, day = parts[:, 2], parts[:, 3]
    clock = parts[:, 5:9]
    deviation_min = np.ascontiguousarray(cells[:, 9:11]).view(">i2")[:, 0].astype(np.int64)
    is_possible = (year >= 1970) & (year <= 9998) & (month >= 1) & (month <= 12) & (day >= 1)
    is_possible &= (clock < (24, 60, 60, 100)).all(axis=1) & (np.abs(deviation_min) < 24 * 60)
    if not is_possible.all():
        return None
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    if (days.astype("datetime64[M]") != months).any():
        return None
    second = days.astype(np.int64) * 86_400 + clock[:, 0] * 3600 + clock[:, 1] * 60 + clock[:, 2]
    captured_at_us: Int64s = (second + deviation_min * 60) * _US_PER_S + clock[:, 3] * 10_000
    return captured_at_us


def _by_values(
    octets: bytes, columns: Sequence[CaptureObject], capture_period_s: int, zone: tzinfo | None
) -> ProfileColumns:
    rows = read_profile(decode_all(octets), columns, capture_period_s, zone)
    status = [STATUS_UNSPECIFIED if known is None else int(known) for known in rows.clock_status]
    return ProfileColumns(
        rows.columns,
        np.array([to_us(moment) for moment in rows.captured_at], np.int64),
        np.array(status, np.uint8),
        tuple(
            None if is_clock(column) else _integer_values(cells)
            for column, cells in zip(columns, rows.values, strict=True)
        ),
    )


def _integer_values(cells: tuple[Data, ...]) -> Int64s | None:
    if not all(cell.tag in _INTEGERS for cell in cells):
        return None
    numbers = [cell.integer() for cell in cells]
    if max(numbers, default=0) > _INT64_MAX:
        raise DecodeError(f"A column holds {max(numbers)}; integers up to {_INT64_MAX} are read.")
    return np.array(numbers, np.int64)
