"""Profile generic, class 7: load profiles, billing periods, event logs, read whole or in part."""

from collections.abc import Callable, Sequence
from datetime import tzinfo
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from metertwin.core.clock import to_us
from metertwin.core.obis import Obis
from metertwin.cosem.apdu.descriptors import ByEntry, ByRange, CaptureObject, Selection
from metertwin.cosem.apdu.enumerations import DataAccessResult
from metertwin.cosem.classes.clock import CLOCK_NAME
from metertwin.cosem.classes.definition import Answer, CosemObject, Invoke, Role, S, Value
from metertwin.cosem.classes.interface import CLOCK, PROFILE_GENERIC
from metertwin.cosem.data import Data, array, encode, enum, uint32
from metertwin.cosem.datetime import decode_datetime
from metertwin.cosem.errors import CosemError, ServiceError

CLOCK_COLUMN = CaptureObject(CLOCK.class_id, CLOCK_NAME, 2)
"""The column that holds when a row was captured."""


class SortMethod(IntEnum):
    """Attribute 5: in which order rows are kept."""

    FIFO = 1
    LIFO = 2
    LARGEST = 3
    SMALLEST = 4
    NEAREST_TO_ZERO = 5
    FARTHEST_FROM_ZERO = 6


class RowSelection(NamedTuple):
    """Which part of a profile is wanted; every bound is included.

    Args:
        from_s: Rows captured at or after, in s since 1970 UTC; None for the oldest.
        to_s: Rows captured at or before; None for the newest.
        first_entry: First row wanted, counted from 1.
        last_entry: Last row wanted; 0 for the newest.
        columns: Places of the columns wanted, from 0; None for all.
    """

    from_s: int | None = None
    to_s: int | None = None
    first_entry: int = 1
    last_entry: int = 0
    columns: tuple[int, ...] | None = None

    def rows(self, captured_at_s: npt.NDArray[np.int64]) -> slice | npt.NDArray[np.intp]:
        """Return which of the rows, in the order of capture, are wanted.

        Args:
            captured_at_s: Capture times of all rows in s since 1970 UTC. They ascend, unless the
                meter's clock was set back in between; then an hour may be there twice.
        """
        start = max(self.first_entry - 1, 0)
        stop = self.last_entry or len(captured_at_s)
        if self.from_s is None and self.to_s is None:
            return slice(start, max(start, stop))
        first_s = -np.inf if self.from_s is None else self.from_s
        last_s = np.inf if self.to_s is None else self.to_s
        if np.any(captured_at_s[1:] < captured_at_s[:-1]):
            places = np.flatnonzero((captured_at_s >= first_s) & (captured_at_s <= last_s))
            return places[(places >= start) & (places < stop)]
        start = max(start, int(np.searchsorted(captured_at_s, first_s, "left")))
        stop = min(stop, int(np.searchsorted(captured_at_s, last_s, "right")))
        return slice(start, max(start, stop))


EVERYTHING = RowSelection()


class ProfileGeneric(CosemObject[S]):
    """Class 7, Profile generic.

    Selective access by entry works on any profile, by range on the clock column alone: a range of
    another column is refused as TYPE_UNMATCHED.

    Args:
        obis: The logical name.
        columns: What each row holds.
        buffer: Returns the array of the selected rows and columns, best by `rows.encode_rows`.
        entries_in_use: Rows held now.
        profile_entries_count: Rows it can hold.
        capture_period_s: Seconds between rows, 0 when something else triggers them.
        sort_method: In which order rows are kept.
        zone: Zone of date-times in a request that say no deviation; without one they are refused.
        reset: What method 1 does.
        capture: What method 2 does.
        read_by: Least role that may read.
    """

    interface = PROFILE_GENERIC
    __slots__ = ("_buffer", "_zone", "columns")

    def __init__(
        self,
        obis: Obis,
        columns: Sequence[CaptureObject],
        buffer: Callable[[S, RowSelection], Answer],
        *,
        entries_in_use: Callable[[S], int],
        profile_entries_count: int,
        capture_period_s: int,
        sort_method: SortMethod = SortMethod.FIFO,
        zone: tzinfo | None = None,
        reset: Invoke[S] | None = None,
        capture: Invoke[S] | None = None,
        read_by: Role = Role.READER,
    ) -> None:
        self.columns = tuple(columns)
        self._buffer = buffer
        self._zone = zone
        values: dict[int, Value[S]] = {
            2: lambda state: buffer(state, EVERYTHING),
            3: encode(array(*[column.to_data() for column in columns])),
            4: uint32(capture_period_s),
            5: enum(sort_method),
            6: CLOCK_COLUMN.to_data(),
            7: lambda state: uint32(entries_in_use(state)),
            8: uint32(profile_entries_count),
        }
        super().__init__(
            obis,
            values,
            methods={1: reset, 2: capture},
            selects={2: self._select},
            read_by=read_by,
        )

    def _select(self, state: S, selection: Selection) -> Answer:
        return self._buffer(state, self.resolve(selection))

    def resolve(self, selection: Selection) -> RowSelection:
        """Return a request's selection in this profile's terms.

        Raises:
            ServiceError: It restricts another column than the clock, names a column the profile
                does not have, or its times are not date-times.
        """
        if isinstance(selection, ByEntry):
            return self._by_entry(selection)
        return self._by_range(selection)

    def _by_entry(self, wanted: ByEntry) -> RowSelection:
        last_column = min(wanted.last_column or len(self.columns), len(self.columns))
        columns = tuple(range(max(wanted.first_column - 1, 0), last_column))
        if not columns:
            raise _refused(f"columns {wanted.first_column} to {wanted.last_column} do not exist")
        return RowSelection(
            first_entry=wanted.first_entry, last_entry=wanted.last_entry, columns=columns
        )

    def _by_range(self, wanted: ByRange) -> RowSelection:
        if wanted.restricting != CLOCK_COLUMN:
            raise _refused("rows are selected by the clock alone")
        missing = [column for column in wanted.columns if column not in self.columns]
        if missing:
            raise _refused(f"it has no column {missing[0].class_id}, {missing[0].obis}")
        places = tuple(self.columns.index(column) for column in wanted.columns)
        return RowSelection(
            from_s=-(-self._microseconds(wanted.first) // 1_000_000),
            to_s=self._microseconds(wanted.last) // 1_000_000,
            columns=places or None,
        )

    def _microseconds(self, value: Data) -> int:
        try:
            moment = decode_datetime(value.octets(), self._zone).moment
        except CosemError as error:
            raise _refused("a bound is not a date-time with every field") from error
        return to_us(moment)


def _refused(why: str) -> ServiceError:
    return ServiceError(
        f"The profile refuses the selection: {why}.", result=DataAccessResult.TYPE_UNMATCHED
    )
