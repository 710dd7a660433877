"""What apps concluded about a meter or a group, as it was recorded."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from metertwin.api.asking import ask_group, ask_meter
from metertwin.api.context import DEADLINE_S, ApiContext
from metertwin.api.ranges import asked_range
from metertwin.api.resources.documentation import OUTPUT, answers
from metertwin.api.resources.parameters import EndQuery, GroupPath, MeterPath
from metertwin.api.series import rows
from metertwin.bus.messages import Request
from metertwin.bus.subjects import Kind
from metertwin.store.formats import JsonColumns

_FIRST = datetime(1970, 1, 1, tzinfo=UTC).isoformat()


class OutputRecord(msgspec.Struct, frozen=True):
    """An output of an app; `meter` is null for one about the whole group.

    Attributes:
        at: The moment it is about.
        revision: Grows when the app says something new of the same moment.
        issued_at: When it was concluded, in the meters' time.
        value: What was concluded, as the app writes it.
    """

    app: str
    app_version: str
    meter: str | None
    name: str
    at: datetime
    revision: int
    issued_at: datetime
    value: dict[str, object]


class OutputPage(msgspec.Struct, frozen=True):
    """The newest outputs of a meter or group, newest first."""

    outputs: list[OutputRecord]


_ANSWERS = answers(200, OutputPage, "The newest first.", {"outputs": [OUTPUT]})
AppQuery = Annotated[
    str | None, QueryParameter(max_length=64, description="Only of this app, for example tariff.")
]
NameQuery = Annotated[
    str | None, QueryParameter(max_length=64, description="Only of this name, for example bill.")
]
FirstQuery = Annotated[
    str | None,
    QueryParameter(
        description="First moment, included; ISO 8601 with a zone. Default: the beginning."
    ),
]
LimitQuery = Annotated[int, QueryParameter(ge=1, le=10_000, description="Outputs at most.")]
RevisionsQuery = Annotated[
    bool, QueryParameter(description="Earlier revisions of the same moment, too.")
]


@get(
    "/v1/twins/{meter:str}/outputs",
    summary="List a meter's outputs",
    tags=["apps"],
    responses=_ANSWERS,
)
async def list_outputs(
    context: NamedDependency[ApiContext],
    meter: MeterPath,
    *,
    app: AppQuery = None,
    name: NameQuery = None,
    start: FirstQuery = None,
    end: EndQuery = None,
    limit: LimitQuery = 100,
    all_revisions: RevisionsQuery = False,
) -> OutputPage:
    """Return what apps concluded about a meter with start <= at < end, newest first."""
    asked = asked_range(context, start or _FIRST, end)
    question = _question(asked, app, name, limit=limit, all_revisions=all_revisions)
    answer = await ask_meter(context, meter, question, JsonColumns, DEADLINE_S, kind=Kind.HISTORY)
    return _page(answer)


@get(
    "/v1/groups/{group:str}/outputs",
    summary="List a group's outputs",
    tags=["apps"],
    responses=_ANSWERS,
)
async def list_group_outputs(
    context: NamedDependency[ApiContext],
    group: GroupPath,
    *,
    app: AppQuery = None,
    name: NameQuery = None,
    start: FirstQuery = None,
    end: EndQuery = None,
    limit: LimitQuery = 100,
    all_revisions: RevisionsQuery = False,
) -> OutputPage:
    """Return what apps concluded about a group and about its meters, newest first."""
    whose = context.directory.checked_group(group)
    asked = asked_range(context, start or _FIRST, end)
    question = _question(asked, app, name, limit=limit, all_revisions=all_revisions)
    answer = await ask_group(context, whose, question, JsonColumns, DEADLINE_S, kind=Kind.HISTORY)
    return _page(answer)


def _question(
    asked: dict[str, datetime],
    app: str | None,
    name: str | None,
    *,
    limit: int,
    all_revisions: bool,
) -> Request:
    chosen = {"app": app, "name": name, "limit": limit, "newest_revision": not all_revisions}
    return Request("outputs", asked | chosen)


def _page(answer: JsonColumns) -> OutputPage:
    """Return the recorder's columns as records, values read from their JSON."""
    shown = [row | {"value": msgspec.json.decode(row["value"])} for row in rows(answer.columns)]
    return OutputPage(msgspec.convert(shown, list[OutputRecord]))
