"""Commands: given once, answered twice."""

import uuid
from datetime import timedelta
from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.spec import Example
from litestar.params import Body, HeaderParameter, PathParameter, QueryParameter

from metertwin.api.answers import CommandAnswer, CommandRecord
from metertwin.api.asking import ask_group, ask_meter, each_group
from metertwin.api.context import DEADLINE_MAX_S, DEADLINE_S, ApiContext
from metertwin.api.resources.documentation import COMMAND, answers
from metertwin.api.resources.parameters import MeterPath
from metertwin.api.series import rows
from metertwin.bus.messages import Request
from metertwin.bus.subjects import Kind
from metertwin.core.command import Arguments, CommandKind, CommandOutcome, CommandStatus
from metertwin.core.errors import NotFoundError, RefusedError, UnavailableError
from metertwin.core.ids import CommandId, command_id
from metertwin.store.formats import JsonColumns

EXPIRES_IN_MAX_S = 3_600.0
ISSUER = "api"
_AUDIT_LINES = 10_000


class UnknownCommandError(NotFoundError):
    """Nobody heard of the command."""

    code = "not_found.command"


class CommandRefusedError(RefusedError):
    """The twin refused the command; the sentence is its reason."""

    code = "refused.command"


class CommandOrder(msgspec.Struct, forbid_unknown_fields=True):
    """A command to give.

    Attributes:
        arguments: Numbers by name with the unit in it, {"limit_w": 3000} for set_limit; texts,
            calendar and activate_at, for write_calendar.
        expires_in_s: Seconds, of this machine, after which it must not happen any more.
        deadline_s: Longest time to wait for the twin's first answer, in s.
    """

    kind: CommandKind
    arguments: Arguments = {}
    expires_in_s: Annotated[float, msgspec.Meta(gt=0, le=EXPIRES_IN_MAX_S)] = 60.0
    deadline_s: Annotated[float, msgspec.Meta(gt=0, le=DEADLINE_MAX_S)] = DEADLINE_S


_EXAMPLES = [
    Example(summary="Disconnect within a minute", value={"kind": "disconnect"}),
    Example(
        summary="Limit to 3 kW",
        value={"kind": "set_limit", "arguments": {"limit_w": 3000}, "expires_in_s": 30},
    ),
]


@post(
    "/v1/twins/{meter:str}/commands",
    status_code=202,
    summary="Command a meter",
    tags=["commands"],
    responses=answers(
        202, CommandRecord, "The twin accepted it; Location says where to look for more.", COMMAND
    ),
)
async def give_command(
    context: NamedDependency[ApiContext],
    meter: MeterPath,
    data: Annotated[CommandOrder, Body(examples=_EXAMPLES)],
    idempotency_key: Annotated[
        str | None,
        HeaderParameter(
            name="Idempotency-Key",
            required=False,
            description="Becomes the command's id: the same key is one command however often sent.",
        ),
    ] = None,
) -> Response[CommandRecord]:
    """Hand a command to the twin; whether it took effect is the second answer, at Location."""
    command = command_id(uuid.uuid4().hex if idempotency_key is None else idempotency_key)
    # The caller's seconds pass on this machine; the meters' clock may run faster.
    life_s = data.expires_in_s * context.clock.speed_ratio
    issued_at = context.clock.now()
    arguments = {
        "id": command,
        "kind": data.kind.value,
        "arguments": data.arguments,
        "issued_by": ISSUER,
        "expires_in_s": life_s,
    }
    outcome = await ask_meter(
        context, meter, Request("command", arguments), CommandOutcome, data.deadline_s
    )
    if outcome.status is CommandStatus.REFUSED:
        raise CommandRefusedError(
            f"Meter {meter} was not told to {data.kind.value}: {outcome.reason}", command=command
        )
    context.book.note_command(
        CommandRecord(
            id=command,
            meter=outcome.meter,
            kind=data.kind,
            arguments=data.arguments,
            issued_by=ISSUER,
            issued_at=issued_at,
            expires_at=issued_at + timedelta(seconds=life_s),
        )
    )
    record = context.book.note_outcome(outcome)
    return Response(record, status_code=202, headers={"location": f"/v1/commands/{command}"})


@get(
    "/v1/commands/{command:str}",
    summary="Show a command's answers",
    tags=["commands"],
    responses=answers(200, CommandRecord, "Both answers, each null until there.", COMMAND),
)
async def show_command(
    context: NamedDependency[ApiContext],
    command: Annotated[str, PathParameter(description="The command's id, or its idempotency key.")],
    wait_s: Annotated[
        float,
        QueryParameter(
            ge=0, le=DEADLINE_MAX_S, description="Wait so long, in s, for the final answer."
        ),
    ] = 0.0,
) -> CommandRecord:
    """Return a command with both of its answers, each missing until it is there."""
    wanted = command_id(command)
    record = context.book.find(wanted) or await _recorded(context, wanted)
    if wait_s and not record.is_final:
        context.book.note_command(record)
        await context.book.wait_until_final(wanted, wait_s)
        record = context.book.find(wanted) or record
    return record


async def _recorded(context: ApiContext, wanted: CommandId) -> CommandRecord:
    """Return a command from the recorder's audit, if it is among each group's newest.

    Raises:
        UnknownCommandError: It is not there.
        UnavailableError: It may be there, but a recorder does not answer.
    """
    request = Request("commands", {"limit": _AUDIT_LINES})
    answers, silent = await each_group(
        context.directory.groups,
        lambda one: ask_group(context, one, request, JsonColumns, DEADLINE_S, kind=Kind.HISTORY),
    )
    audit = (line for answer in answers.values() for line in rows(answer.columns))
    lines = [line for line in audit if line["id"] == wanted]
    if lines:
        return _record_of(lines)
    if silent:
        raise UnavailableError(
            f"Command {wanted} is not known here, and {'; '.join(silent.values())}",
            command=wanted,
        )
    raise UnknownCommandError(f"There is no command {wanted}.", command=wanted)


def _record_of(lines: list[dict[str, Any]]) -> CommandRecord:
    """Return a command from its audit lines: one per answer, or one without any."""
    first = lines[0]
    arguments = msgspec.json.decode(first["arguments"] or "{}")
    record = msgspec.convert({**first, "arguments": arguments}, CommandRecord)
    for line in sorted((each for each in lines if each["status"]), key=lambda each: each["at"]):
        record.answer(CommandAnswer(CommandStatus(line["status"]), line["at"], line["reason"]))
    return record
