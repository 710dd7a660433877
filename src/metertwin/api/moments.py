"""Times in requests: ISO 8601 with a zone, answered in UTC."""

from datetime import UTC, datetime

from metertwin.core.errors import InvalidInputError


class MomentError(InvalidInputError):
    """The text is not a time, or says no zone."""

    code = "input.time"


def parse_moment(name: str, text: str) -> datetime:
    """Return the UTC time of an ISO 8601 text.

    Args:
        name: The parameter's name, for the error's sentence.
        text: For example 2026-03-29T01:00:00Z or 2026-03-29T03:00:00+02:00.

    Raises:
        MomentError: It is no time, has no zone, or leaves the years 1 to 9999 in UTC.

    Example:
        >>> parse_moment("start", "2026-03-29T03:00:00+02:00").isoformat()
        '2026-03-29T01:00:00+00:00'
    """
    # A '+' in a query string arrives as a space unless the caller wrote %2B; only a zone's
    # sign can stand before the last hh:mm, so the repair is safe.
    repaired = text[:-6] + "+" + text[-5:] if text[-6:-5] == " " and text[-3:-2] == ":" else text
    try:
        moment = datetime.fromisoformat(repaired)
        if moment.tzinfo is None:
            raise MomentError(
                f"{name} is {text[:40]!r}, which says no zone; write it in UTC with a Z, for "
                "example 2026-03-29T01:00:00Z.",
                name=name,
                text=text[:40],
            )
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise MomentError(
            f"{name} is {text[:40]!r}, which is no ISO 8601 time; write for example "
            "2026-03-29T01:00:00Z.",
            name=name,
            text=text[:40],
        ) from None


def check_order(start: datetime, end: datetime) -> None:
    """Raise MomentError unless `start` is before `end`."""
    if start >= end:
        raise MomentError(
            f"start {start.isoformat()} is not before end {end.isoformat()}.",
            start=start.isoformat(),
            end=end.isoformat(),
        )
