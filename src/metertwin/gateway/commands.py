"""Commands from the stream to the meters: each once, in order per meter, never too late.

What makes it once: the record is durable before the meter is touched, the backend looks at the
meter before it writes, and an outcome that is recorded is final. What makes it safe: the command
must carry the epoch under which the twins are owned now, must not have expired, and never
disconnects a protected usage point, whatever the twin host may have let through.
"""

import asyncio
from dataclasses import dataclass, field

import nats.errors
import structlog
from nats.js.errors import APIError

from metertwin.bus.connection import Bus
from metertwin.bus.ending import end_if_told
from metertwin.bus.messages import decode_command, encode
from metertwin.bus.ownership import current_epoch, gateway_key, twins_key
from metertwin.bus.publish import Publisher
from metertwin.bus.subjects import COMMAND_STREAM, Kind, of_group, subject
from metertwin.bus.tail import Delivered, StreamTail
from metertwin.core.clock import Clock
from metertwin.core.command import Command, CommandKind, CommandOutcome, CommandStatus
from metertwin.core.errors import InvalidInputError, MeterTwinError, UnavailableError
from metertwin.core.ids import GroupId
from metertwin.gateway.command_log import CommandLog, CommandRecord
from metertwin.gateway.execution import CommandExecutor
from metertwin.gateway.meter import PolledMeter
from metertwin.gateway.metrics import GatewayMetrics

_FETCH_COUNT = 100
_FETCH_TIMEOUT_S = 30.0
_BUS_PAUSE_S = 0.5

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class CommandDesk:
    """Carries out the commands of one group.

    Attributes:
        epoch: This gateway's claim; after another's it carries out nothing.
    """

    bus: Bus
    group: GroupId
    epoch: int
    clock: Clock
    executor: CommandExecutor
    publisher: Publisher
    records: CommandLog
    metrics: GatewayMetrics
    _queues: dict[str, asyncio.Queue[tuple[int, Command]]] = field(default_factory=dict)

    async def run(self) -> None:
        """Carry out commands for ever."""
        await self.records.sweep(self.clock.now())
        tail = StreamTail(
            self.bus, COMMAND_STREAM, self.records.position, [of_group(self.group, Kind.COMMAND)]
        )
        async with asyncio.TaskGroup() as workers:
            try:
                while True:
                    end_if_told()
                    for message in await tail.fetch(_FETCH_COUNT, _FETCH_TIMEOUT_S):
                        self._sort(message, workers)
            finally:
                await tail.close()

    def _sort(self, message: Delivered, workers: asyncio.TaskGroup) -> None:
        """Put a command behind the others of its meter."""
        self.records.begin(message.stream_sequence)
        try:
            command = decode_command(message.data)
            _check_subject(message.subject, command)
        except MeterTwinError as error:
            # Nobody waits under an id that cannot be read; the audit has the message itself.
            log.warning("command_unreadable", subject=message.subject, reason=str(error))
            self.records.skip(message.stream_sequence)
            return
        queue = self._queues.get(command.meter)
        if queue is None:
            queue = self._queues[command.meter] = asyncio.Queue()
            workers.create_task(self._work(command.meter, queue))
        queue.put_nowait((message.stream_sequence, command))

    async def _work(self, meter: str, queue: asyncio.Queue[tuple[int, Command]]) -> None:
        while not queue.empty():
            sequence, command = queue.get_nowait()
            while True:
                end_if_told()
                try:
                    await self._settle(command)
                    await self.records.end(sequence)
                    break
                except (nats.errors.Error, APIError, UnavailableError, TimeoutError) as error:
                    # The bus is away: what is not written down is not done. It is asked again.
                    log.warning("command_waits", command=command.id, reason=str(error))
                    await asyncio.sleep(_BUS_PAUSE_S)
        del self._queues[meter]

    async def _settle(self, command: Command) -> None:
        """Bring a command to its final outcome and publish that."""
        record = await self.records.record(command.id)
        outcome = record.outcome if record is not None else None
        if outcome is None:
            outcome = await self._outcome(command, was_started=record is not None)
            await self.records.write(command.id, CommandRecord(command.expires_at, outcome))
            self.metrics.commands_count[outcome.status] += 1
            log.info(
                "command_settled",
                command=command.id,
                meter=command.meter,
                kind=command.kind,
                status=outcome.status,
                reason=outcome.reason,
            )
        to = subject(self.group, Kind.OUTCOME, command.meter)
        identity = f"{command.id}:{outcome.status}"
        await self.publisher.publish(to, encode(outcome), identity)
        await self.publisher.flush()

    async def _outcome(self, command: Command, *, was_started: bool) -> CommandOutcome:
        meter = self.executor.meters.get(command.meter)
        if meter is None:
            reason = f"Group {self.group} has no meter {command.meter} at this gateway."
            return self.executor.answer(command, CommandStatus.REFUSED, reason)
        refusal = await self._refusal(command, meter)
        if was_started:
            return await self.executor.resume(command, meter, may_act=not refusal)
        if refusal:
            return self.executor.answer(command, CommandStatus.REFUSED, refusal)
        if self.clock.now() >= command.expires_at:
            return self.executor.expired(command, "it came too late")
        await self.records.write(command.id, CommandRecord(command.expires_at))
        return await self.executor.carry_out(command, meter)

    async def _refusal(self, command: Command, meter: PolledMeter) -> str:
        """Return why the command may not be carried out; empty when it may."""
        owner_epoch = await current_epoch(self.bus, twins_key(self.group))
        if command.epoch != owner_epoch:
            return (
                f"It carries epoch {command.epoch}; the twins of group {self.group} are owned "
                f"under epoch {owner_epoch}."
            )
        own_epoch = await current_epoch(self.bus, gateway_key(self.group))
        if own_epoch != self.epoch:
            return f"This gateway's epoch {self.epoch} was superseded by {own_epoch}."
        if command.kind is CommandKind.DISCONNECT and meter.entry.is_protected:
            return f"Usage point {command.meter} is protected and is never disconnected."
        return ""


def _check_subject(to: str, command: Command) -> None:
    # Who may publish where is the bus's business, so the subject counts, not the content.
    if to != subject(command.group, Kind.COMMAND, command.meter):
        raise InvalidInputError(
            f"Command {command.id} for meter {command.meter} of group {command.group} came at "
            f"{to}.",
            subject=to,
        )
