"""Profile buffers and registers as a head-end wants them: columns, times, exact numbers.

A meter may send null instead of a value: in the clock's column it means "one capture period after
the row before", in any other "as in the row before".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import NamedTuple

from metertwin.core.units import Unit, scaled, unit_from_code
from metertwin.cosem.apdu.descriptors import CaptureObject
from metertwin.cosem.data import Data, Tag
from metertwin.cosem.datetime import ClockStatus, ClockTime, decode_datetime
from metertwin.cosem.errors import DecodeError

_CLOCK_CLASS = 8
_CLOCK_TIME = 2


class ScalerUnit(NamedTuple):
    """A register's scaler_unit: value = integer x 10^scaler, in `unit`."""

    scaler: int
    unit: Unit

    def decimal(self, value: Data) -> Decimal:
        """Return a register's value as an exact decimal in `unit`.

        Raises:
            UnexpectedTypeError: The value is not an integer.
        """
        return scaled(value.integer(), self.scaler)

    @classmethod
    def from_data(cls, data: Data) -> "ScalerUnit":
        """Read the structure of scaler and unit.

        Raises:
            DecodeError: It has other elements.
            InvalidInputError: The unit's code is not known.
        """
        elements = data.elements()
        if len(elements) != 2:
            raise DecodeError(f"A scaler_unit has 2 elements, here are {len(elements)}.")
        return cls(elements[0].integer(), unit_from_code(elements[1].integer()))


@dataclass(frozen=True, slots=True)
class ProfileRows:
    """A read profile buffer.

    Attributes:
        columns: What each column is.
        captured_at: The clock's column in UTC, one per row; empty if no column is a clock.
        clock_status: What came with each time; None where it is unspecified or was left out.
        values: One tuple per column, the clock's included, one value per row, nulls filled in
            (the clock's stay null).
    """

    columns: tuple[CaptureObject, ...]
    captured_at: tuple[datetime, ...]
    clock_status: tuple[ClockStatus | None, ...]
    values: tuple[tuple[Data, ...], ...]


def is_clock(column: CaptureObject) -> bool:
    """Return whether a column holds the rows' times."""
    return (column.class_id, column.attribute) == (_CLOCK_CLASS, _CLOCK_TIME)


def read_profile(
    buffer: Data,
    columns: Sequence[CaptureObject],
    capture_period_s: int,
    zone: tzinfo | None = None,
) -> ProfileRows:
    """Return a profile buffer as columns with times.

    Args:
        buffer: The array of structures a meter answers, one per row.
        columns: The captured objects, in the order of the structures' elements.
        capture_period_s: The profile's capture period in s, 0 for event-driven ones.
        zone: The meter's zone, where its times leave the deviation unspecified.

    Raises:
        DecodeError: A row has another number of elements, the first row leaves a value out, an
            event-driven profile leaves a time out, or a time is no instant.
    """
    rows = [_row(row, len(columns), index) for index, row in enumerate(buffer.elements())]
    by_column = list(zip(*rows, strict=True)) if rows else [() for _ in columns]
    times: list[ClockTime] = []
    values: list[tuple[Data, ...]] = []
    for column, cells in zip(columns, by_column, strict=True):
        if is_clock(column):
            times = _read_times(cells, capture_period_s, zone)
            values.append(cells)
        else:
            values.append(_fill(cells, column))
    return ProfileRows(
        tuple(columns),
        tuple([time.moment for time in times]),
        tuple([time.status for time in times]),
        tuple(values),
    )


def _row(row: Data, column_count: int, index: int) -> tuple[Data, ...]:
    cells = row.elements()
    if len(cells) != column_count:
        raise DecodeError(
            f"Row {index} of the profile has {len(cells)} elements; {column_count} columns are "
            "captured. Read capture_objects again: the meter may have been reconfigured.",
            row=index,
            element_count=len(cells),
        )
    return cells


def _fill(cells: tuple[Data, ...], column: CaptureObject) -> tuple[Data, ...]:
    if not any(cell.tag is Tag.NULL for cell in cells):
        return cells
    if cells[0].tag is Tag.NULL:
        raise DecodeError(
            f"The first row leaves out {column.obis}, attribute {column.attribute}; there is no "
            "row before it to take the value from.",
            obis=str(column.obis),
        )
    filled = []
    last = cells[0]
    for cell in cells:
        last = last if cell.tag is Tag.NULL else cell
        filled.append(last)
    return tuple(filled)


def _read_times(
    cells: tuple[Data, ...], capture_period_s: int, zone: tzinfo | None
) -> list[ClockTime]:
    step = timedelta(seconds=capture_period_s)
    times: list[ClockTime] = []
    for index, cell in enumerate(cells):
        if cell.tag is not Tag.NULL:
            times.append(decode_datetime(cell.octets(), zone))
        elif times and step:
            times.append(ClockTime(times[-1].moment + step, None))
        else:
            raise DecodeError(
                f"Row {index} of the profile has no time, and none can be told from a row before "
                f"it with a capture period of {capture_period_s} s.",
                row=index,
            )
    return times
