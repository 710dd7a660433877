"""The site itself: its groups, its health, its figures."""

from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency

from metertwin.api.answers import GroupSummary, HealthReport
from metertwin.api.asking import ask_owner, each_group
from metertwin.api.context import ApiContext
from metertwin.api.metrics import CONTENT_TYPE
from metertwin.api.resources.documentation import answers
from metertwin.bus.messages import Request

_HOST_WITHIN_S = 2.0


@get("/v1/groups", summary="List groups", tags=["site"], responses=answers())
async def list_groups(context: NamedDependency[ApiContext]) -> list[GroupSummary]:
    """Return the site's groups, each with what its twin host says of itself."""
    hosts, silent = await each_group(
        context.directory.groups,
        lambda one: ask_owner(
            context, one, Request("host", {}), dict[str, Any], _HOST_WITHIN_S, may_be_old=False
        ),
    )
    return [
        GroupSummary(
            group=group,
            is_up=group in hosts,
            reason=silent.get(group, ""),
            host=hosts[group].answer if group in hosts else {},
        )
        for group in context.directory.groups
    ]


@get("/healthz", summary="Is the site up?", tags=["site"], security=[{}], responses=answers())
async def show_health(context: NamedDependency[ApiContext]) -> Response[HealthReport]:
    """Say which parts are up and why others are not; needs no token. 503 unless all are up."""
    report = await context.health.report()
    return Response(report, status_code=200 if report.is_up else 503)


@get(
    "/metrics",
    summary="Figures for Prometheus",
    tags=["site"],
    media_type="text/plain",
    responses=answers(),
)
async def show_metrics(context: NamedDependency[ApiContext]) -> Response[bytes]:
    """Return the API's counters and, per group, its host's, as Prometheus text."""
    return Response(context.metrics.render(), media_type=CONTENT_TYPE)
