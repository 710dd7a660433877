"""From messages of the EVENTS and COMMANDS streams to a harvest."""

from collections.abc import Callable, Sequence

import msgspec
import structlog

from metertwin.bus.messages import decode_command, decode_event, decode_outcome, decode_output
from metertwin.bus.subjects import EVENT_STREAM, WHOLE_GROUP, Kind
from metertwin.bus.tail import Delivered
from metertwin.bus.wire import WireError
from metertwin.core.clock import Clock, to_us
from metertwin.core.command import Command, CommandOutcome
from metertwin.core.errors import MeterTwinError
from metertwin.core.event import Event
from metertwin.core.ids import GroupId, MeterId, command_id, group_id, meter_id
from metertwin.core.output import AppOutput
from metertwin.store.harvest import Harvest, RefusedMessage

_log = structlog.get_logger(__name__)


class NoticeIntake:
    """Makes harvests of one stream's messages.

    Args:
        stream: EVENTS or COMMANDS.
        clock: For the time a message was refused.
    """

    def __init__(self, stream: str, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._events: list[tuple[GroupId, Event]] = []
        self._commands: list[Command] = []
        self._outcomes: list[tuple[GroupId, CommandOutcome]] = []
        self._outputs: list[AppOutput] = []
        self._takers: dict[str, Callable[[GroupId, str, bytes], None]] = (
            {Kind.EVENT: self._take_event, Kind.OUTPUT: self._take_output}
            if stream == EVENT_STREAM
            else {Kind.COMMAND: self._take_command, Kind.OUTCOME: self._take_outcome}
        )

    def harvest(self, messages: Sequence[Delivered]) -> Harvest:
        """Return what at least one message brought."""
        self._events, self._commands, self._outcomes, self._outputs = [], [], [], []
        refused = []
        for delivered in messages:
            _, group, kind, meter = delivered.subject.split(".")
            try:
                self._takers[kind](group_id(group), meter, delivered.data)
            except (MeterTwinError, ValueError, OverflowError) as error:
                refused.append(self._refused(delivered, error))
        return Harvest(
            events=self._events,
            commands=self._commands,
            outcomes=self._outcomes,
            outputs=self._outputs,
            refused=refused,
            positions={self._stream: messages[-1].stream_sequence},
        )

    def _take_event(self, group: GroupId, _meter: str, octets: bytes) -> None:
        event = decode_event(octets)
        _check(event.meter, to_us(event.captured_at), to_us(event.received_at), event.code)
        self._events.append((group, event))

    def _take_command(self, group: GroupId, _meter: str, octets: bytes) -> None:
        command = decode_command(octets)
        command_id(command.id)
        if command.group != group:
            raise WireError(
                f"Command {command.id} of group {command.group[:64]!r} came to group {group}.",
                command=command.id,
            )
        _check(command.meter, to_us(command.issued_at), to_us(command.expires_at), command.epoch)
        self._commands.append(command)

    def _take_outcome(self, group: GroupId, _meter: str, octets: bytes) -> None:
        outcome = decode_outcome(octets)
        command_id(outcome.command)
        _check(outcome.meter, to_us(outcome.at))
        self._outcomes.append((group, outcome))

    def _take_output(self, group: GroupId, meter: str, octets: bytes) -> None:
        output = decode_output(octets)
        if output.meter is not None:
            meter_id(output.meter)
        if (output.group, output.meter or WHOLE_GROUP) != (group, meter):
            raise WireError(
                f"Output {output.name[:64]!r} of app {output.app[:64]!r} for group "
                f"{output.group[:64]!r} about {f'meter {output.meter}' if output.meter else 'it'} "
                f"came to group {group}, meter token {meter[:64]!r}.",
            )
        _check_numbers(to_us(output.at), to_us(output.issued_at), output.revision)
        _check_value(output)
        self._outputs.append(output)

    def _refused(self, delivered: Delivered, error: Exception) -> RefusedMessage:
        code = error.code if isinstance(error, MeterTwinError) else "input.invalid"
        _log.warning(
            "message_refused",
            subject=delivered.subject,
            stream_sequence=delivered.stream_sequence,
            code=code,
            reason=str(error),
        )
        return RefusedMessage(
            stream=self._stream,
            stream_sequence=delivered.stream_sequence,
            subject=delivered.subject,
            octets=bytes(delivered.data),
            code=code,
            reason=str(error),
            refused_at=self._clock.now(),
        )


def _check(meter: MeterId, *numbers: int) -> None:
    """Raise unless the meter has a usable name and the numbers fit into 64 bits."""
    meter_id(meter)
    _check_numbers(*numbers)


def _check_numbers(*numbers: int) -> None:
    for number in numbers:
        number.to_bytes(8, "little", signed=True)


def _check_value(output: AppOutput) -> None:
    """Raise WireError unless the value can be written as JSON and read back the same."""
    try:
        plain = msgspec.to_builtins(output.value, str_keys=True)
        is_same = msgspec.json.decode(msgspec.json.encode(output.value)) == plain
        reason = "holds a number that is not finite"
    except (TypeError, RecursionError, msgspec.MsgspecError) as error:
        is_same, reason = False, f"is no plain value: {error}"
    if not is_same:
        raise WireError(
            f"Output {output.name[:64]!r} of app {output.app[:64]!r} {reason}; only what JSON can "
            "say is kept.",
        )
