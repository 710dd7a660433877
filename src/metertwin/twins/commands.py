"""Commands through a twin: checked, accepted or refused, handed on once, and their ends remembered.

The first answer, accepted or refused, is the twin's; the second, effected or failed, is the
gateway's after it looked at the meter. Both are published before the caller hears of them, so the
audit record is never behind what somebody was told.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

from metertwin.core.clock import Clock
from metertwin.core.command import Command, CommandKind, CommandOutcome, CommandStatus
from metertwin.core.errors import ConflictError, InvalidInputError, RefusedError
from metertwin.core.ids import CommandId
from metertwin.twins.group import TwinGroup
from metertwin.twins.interlock import DisconnectInterlock

_REMEMBERED_COUNT = 1_000  # a checkpoint carries them: about 300 bytes each
LIMIT_MAX_W = 1_000_000


class CommandError(InvalidInputError):
    """The command cannot be given to any meter."""

    code = "input.command"


class IdempotencyKeyError(ConflictError):
    """One command id was used for two different commands."""

    code = "conflict.idempotency_key"


class CommandOutbox(Protocol):
    """Where accepted commands and their answers go."""

    async def send(self, command: Command, outcome: CommandOutcome) -> None:
        """Publish the answer and, if it is accepted, the command, durably and once per id.

        Both are on their way together: a caller that stops waiting leaves neither behind alone.
        """
        ...


class CommandDesk:
    """Accepts the commands of one group.

    Args:
        keep_count: Makes the interlock's count durable; a disconnect goes out only after it.
    """

    def __init__(
        self,
        group: TwinGroup,
        interlock: DisconnectInterlock,
        outbox: CommandOutbox,
        clock: Clock,
        keep_count: Callable[[], Awaitable[None]],
    ) -> None:
        self._group = group
        self._keep_count = keep_count
        self._interlock = interlock
        self._outbox = outbox
        self._clock = clock
        self._answers = group.commands

    async def accept(self, command: Command, epoch: int) -> CommandOutcome:
        """Accept a command under the owner's epoch, or refuse it.

        A repeated id gets the newest answer of the first time and nothing else happens.

        Raises:
            CommandError: Kind and arguments do not fit.
            IdempotencyKeyError: The id belongs to another command.
            UnknownTwinError: The group has no such meter.
            UnavailableError: The bus is away; nothing was accepted.
        """
        self._group.row(command.meter)
        check_arguments(command)
        if (known := self._answers.get(command.id)) is not None:
            return _same_answer(command, *known)
        outcome = self._judge(command)
        self._remember(command, outcome)  # before anything is waited for: the id may come again
        if outcome.status is CommandStatus.ACCEPTED and command.kind is CommandKind.DISCONNECT:
            await self._count_disconnect(command)
        share = self._group.settings.share
        await self._outbox.send(replace(command, epoch=epoch, share=share), outcome)
        return outcome

    def learn(self, outcome: CommandOutcome) -> Command | None:
        """Take note of the gateway's answer; return the command when it is one of ours."""
        known = self._answers.get(outcome.command)
        if known is None:
            return None
        command, before = known
        if not before.status.is_final:
            self._answers[outcome.command] = (command, outcome)
        return command

    def open_commands(self) -> list[Command]:
        """Return the commands whose end is not known here."""
        return [command for command, said in self._answers.values() if not said.status.is_final]

    def answer(self, command: CommandId) -> CommandOutcome | None:
        """Return the newest answer to a command, None when it is not known here."""
        known = self._answers.get(command)
        return None if known is None else known[1]

    def _judge(self, command: Command) -> CommandOutcome:
        now = self._clock.now()
        status, reason = CommandStatus.ACCEPTED, ""
        if command.expires_at <= now:
            status = CommandStatus.EXPIRED
            reason = f"It expired at {command.expires_at.isoformat()}."
        elif command.kind is CommandKind.DISCONNECT:
            try:
                self._interlock.pass_disconnect(command.meter, now)
            except RefusedError as error:
                status, reason = CommandStatus.REFUSED, str(error)
        return CommandOutcome(command.id, command.meter, status, now, reason)

    async def _count_disconnect(self, command: Command) -> None:
        try:
            await self._keep_count()
        except BaseException:
            # Not accepted after all, also when the caller's deadline ended the waiting.
            self._answers.pop(command.id, None)
            self._interlock.take_back()
            raise

    def _remember(self, command: Command, outcome: CommandOutcome) -> None:
        self._answers[command.id] = (command, outcome)
        while len(self._answers) > _REMEMBERED_COUNT:
            self._answers.popitem(last=False)


def check_arguments(command: Command) -> None:
    """Raise CommandError unless the command has just the arguments of its kind."""
    if command.kind is CommandKind.WRITE_CALENDAR:
        _check_calendar(command)
        return
    expected = {"limit_w"} if command.kind is CommandKind.SET_LIMIT else set()
    if set(command.arguments) != expected:
        wanted = ", ".join(sorted(expected)) or "no arguments"
        given = ", ".join(sorted(command.arguments)) or "none"
        raise CommandError(
            f"Command {command.kind} to meter {command.meter} takes {wanted}, given: {given}.",
            kind=command.kind,
        )
    limit_w = command.arguments.get("limit_w", 0)
    if not isinstance(limit_w, int) or not 0 <= limit_w <= LIMIT_MAX_W:
        raise CommandError(
            f"Limit of {limit_w} W for meter {command.meter} is outside 0 to {LIMIT_MAX_W} W.",
            limit_w=limit_w,
        )


def _check_calendar(command: Command) -> None:
    # Here, because few commands need it, and every start of a host would wait for its tables.
    from metertwin.apps.tariff.calendar import CalendarError  # noqa: PLC0415
    from metertwin.apps.tariff.calendar_text import CalendarOrder  # noqa: PLC0415

    try:
        CalendarOrder.of(command.arguments)
    except CalendarError as error:
        raise CommandError(
            f"Command {command.kind} to meter {command.meter}: {error}", kind=command.kind
        ) from error


def _same_answer(command: Command, first: Command, outcome: CommandOutcome) -> CommandOutcome:
    what = (command.meter, command.kind, command.arguments)
    if what != (first.meter, first.kind, first.arguments):
        raise IdempotencyKeyError(
            f"Command id {command.id} already stands for {first.kind} of meter {first.meter}; "
            "use a fresh id for another command.",
            command=command.id,
        )
    return outcome
