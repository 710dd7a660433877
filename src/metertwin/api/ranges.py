"""The range a caller asks a history for."""

from datetime import datetime, timedelta

from metertwin.api.context import ApiContext
from metertwin.api.moments import check_order, parse_moment

_DEFAULT_RANGE = timedelta(hours=24)


def asked_range(context: ApiContext, start: str | None, end: str | None) -> dict[str, datetime]:
    """Return `start` and `end`; by default the last 24 h of the meters' time.

    Raises:
        MomentError: One is no time or has no zone, or they do not follow each other.
    """
    last = context.clock.now() if end is None else parse_moment("end", end)
    if start is None:
        # Near the year 1 there are no 24 h before.
        first = last - min(_DEFAULT_RANGE, last - datetime.min.replace(tzinfo=last.tzinfo))
    else:
        first = parse_moment("start", start)
    check_order(first, last)
    return {"start": first, "end": last}
