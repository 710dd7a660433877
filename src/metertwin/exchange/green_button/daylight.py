"""Time zones as ESPI says them: an offset, and two rules for when another one holds.

A rule is 32 bits (DstRuleType): seconds 0-11, hours 12-16, day of the week 17-19 (Monday is 1),
day of the month 20-24, operator 25-27, month 28-31; all ones mean that there is none. Operators: 0
the day of the month, 1 the weekday on or after it, 2 to 6 the first to fifth such weekday, 7 the
last. Hours are of the wall clock before the change.

The end must come after the start within a year, so for zones south of the equator winter is told
as the exception: the offset is that of January, and the rules add a negative one.
"""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

NO_RULE = 0xFFFFFFFF
_LAST = 7
# Where a file's title names no zone, its rules are those of one of these or of none we can name.
_KNOWN_ZONES = (
    "UTC",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Phoenix",
    "America/Los_Angeles",
    "America/Anchorage",
    "Pacific/Honolulu",
    "America/Halifax",
    "America/St_Johns",
    "Europe/London",
    "Europe/Berlin",
    "Europe/Athens",
    "Asia/Shanghai",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "Australia/Sydney",
    "Australia/Brisbane",
    "Pacific/Auckland",
)


@dataclass(frozen=True, slots=True)
class LocalTime:
    """ESPI's LocalTimeParameters.

    Attributes:
        tz_offset_s: Local time less UTC while the rules do not apply.
        dst_offset_s: What the rules add between their start and their end.
        dst_start_code: Rule of the start, 32 bits.
        dst_end_code: Rule of the end, 32 bits.
        is_exact: Whether these are the zone's times in all years asked for.
    """

    tz_offset_s: int
    dst_offset_s: int = 0
    dst_start_code: int = NO_RULE
    dst_end_code: int = NO_RULE
    is_exact: bool = True


def local_time_of(zone: ZoneInfo, first_year: int, last_year: int) -> LocalTime:
    """Return a zone's parameters for some years.

    A zone whose times two rules cannot say in these years (rules that changed meanwhile, rules of
    the moon's calendar) is told with its offset at the start of the last year and no rules, and
    is not `is_exact`. Interval starts are UTC and stay right; only local labels are off.
    """
    base = _offset(datetime(last_year, 1, 1, tzinfo=UTC), zone)
    fixed = LocalTime(base // timedelta(seconds=1))
    changes = [_changes(year, zone) for year in range(first_year, last_year + 1)]
    if not any(changes):
        return fixed
    if any(len(year) != 2 or year[0][1] != base for year in changes):
        return LocalTime(fixed.tz_offset_s, is_exact=False)
    shifts = {year[1][1] for year in changes}
    # Later years decide between "fourth" and "last" where the file's own leave both possible.
    ahead = [_changes(year, zone) for year in range(last_year + 1, last_year + 7)]
    rules = [
        _rule([year[at][0] for year in changes], [y[at][0] for y in ahead if len(y) == 2])
        for at in (0, 1)
    ]
    if len(shifts) != 1 or rules[0] is None or rules[1] is None:
        return LocalTime(fixed.tz_offset_s, is_exact=False)
    shift_s = (shifts.pop() - base) // timedelta(seconds=1)
    return LocalTime(fixed.tz_offset_s, shift_s, rules[0], rules[1])


def zone_of(local_time: LocalTime, title: str, first_year: int, last_year: int) -> ZoneInfo | None:
    """Return the zone that a file's parameters are of, None where we can name none.

    That is the zone its title names, if the offset agrees, else one of some well-known zones that
    has these parameters in these years.
    """
    for name in (title, *_KNOWN_ZONES):
        try:
            zone = ZoneInfo(name)
            told = local_time_of(zone, first_year, last_year)
        except (ZoneInfoNotFoundError, ValueError, OSError, OverflowError):
            continue
        if told == local_time or (name == title and told.tz_offset_s == local_time.tz_offset_s):
            return zone
    return None


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)


def _changes(year: int, zone: ZoneInfo) -> list[tuple[datetime, timedelta]]:
    """Return a year's changes of the offset: wall clock and offset before each."""
    changes = []
    moment, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    step = timedelta(days=5)
    while moment < end:
        if _offset(moment, zone) != _offset(moment + step, zone):
            changed = _change_within(moment, moment + step, zone)
            before = _offset(moment, zone)
            changes.append(((changed + before).replace(tzinfo=None), before))
        moment += step
    return changes


def _change_within(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    before = _offset(low, zone)
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        if _offset(middle, zone) == before:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


def _rule(moments: Sequence[datetime], ahead: Sequence[datetime]) -> int | None:
    """Return the rule that gives all these wall-clock moments, one a year; None: there is none."""
    first = moments[0]
    candidates = [_nth(first), _last(first), _fixed(first)]
    candidates += [_on_or_after(first, day) for day in range(max(1, first.day - 6), first.day + 1)]
    fitting = [code for code in candidates if all(_gives(code, each) for each in moments)]
    lasting = [code for code in fitting if all(_gives(code, each) for each in ahead)]
    return next(iter(lasting or fitting), None)


def _code(moment: datetime, operator: int, weekday: int, day: int) -> int:
    seconds = moment.minute * 60 + moment.second
    bits = moment.month << 28 | operator << 25 | day << 20 | weekday << 17
    return bits | moment.hour << 12 | seconds


def _nth(moment: datetime) -> int:
    return _code(moment, 2 + (moment.day - 1) // 7, moment.isoweekday(), 0)


def _last(moment: datetime) -> int:
    return _code(moment, _LAST, moment.isoweekday(), 0)


def _fixed(moment: datetime) -> int:
    return _code(moment, 0, 0, moment.day)


def _on_or_after(moment: datetime, day: int) -> int:
    return _code(moment, 1, moment.isoweekday(), day)


def _gives(code: int, moment: datetime) -> bool:
    """Say whether a rule gives this moment in its year."""
    operator, weekday, day = code >> 25 & 7, code >> 17 & 7, code >> 20 & 31
    month_days = calendar.monthrange(moment.year, moment.month)[1]
    is_weekday = operator == 0 or moment.isoweekday() == weekday
    is_day = {
        0: moment.day == day,
        1: 0 <= moment.day - day < 7,
        _LAST: moment.day > month_days - 7,
    }.get(operator, (moment.day - 1) // 7 == operator - 2)
    is_time = code >> 28 == moment.month and code & 0x1FFFF == _code(moment, 0, 0, 0) & 0x1FFFF
    return is_weekday and is_day and is_time
