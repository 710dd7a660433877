"""Asking the part that knows: a meter's twin host, its recorder, or a whole group's."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from metertwin.api.context import ApiContext
from metertwin.bus.messages import Request
from metertwin.bus.requests import ask
from metertwin.bus.subjects import Kind, subject
from metertwin.core.errors import DeadlineError, NotFoundError, UnavailableError
from metertwin.core.ids import GroupId, meter_id

Answer = TypeVar("Answer")


async def ask_meter(
    context: ApiContext,
    meter_text: str,
    request: Request,
    reply_type: type[Answer],
    deadline_s: float,
    *,
    kind: Kind = Kind.REQUEST,
) -> Answer:
    """Return what a meter's twin host (or, by `kind`, its recorder) answers.

    Raises:
        IdError: The meter's id is unusable.
        UnknownMeterError: There is no twin of it.
        MeterTwinError: What the part answered, or why it did not.
    """
    meter = meter_id(meter_text)
    group = await context.directory.group_of(meter)
    try:
        return await ask(context.bus, subject(group, kind, meter), request, deadline_s, reply_type)
    except NotFoundError as error:
        if error.code == "not_found.twin":
            context.directory.forget(meter)
        raise


async def ask_group(
    context: ApiContext,
    group: GroupId,
    request: Request,
    reply_type: type[Answer],
    deadline_s: float,
    *,
    kind: Kind = Kind.REQUEST,
) -> Answer:
    """Return what a group's twin host (or, by `kind`, recorder or gateway) answers."""
    return await ask(context.bus, subject(group, kind), request, deadline_s, reply_type)


async def each_group(
    groups: Iterable[GroupId], asked: Callable[[GroupId], Awaitable[Answer]]
) -> tuple[dict[GroupId, Answer], dict[GroupId, str]]:
    """Ask all groups at once; return their answers, and why the silent ones are silent.

    Errors other than silence are raised: a question that one host refuses is a wrong question.
    """
    asked_groups = tuple(groups)
    silent: dict[GroupId, str] = {}
    answers: dict[GroupId, Answer] = {}

    async def one(group: GroupId) -> None:
        try:
            answers[group] = await asked(group)
        except (UnavailableError, DeadlineError) as error:
            silent[group] = str(error)

    await asyncio.gather(*(one(group) for group in asked_groups))
    return answers, silent
