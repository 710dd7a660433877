"""Asking the part that knows: a meter's twin host, its recorder, or a whole group's."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from metertwin.api.context import ApiContext
from metertwin.api.stood_in import Told, ask_stood_in, want_stood_in
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
        if kind is Kind.REQUEST and group in context.settings.stood_in:
            if request.name == "desired":
                return await want_stood_in(
                    context.bus, group, request, reply_type, deadline_s, meter=meter
                )
            told = await ask_stood_in(
                context.bus, group, request, reply_type, deadline_s, meter=meter
            )
            return told.answer
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
    if kind is Kind.REQUEST:
        return (await ask_owner(context, group, request, reply_type, deadline_s)).answer
    return await ask(context.bus, subject(group, kind), request, deadline_s, reply_type)


async def ask_owner(
    context: ApiContext,
    group: GroupId,
    request: Request,
    reply_type: type[Answer],
    deadline_s: float,
    *,
    may_be_old: bool = True,
) -> Told[Answer]:
    """Return what a group's twin host answers, or, if that will do, the last that is known."""
    if group in context.settings.stood_in:
        return await ask_stood_in(
            context.bus, group, request, reply_type, deadline_s, may_be_old=may_be_old
        )
    to = subject(group, Kind.REQUEST)
    return Told(await ask(context.bus, to, request, deadline_s, reply_type))


async def want(
    context: ApiContext,
    meter_text: str,
    changes: dict[str, str | int | None],
    reply_type: type[Answer],
    deadline_s: float,
) -> Answer:
    """Have a meter's twin host change what is wanted, or have it kept while that is away.

    Raises:
        IdError: The meter's id is unusable.
        UnknownMeterError: There is no twin of it.
        MeterTwinError: What the part answered, or why it did not.
    """
    arguments = {
        "changes": changes,
        "by": f"api of {context.settings.site}",
        "id": uuid.uuid4().hex,
    }
    request = Request("desired", arguments)
    return await ask_meter(context, meter_text, request, reply_type, deadline_s)


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
