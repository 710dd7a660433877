"""From messages of the EVENTS and COMMANDS streams to a harvest."""

from collections.abc import Callable, Sequence

import structlog

from metertwin.bus.messages import decode_command, decode_event, decode_outcome
from metertwin.bus.subjects import EVENT_STREAM, Kind
from metertwin.bus.tail import Delivered
from metertwin.bus.wire import WireError
from metertwin.core.clock import Clock, to_us
from metertwin.core.command import Command, CommandOutcome
from metertwin.core.errors import MeterTwinError
from metertwin.core.event import Event
from metertwin.core.ids import GroupId, MeterId, command_id, group_id, meter_id
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
        self._takers: dict[str, Callable[[GroupId, bytes], None]] = (
            {Kind.EVENT: self._take_event}
            if stream == EVENT_STREAM
            else {Kind.COMMAND: self._take_command, Kind.OUTCOME: self._take_outcome}
        )

    def harvest(self, messages: Sequence[Delivered]) -> Harvest:
        """Return what at least one message brought."""
        self._events, self._commands, self._outcomes = [], [], []
        refused = []
        for delivered in messages:
            _, group, kind, _ = delivered.subject.split(".")
            take = self._takers.get(kind)
            if take is None:
                continue  # what apps put out is not history of the meters
            try:
                take(group_id(group), delivered.data)
            except (MeterTwinError, ValueError, OverflowError) as error:
                refused.append(self._refused(delivered, error))
        return Harvest(
            events=self._events,
            commands=self._commands,
            outcomes=self._outcomes,
            refused=refused,
            positions={self._stream: messages[-1].stream_sequence},
        )

    def _take_event(self, group: GroupId, octets: bytes) -> None:
        event = decode_event(octets)
        _check(event.meter, to_us(event.captured_at), to_us(event.received_at), event.code)
        self._events.append((group, event))

    def _take_command(self, group: GroupId, octets: bytes) -> None:
        command = decode_command(octets)
        command_id(command.id)
        if command.group != group:
            raise WireError(
                f"Command {command.id} of group {command.group[:64]!r} came to group {group}.",
                command=command.id,
            )
        _check(command.meter, to_us(command.issued_at), to_us(command.expires_at), command.epoch)
        self._commands.append(command)

    def _take_outcome(self, group: GroupId, octets: bytes) -> None:
        outcome = decode_outcome(octets)
        command_id(outcome.command)
        _check(outcome.meter, to_us(outcome.at))
        self._outcomes.append((group, outcome))

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
    for number in numbers:
        number.to_bytes(8, "little", signed=True)
