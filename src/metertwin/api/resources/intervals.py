"""Interval energies of a whole group, for whoever bills or analyses."""

import asyncio
from typing import Annotated

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from metertwin.api.asking import ask_group
from metertwin.api.context import ApiContext
from metertwin.api.intervals import (
    MEDIA_TYPES,
    IntervalForm,
    IntervalsDocument,
    render_intervals,
)
from metertwin.api.ranges import asked_range
from metertwin.api.resources.documentation import INTERVALS, answers
from metertwin.api.resources.parameters import EndQuery, GroupPath, StartQuery
from metertwin.bus.intervals import unpack_table
from metertwin.bus.messages import Request
from metertwin.bus.subjects import Kind
from metertwin.core.ids import meter_id
from metertwin.core.obis import Obis

_DEADLINE_S = 30.0


@get(
    "/v1/groups/{group:str}/intervals",
    summary="Read a group's interval energies",
    tags=["history"],
    responses=answers(200, IntervalsDocument, "Columns of equal length.", INTERVALS),
)
async def show_intervals(
    context: NamedDependency[ApiContext],
    group: GroupPath,
    obis: Annotated[
        str, QueryParameter(description="A cumulative register, for example 1-0:1.8.0*255.")
    ],
    *,
    start: StartQuery = None,
    end: EndQuery = None,
    period_s: Annotated[
        int | None,
        QueryParameter(ge=1, le=86_400 * 366, description="Capture period; default the shortest."),
    ] = None,
    meter: Annotated[
        list[str] | None, QueryParameter(description="Only these meters, in this order.")
    ] = None,
    format: Annotated[  # noqa: A002 - the query's own word, and the one its errors name
        IntervalForm, QueryParameter(description="columns (JSON), csv or arrow.")
    ] = IntervalForm.COLUMNS,
) -> Response[bytes]:
    """Return what each meter's register gained per interval, as JSON columns, CSV or Arrow stream.

    Range and intervals stand on the grid of the capture period since 1970 UTC. A run of intervals
    of which only the total is known is one row with the run's length; what is not known has no
    value. At most 1,000,000 intervals in one answer: 100 meters' quarter hours of 104 days.
    """
    arguments = asked_range(context, start, end) | {
        "obis": str(Obis.parse(obis)),
        "period_s": period_s,
        "meters": None if meter is None else [meter_id(each) for each in meter],
    }
    whose = context.directory.checked_group(group)
    octets = await ask_group(
        context, whose, Request("intervals", arguments), bytes, _DEADLINE_S, kind=Kind.HISTORY
    )
    content = await asyncio.to_thread(lambda: render_intervals(unpack_table(octets), whose, format))
    return Response(content, media_type=MEDIA_TYPES[format])
