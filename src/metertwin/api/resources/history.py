"""History: the readings of one register, whole or resampled, in the form the caller prefers."""

import asyncio
from typing import Annotated, Any

from litestar import Request as HttpRequest
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import PathParameter, QueryParameter

from metertwin.api.asking import ask_meter
from metertwin.api.context import DEADLINE_S, ApiContext
from metertwin.api.ranges import asked_range
from metertwin.api.resources.documentation import SERIES, answers
from metertwin.api.resources.parameters import EndQuery, MeterPath, StartQuery
from metertwin.api.series import ARROW, FORMS, JSON, SeriesDocument, render, rows
from metertwin.bus.messages import Request
from metertwin.bus.subjects import Kind
from metertwin.core.errors import InvalidInputError, MeterTwinError
from metertwin.core.obis import Obis
from metertwin.store.formats import JsonColumns

ROWS_MAX = 200_000
_DEADLINE_S = 30.0
# Above, turning rows into text takes long enough to be felt by others who ask at that moment.
_ROWS_INLINE_BYTES = 50_000


class FormError(MeterTwinError):
    """The history is not given in any form the caller accepts."""

    code = "not_acceptable"


class ResampleError(InvalidInputError):
    """`every_s` and `how` do not fit together."""

    code = "input.resample"


@get(
    "/v1/twins/{meter:str}/history/{obis:str}",
    summary="Read a register's history",
    tags=["history"],
    responses=answers(200, SeriesDocument, "Columns of equal length.", SERIES),
)
async def show_history(
    context: NamedDependency[ApiContext],
    request: HttpRequest[Any, Any, Any],
    meter: MeterPath,
    obis: Annotated[str, PathParameter(description="The register, for example 1-0:1.8.0*255.")],
    *,
    start: StartQuery = None,
    end: EndQuery = None,
    period_s: Annotated[
        int | None,
        QueryParameter(
            ge=0, le=86_400 * 366, description="Series: 0 single reads, else the period."
        ),
    ] = None,
    every_s: Annotated[
        int | None, QueryParameter(ge=1, le=86_400 * 366, description="Window in s; needs how.")
    ] = None,
    how: Annotated[
        str | None, QueryParameter(max_length=10, description="mean, last, min, max or gain.")
    ] = None,
    limit: Annotated[
        int, QueryParameter(ge=1, le=ROWS_MAX, description="Readings at most.")
    ] = 100_000,
) -> Response[bytes]:
    """Return readings with start <= captured_at < end, as JSON, CSV or an Arrow stream (Accept).

    More than `limit` readings are refused, not cut: half a history looks like a whole one.
    """
    form = request.accept.best_match(
        list(FORMS), default=None if "accept" in request.headers else JSON
    )
    if form is None:
        raise FormError(f"The history comes as {', '.join(FORMS)}; accept one of them.")
    arguments: dict[str, Any] = asked_range(context, start, end) | {
        "obis": str(Obis.parse(obis)),
        "format": "arrow",
    }
    if period_s is not None:
        arguments["period_s"] = period_s
    question = Request("range", {**arguments, "limit": limit})
    if every_s is not None or how is not None:
        if every_s is None or how is None:
            raise ResampleError(f"every_s is {every_s}, how is {how}; give both or neither.")
        question = Request("resample", {**arguments, "every_s": every_s, "how": how})
    octets = await ask_meter(context, meter, question, bytes, _DEADLINE_S, kind=Kind.HISTORY)
    if form != ARROW and len(octets) > _ROWS_INLINE_BYTES:
        return Response(await asyncio.to_thread(render, octets, form), media_type=form)
    return Response(render(octets, form), media_type=form)


@get(
    "/v1/twins/{meter:str}/registers",
    summary="List a meter's registers",
    tags=["history"],
    responses=answers(),
)
async def list_registers(
    context: NamedDependency[ApiContext], meter: MeterPath
) -> list[dict[str, Any]]:
    """Return each register that has a history, with how many readings, the first and the last."""
    answer = await ask_meter(
        context, meter, Request("registers", {}), JsonColumns, DEADLINE_S, kind=Kind.HISTORY
    )
    return rows(answer.columns)
