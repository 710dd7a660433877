"""COSEM date-time octets to UTC and back.

The twelve octets hold local time, weekday, hundredths, the deviation in minutes (UTC = local time +
deviation, so -60 in Berlin's winter) and the clock's status. A deviation of 0x8000 means
"unspecified": then only the meter's configured zone can tell the instant.
"""

import struct
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from enum import IntFlag
from functools import lru_cache
from typing import NamedTuple

from metertwin.cosem.errors import DecodeError, EncodeError

_LAYOUT = struct.Struct(">HBBBBBBBhB")
_DEVIATION_UNSPECIFIED = -0x8000
_UNSPECIFIED = 0xFF


class ClockStatus(IntFlag):
    """What the clock says about its own time."""

    NONE = 0
    INVALID = 1 << 0
    DOUBTFUL = 1 << 1
    DIFFERENT_BASE = 1 << 2
    INVALID_STATUS = 1 << 3
    DAYLIGHT_SAVING = 1 << 7


class ClockTime(NamedTuple):
    """An instant and the status that came with it; None where the meter leaves it unspecified."""

    moment: datetime
    status: ClockStatus | None


def encode_datetime(
    moment: datetime, zone: tzinfo = UTC, status: ClockStatus = ClockStatus.NONE
) -> bytes:
    """Return an instant as the twelve octets, in a zone's local time.

    Args:
        moment: Any aware time; what is below a hundredth of a second is cut off.
        zone: The zone of the meter's clock; its summer time sets the daylight saving bit.
        status: Further status bits.

    Raises:
        EncodeError: The time has no zone, or lies outside the years 1 to 9999 there.

    Example:
        >>> new_year = datetime(2019, 12, 31, 22, 3, tzinfo=UTC)
        >>> encode_datetime(new_year, timezone(timedelta(hours=2))).hex()
        '07e401010300030000ff8800'
    """
    if moment.tzinfo is None:
        raise EncodeError(f"Time {moment.isoformat()} has no zone; give it in UTC.")
    try:
        zoned = moment.astimezone(zone)
        # Local mean times of before 1900 have seconds; the deviation has only whole minutes.
        deviation_min = -((zoned.utcoffset() or timedelta()) // timedelta(minutes=1))
        local = moment.astimezone(timezone(timedelta(minutes=-deviation_min)))
    except OverflowError:
        raise EncodeError(f"Time {moment.isoformat()} has no local time in {zone}.") from None
    if zoned.dst():
        status |= ClockStatus.DAYLIGHT_SAVING
    return _LAYOUT.pack(
        local.year,
        local.month,
        local.day,
        local.isoweekday(),
        local.hour,
        local.minute,
        local.second,
        local.microsecond // 10_000,
        deviation_min,
        status,
    )


def decode_datetime(octets: bytes, zone: tzinfo | None = None) -> ClockTime:
    """Return the instant of twelve octets.

    Unspecified minutes, seconds and hundredths count as 0. Where the deviation is unspecified, the
    daylight saving bit tells the two passes of the hour apart that the end of summer time repeats.

    Args:
        octets: Date-time, 12 octets.
        zone: The meter's configured zone, used only where the deviation is unspecified.

    Raises:
        DecodeError: There are not 12 octets, the date or hour is unspecified or impossible, or the
            deviation is unspecified and no zone is given.
    """
    if len(octets) != _LAYOUT.size:
        raise DecodeError(f"A date-time has 12 octets, here are {len(octets)}.")
    year, month, day, _, hour, minute, second, hundredths, deviation_min, status = _LAYOUT.unpack(
        octets
    )
    known = None if status == _UNSPECIFIED else ClockStatus(status)
    try:
        local = datetime(  # noqa: DTZ001 - the zone is found below, from the deviation
            year,
            month,
            day,
            hour,
            _or_zero(minute),
            _or_zero(second),
            10_000 * _or_zero(hundredths),
        )
        local = local.replace(
            tzinfo=_zone_of(deviation_min, zone),
            fold=known is not None and not known & ClockStatus.DAYLIGHT_SAVING,
        )
        return ClockTime(local.astimezone(UTC), known)
    except (ValueError, OverflowError) as error:
        raise DecodeError(
            f"Date-time {octets.hex()} is no instant: {error}.", octets=octets.hex()
        ) from None


def _or_zero(number: int) -> int:
    return 0 if number == _UNSPECIFIED else number


@lru_cache(maxsize=256)
def _zone_of(deviation_min: int, configured: tzinfo | None) -> tzinfo:
    if deviation_min != _DEVIATION_UNSPECIFIED:
        return timezone(timedelta(minutes=-deviation_min))
    if configured is None:
        raise ValueError("its deviation is unspecified; configure the meter's zone")
    return configured
