"""Events of one meter, as they were recorded."""

from typing import Annotated, Any

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from metertwin.api.asking import ask_meter
from metertwin.api.context import DEADLINE_S, ApiContext
from metertwin.api.ranges import asked_range
from metertwin.api.resources.documentation import answers
from metertwin.api.resources.parameters import EndQuery, MeterPath, StartQuery
from metertwin.api.series import rows
from metertwin.bus.messages import Request
from metertwin.bus.subjects import Kind
from metertwin.store.formats import JsonColumns


@get(
    "/v1/twins/{meter:str}/events",
    summary="List a meter's events",
    tags=["events"],
    responses=answers(),
)
async def list_events(
    context: NamedDependency[ApiContext],
    meter: MeterPath,
    start: StartQuery = None,
    end: EndQuery = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000, description="Events at most.")] = 100,
) -> dict[str, Any]:
    """Return the newest events with start <= captured_at < end, newest first."""
    arguments = asked_range(context, start, end) | {"limit": limit}
    answer = await ask_meter(
        context, meter, Request("events", arguments), JsonColumns, DEADLINE_S, kind=Kind.HISTORY
    )
    return {"meter": meter, "events": rows(answer.columns)}
