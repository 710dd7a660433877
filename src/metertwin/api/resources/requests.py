"""Requests to a twin: answered from its state if fresh enough, else through to the meter."""

from typing import Annotated, Any

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.openapi.spec import Example
from litestar.params import Body, PathParameter

from metertwin.api.asking import ask_meter
from metertwin.api.context import DEADLINE_MAX_S, DEADLINE_S, ApiContext
from metertwin.api.resources.documentation import USAGE_NOW, answers
from metertwin.api.resources.parameters import MeterPath
from metertwin.bus.messages import Request

_encode = msgspec.json.Encoder().encode
JSON = "application/json"


class TwinRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked, and how fresh and how soon the answer must be.

    Attributes:
        max_age_s: Oldest value that will do, in s of the meters' time; null takes what there is.
        deadline_s: Longest time to wait for the answer, in s.
    """

    arguments: dict[str, Any] = {}
    max_age_s: Annotated[float, msgspec.Meta(ge=0)] | None = None
    deadline_s: Annotated[float, msgspec.Meta(gt=0, le=DEADLINE_MAX_S)] = DEADLINE_S


_EXAMPLES = [
    Example(summary="usage_now, at most 30 s old", value={"max_age_s": 30, "deadline_s": 5}),
    Example(
        summary="read_register, straight from the meter",
        value={"arguments": {"obis": "1-0:1.8.0*255"}, "max_age_s": 0},
    ),
    Example(
        summary="load_profile of a day",
        value={"arguments": {"start": "2026-03-29T00:00:00Z", "end": "2026-03-30T00:00:00Z"}},
    ),
]


@post(
    "/v1/twins/{meter:str}/requests/{name:str}",
    status_code=200,
    summary="Ask a twin",
    tags=["twins"],
    responses=answers(200, dict[str, Any], "What the twin answered.", USAGE_NOW),
)
async def ask_twin(
    context: NamedDependency[ApiContext],
    meter: MeterPath,
    name: Annotated[
        str,
        PathParameter(description="usage_now, read_register, load_profile, or an app's request."),
    ],
    data: Annotated[TwinRequest | None, Body(examples=_EXAMPLES)] = None,
) -> Response[bytes]:
    """Return the twin's answer; values carry captured_at, quality, origin and age."""
    asked = data or TwinRequest()
    request = Request(name, asked.arguments, asked.max_age_s)
    answer = await ask_meter(context, meter, request, object, asked.deadline_s)
    # Passed on as it came: what an app's answer looks like is between the app and its caller.
    return Response(_encode(answer), media_type=JSON)
