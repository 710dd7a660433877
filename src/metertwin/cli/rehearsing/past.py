"""A group's recorded intervals, fetched page by page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from metertwin.bus.connection import Bus
from metertwin.bus.intervals import meters_per_page, unpack_table
from metertwin.bus.messages import Request
from metertwin.bus.requests import ask
from metertwin.bus.subjects import Kind, subject
from metertwin.core.errors import InvalidInputError, NotFoundError
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.interval_table import IntervalTable
from metertwin.core.obis import Obis
from metertwin.core.twin import LedgerLine
from metertwin.twins.apps.tables import stacked

_ASK_WITHIN_S = 60.0
_PERIOD_S = 900  # of the usual load profile

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Span:
    """What of the past is wanted: [start, end), UTC."""

    start: datetime
    end: datetime


async def fetch_history(
    bus: Bus, group: GroupId, registers: Sequence[Obis], span: Span, said: Progress
) -> dict[Obis, IntervalTable]:
    """Return the intervals of all meters of a group; registers that no meter has are left out.

    Args:
        bus: A connection that may ask the recorder.
        group: Whose.
        registers: Which.
        span: From when to when.
        said: Told what is being fetched and how much of it is here, 0 to 1.

    Raises:
        NotFoundError: The group has no history of any of them.
        UnavailableError: The recorder does not answer.
    """
    to = subject(group, Kind.HISTORY)
    lines = await ask(bus, to, Request("ledger"), _ASK_WITHIN_S, list[LedgerLine])
    meters = sorted(line.meter for line in lines)
    history: dict[Obis, IntervalTable] = {}
    for obis in registers:
        pages: list[IntervalTable] = []
        at_once, first = _at_once(span, _PERIOD_S), 0
        while first < len(meters):
            said(f"reading {obis}", first / len(meters))
            try:
                page = await _page(bus, to, obis, span, meters[first : first + at_once])
            except InvalidInputError as error:
                # Meters that capture oftener fill a page sooner; the recorder says how many fit.
                fitting = error.facts.get("meters_per_page")
                if not isinstance(fitting, int) or not 0 < fitting < at_once:
                    raise
                at_once = fitting
                continue
            pages += [] if page is None else [page]
            first += at_once
        if pages:
            history[obis] = stacked(pages, meters)
    if not history:
        raise NotFoundError(
            f"Group {group} has no intervals of {', '.join(map(str, registers))} between "
            f"{span.start.isoformat()} and {span.end.isoformat()}; `metertwin history` shows "
            "what is recorded.",
            group=group,
        )
    return history


def _at_once(span: Span, period_s: int) -> int:
    interval_count = int((span.end - span.start).total_seconds() // period_s)
    return max(meters_per_page(interval_count), 1)


async def _page(
    bus: Bus, to: str, obis: Obis, span: Span, meters: Sequence[MeterId]
) -> IntervalTable | None:
    arguments = {
        "obis": str(obis),
        "start": span.start,
        "end": span.end,
        "meters": list(meters),
    }
    try:
        octets = await ask(bus, to, Request("intervals", arguments), _ASK_WITHIN_S, bytes)
    except NotFoundError:
        return None
    return unpack_table(octets)
