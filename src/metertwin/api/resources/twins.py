"""Twins: the list, and what one says of itself."""

from typing import Annotated, Any

import msgspec
from litestar import get, patch
from litestar.di import NamedDependency
from litestar.openapi.spec import Example
from litestar.params import Body, QueryParameter

from metertwin.api.answers import TwinPage
from metertwin.api.asking import ask_meter, ask_owner, each_group, want
from metertwin.api.context import DEADLINE_S, ApiContext
from metertwin.api.resources.documentation import answers
from metertwin.api.resources.parameters import GroupQuery, MeterPath, Offset, PageLimit
from metertwin.api.stood_in import Told
from metertwin.bus.messages import Request
from metertwin.core.ids import GroupId
from metertwin.core.twin import TwinDocument, TwinStatus


class DesiredChanges(msgspec.Struct, forbid_unknown_fields=True):
    """What is wanted of a meter from now on, by path; null withdraws a wish."""

    changes: Annotated[dict[str, str | int | None], msgspec.Meta(min_length=1, max_length=64)]


class DesiredState(msgspec.Struct):
    """All that is wanted of a meter; the version grows with every change.

    Attributes:
        version: The last known one while the twin's host cannot be reached, as `desired` is.
        kept: Wishes that are kept and not yet at the meter's site; null to want nothing.
        note: Why they are kept.
    """

    version: int
    desired: dict[str, str | int]
    kept: dict[str, str | int | None] = {}
    note: str = ""


@get("/v1/twins", summary="List twins", tags=["twins"], responses=answers())
async def list_twins(
    context: NamedDependency[ApiContext],
    *,
    search: Annotated[
        str, QueryParameter(max_length=64, description="Only meters whose id has this part.")
    ] = "",
    group: GroupQuery = None,
    status: Annotated[
        TwinStatus | None, QueryParameter(description="Only twins that stand so to their meter.")
    ] = None,
    offset: Offset = 0,
    limit: PageLimit = 100,
) -> TwinPage:
    """Return a page of twins, sorted by group; each with its newest values and their age."""
    groups = context.directory.groups
    if group is not None:
        groups = (context.directory.checked_group(group),)
    filters = {"search": search} | ({"status": status.value} if status else {})

    async def page_of(one: GroupId, skip: int, take: int) -> Told[TwinPage]:
        request = Request("twins", {**filters, "offset": skip, "limit": take})
        return await ask_owner(context, one, request, TwinPage, DEADLINE_S)

    if len(groups) == 1:
        pages, silent = await each_group(groups, lambda one: page_of(one, offset, limit))
        total = sum(page.answer.total for page in pages.values())
        return TwinPage(total, _items(pages), silent, _last_known(pages))
    counted, silent = await each_group(groups, lambda one: page_of(one, 0, 1))
    cuts = _cuts(
        {one: counted[one].answer.total for one in groups if one in counted}, offset, limit
    )
    pages, fell_silent = await each_group(cuts, lambda one: page_of(one, *cuts[one]))
    total = sum(page.answer.total for page in counted.values())
    last_known = {**_last_known(counted), **_last_known(pages)}
    return TwinPage(total, _items(pages), {**silent, **fell_silent}, last_known)


@get("/v1/twins/{meter:str}", summary="Show a twin", tags=["twins"], responses=answers())
async def show_twin(context: NamedDependency[ApiContext], meter: MeterPath) -> TwinDocument:
    """Return what the meter reported, what is wanted of it, and how fresh that is."""
    return await ask_meter(context, meter, Request("twin", {}), TwinDocument, DEADLINE_S)


@get(
    "/v1/twins/{meter:str}/latest",
    summary="Newest values of a twin",
    tags=["twins"],
    responses=answers(),
)
async def show_latest(context: NamedDependency[ApiContext], meter: MeterPath) -> dict[str, Any]:
    """Return the newest reported value of each register, by OBIS code, each with its age."""
    twin = await ask_meter(context, meter, Request("twin", {}), TwinDocument, DEADLINE_S)
    return {
        "meter": twin.meter,
        "answered_at": twin.answered_at,
        "age_s": twin.age_s,
        "latest": twin.reported,
    }


@patch(
    "/v1/twins/{meter:str}/desired",
    summary="Say what is wanted",
    tags=["twins"],
    responses=answers(),
)
async def change_desired(
    context: NamedDependency[ApiContext],
    meter: MeterPath,
    data: Annotated[
        DesiredChanges,
        Body(
            examples=[
                Example(
                    summary="Connect, and limit to 3 kW",
                    value={"changes": {"disconnect_control": "connected", "limit_w": 3000}},
                )
            ]
        ),
    ],
) -> DesiredState:
    """Change the desired state; the twin brings the meter to it and lists what is pending.

    While the twin's host cannot be reached, the change is kept and merged there later.
    """
    return await want(context, meter, data.changes, DesiredState, DEADLINE_S)


def _items(pages: dict[GroupId, Told[TwinPage]]) -> list[Any]:
    return [twin for group in sorted(pages) for twin in pages[group].answer.items]


def _last_known(pages: dict[GroupId, Told[TwinPage]]) -> dict[GroupId, str]:
    return {group: page.old_because for group, page in pages.items() if page.old_because}


def _cuts(
    total_of_group: dict[GroupId, int], offset: int, limit: int
) -> dict[GroupId, tuple[int, int]]:
    """Return which part of each group's list lies in [offset, offset + limit) of all lists."""
    cuts: dict[GroupId, tuple[int, int]] = {}
    group_start = 0
    for group, total in total_of_group.items():
        first = max(offset - group_start, 0)
        last = min(offset + limit - group_start, total)
        if first < last:
            cuts[group] = (first, last - first)
        group_start += total
    return cuts
