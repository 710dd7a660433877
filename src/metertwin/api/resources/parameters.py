"""Parameters that several resources share, with their limits and descriptions."""

from typing import Annotated

from litestar.params import PathParameter, QueryParameter

METER_EXAMPLE = "m-00001"

MeterPath = Annotated[str, PathParameter(description="The meter's id, as GET /v1/twins shows it.")]
GroupPath = Annotated[str, PathParameter(description="The group's id, as GET /v1/groups shows it.")]
GroupQuery = Annotated[
    str | None, QueryParameter(description="Only this group, as GET /v1/groups shows it.")
]
Offset = Annotated[
    int, QueryParameter(ge=0, le=10_000_000, description="Items to leave out first.")
]
PageLimit = Annotated[int, QueryParameter(ge=1, le=1000, description="Items at most, 1 to 1000.")]
StartQuery = Annotated[
    str | None,
    QueryParameter(
        description="First moment, included; ISO 8601 with a zone. Default: 24 h before end."
    ),
]
EndQuery = Annotated[
    str | None,
    QueryParameter(description="First moment not included; ISO 8601 with a zone. Default: now."),
]
MeterQuery = Annotated[str | None, QueryParameter(description="Only this meter.")]
