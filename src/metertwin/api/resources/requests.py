"""Requests to a twin, from its state if fresh enough, else through to the meter; or to a group."""

from typing import Annotated, Any

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.openapi.spec import Example
from litestar.params import Body, PathParameter

from metertwin.api.asking import ask_group, ask_meter
from metertwin.api.context import DEADLINE_MAX_S, DEADLINE_S, ApiContext
from metertwin.api.resources.documentation import OF_GROUP, USAGE_NOW, answers
from metertwin.api.resources.parameters import GroupPath, MeterPath
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
_GROUP_EXAMPLES = [
    Example(summary="host: how the group is hosted", value={}),
    Example(
        summary="a request that takes long",
        value={"arguments": {"month": "2026-03"}, "deadline_s": 60},
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


@post(
    "/v1/groups/{group:str}/requests/{name:str}",
    status_code=200,
    summary="Ask a group",
    tags=["twins"],
    responses=answers(200, dict[str, Any], "What the group's host or app answered.", OF_GROUP),
)
async def ask_whole_group(
    context: NamedDependency[ApiContext],
    group: GroupPath,
    name: Annotated[
        str, PathParameter(description="A request of the whole group, of its host or of an app.")
    ],
    data: Annotated[TwinRequest | None, Body(examples=_GROUP_EXAMPLES)] = None,
) -> Response[bytes]:
    """Return the answer about the group as a whole."""
    asked = data or TwinRequest()
    request = Request(name, asked.arguments, asked.max_age_s)
    whose = context.directory.checked_group(group)
    answer = await ask_group(context, whose, request, object, asked.deadline_s)
    return Response(_encode(answer), media_type=JSON)
