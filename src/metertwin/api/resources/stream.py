"""Live events as they happen, to anybody who listens."""

from collections.abc import AsyncIterator
from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Stream

from metertwin.api.context import ApiContext
from metertwin.api.feed import KINDS
from metertwin.api.live import Interest, chunks
from metertwin.api.resources.documentation import answers
from metertwin.core.errors import InvalidInputError
from metertwin.core.ids import meter_id

MEDIA_TYPE = "text/event-stream"


class UnknownKindError(InvalidInputError):
    """The stream has no messages of that kind."""

    code = "input.kind"


@get(
    "/v1/events/stream",
    summary="Follow what happens, live",
    tags=["events"],
    media_type=MEDIA_TYPE,
    responses=answers(),
)
async def follow(
    context: NamedDependency[ApiContext],
    group: Annotated[list[str] | None, QueryParameter(description="Only these groups.")] = None,
    meter: Annotated[list[str] | None, QueryParameter(description="Only these meters.")] = None,
    kind: Annotated[
        list[str] | None, QueryParameter(description="Only these: state, event, outcome, output.")
    ] = None,
) -> Stream:
    """Send state changes, events, outcomes and apps' outputs as server-sent events, from now on.

    A client that reads too slowly loses the oldest of what waits for it, and is sent an event
    `missed` with `missed_count`; it should then read the twins it shows again.
    """
    interest = Interest(
        kinds=frozenset(_checked_kind(each) for each in kind or ()),
        groups=frozenset(context.directory.checked_group(each) for each in group or ()),
        meters=frozenset(meter_id(each) for each in meter or ()),
    )

    async def body() -> AsyncIterator[bytes]:
        with (
            context.live.listening(interest) as listener,
            context.metrics.stream_clients.track_inprogress(),
        ):
            async for chunk in chunks(listener):
                yield chunk

    return Stream(body(), media_type=MEDIA_TYPE, headers={"cache-control": "no-store"})


def _checked_kind(kind: str) -> str:
    if kind not in KINDS:
        raise UnknownKindError(
            f"The stream has no kind {kind[:40]!r}; it has {', '.join(sorted(KINDS))}.", kind=kind
        )
    return kind
