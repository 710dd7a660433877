"""Starts of intervals as text: with offset, in UTC, or on a wall clock of a known zone."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from metertwin.core.clock import to_us
from metertwin.core.errors import InvalidInputError

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

    def utc_us(self, text: str) -> int:
        """Return a start in microseconds since 1970 UTC; without an offset it is UTC.

        Raises:
            StartError: It is not such a time.
        """
        moment = _parsed(text)
        return _checked_us(moment if moment.tzinfo else moment.replace(tzinfo=UTC), text)

    def local_us(self, text: str, previous_us: int | None) -> int:
        """Return a start in microseconds since 1970 UTC; without an offset it is the zone's.

        Args:
            text: The start.
            previous_us: The start before it: of the two times a wall clock shows the same in
                autumn, the second is meant where the first does not come after it.

        Raises:
            StartError: It is not such a time, has no offset and there is no zone, or the wall
                clock skipped it in spring.
        """
        moment = _parsed(text)
        if moment.tzinfo is not None:
            return _checked_us(moment, text)
        if self._zone is None:
            raise StartError(f"start {text[:40]!r} has no offset such as +01:00; name the zone")
        first = moment.replace(tzinfo=self._zone, fold=0)
        first_us = _checked_us(first, text)
        second_us = _checked_us(first.replace(fold=1), text)
        if first_us > second_us:
            raise StartError(f"start {text[:40]!r} does not exist in {self._zone}: clocks skip it")
        return second_us if previous_us is not None and first_us <= previous_us else first_us


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
