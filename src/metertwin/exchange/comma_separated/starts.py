"""Starts of intervals as text: with offset, in UTC, or on a wall clock of a known zone."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

from metertwin.core.clock import from_us, to_us
from metertwin.core.errors import InvalidInputError

START_COLUMNS = {
    "interval_start_utc": "start_utc",
    "start_utc": "start_utc",
    "interval_start": "start",
    "start": "start",
    "start_time": "start",
    "timestamp": "start",
    "date_time": "start",
    "datetime": "start",
}
_DATE_LENGTH = 10  # 2026-10-25; with hours an ISO 8601 text has at least 11 characters
_FIRST_US = 0
_END_US = 7_258_118_400_000_000  # 2200


class StartError(InvalidInputError):
    """A start is no time, or one that the wall clock did not show."""

    code = "input.interval_start"


class Starts:
    """Reads starts.

    Args:
        zone: Zone of wall-clock times; None: times must have an offset.
    """

    def __init__(self, zone: ZoneInfo | None) -> None:
        self._zone = zone

    def of_row(self, cells: Mapping[str, str]) -> tuple[int, int]:
        """Return what `local_us` says of a row's start; twice the same for one in UTC.

        Raises:
            StartError: As of `utc_us` and `local_us`.
        """
        if text := cells.get("start_utc"):
            start_us = self.utc_us(text)
            return start_us, start_us
        return self.local_us(cells.get("start", ""))

    def utc_us(self, text: str) -> int:
        """Return a start in microseconds since 1970 UTC; without an offset it is UTC.

        Raises:
            StartError: It is not such a time.
        """
        moment = _parsed(text)
        return _checked_us(moment if moment.tzinfo else moment.replace(tzinfo=UTC), text)

    def local_us(self, text: str) -> tuple[int, int]:
        """Return the first and last moment that a start can mean, microseconds since 1970 UTC.

        They differ where the start has no offset and the zone's clocks show it twice in autumn. A
        date alone means the day's first moment.

        Raises:
            StartError: It is not such a time, has no offset and there is no zone, or the wall
                clock skipped it in spring.
        """
        moment = _parsed(text)
        if moment.tzinfo is not None:
            only_us = _checked_us(moment, text)
            return only_us, only_us
        if self._zone is None:
            raise StartError(f"start {text[:40]!r} has no offset such as +01:00; name the zone")
        first = moment.replace(tzinfo=self._zone, fold=0)
        first_us = _checked_us(first, text)
        if len(text) <= _DATE_LENGTH:  # where clocks skip midnight, this is when they do so
            return first_us, first_us
        second_us = _checked_us(first.replace(fold=1), text)
        if first_us > second_us:
            raise StartError(f"start {text[:40]!r} does not exist in {self._zone}: clocks skip it")
        return first_us, second_us


def resolved_us(first_us: Sequence[int], second_us: Mapping[int, int], where: str) -> list[int]:
    """Return starts of which each is one moment, decided by the order in which rows stand.

    Rows may stand oldest or newest first; those around a repeated hour show which.

    Args:
        first_us: Starts in the order of the file, the first moment of those shown twice.
        second_us: By row, the other moment of those shown twice.
        where: What to call the rows in the error.

    Raises:
        StartError: Rows around a repeated hour stand in neither order.
    """
    starts_us = list(first_us)
    for begin, end in _runs(sorted(second_us)):
        around = range(max(begin - 1, 0), min(end + 1, len(starts_us)))
        for rows in (around, around[::-1]):
            taken_us = _taken_us(rows, starts_us, second_us)
            if all(before_us <= after_us for before_us, after_us in pairwise(taken_us)):
                for row, start_us in zip(rows, taken_us, strict=True):
                    starts_us[row] = start_us
                break
        else:
            raise StartError(
                f"in {where} rows stand neither oldest nor newest first around the hour from "
                f"{from_us(min(first_us[begin:end])).isoformat()} on, which clocks show twice, so "
                "either can be meant; sort the rows, or write starts with their offset"
            )
    return starts_us


def _runs(rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield first and end of each run of neighbouring rows."""
    begin = 0
    for at in range(1, len(rows) + 1):
        if at == len(rows) or rows[at] != rows[at - 1] + 1:
            yield rows[begin], rows[at - 1] + 1
            begin = at


def _taken_us(
    rows: Sequence[int], starts_us: Sequence[int], second_us: Mapping[int, int]
) -> list[int]:
    """Return starts in ascending order of rows: the second moment where the first goes back."""
    taken_us: list[int] = []
    for row in rows:
        start_us = starts_us[row]
        if taken_us and start_us <= taken_us[-1]:
            start_us = second_us.get(row, start_us)
        taken_us.append(start_us)
    return taken_us


def _parsed(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise StartError(
            f"start {text[:40]!r} is not a time such as 2026-10-25T02:00:00+01:00"
        ) from None


def _checked_us(moment: datetime, text: str) -> int:
    start_us = to_us(moment)
    if not _FIRST_US <= start_us < _END_US or start_us % 1_000_000:
        raise StartError(f"start {text[:40]!r} is not on a whole second from 1970 to 2200")
    return start_us
