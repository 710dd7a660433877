"""Commands from the stream to the meters: each once, in order per meter, never too late.

What makes it once: the record is durable before the meter is touched, the backend looks at the
meter before it writes, and an outcome that is recorded is final. What makes it safe: the command
must carry the epoch under which the twins are owned now, or that of an owner who handed them over
after it had commanded this, must not have expired, never disconnects a protected usage point, and
not more of a group within an hour than its limit, whatever the twin host may have let through.
"""

import asyncio
from dataclasses import dataclass, field

import msgspec
import nats.errors
import structlog
from nats.js.errors import APIError

from metertwin.bus.connection import Bus
from metertwin.bus.ending import end_if_told
from metertwin.bus.messages import decode_command, encode
from metertwin.bus.ownership import current_epoch, gateway_key, look_up, twins_key
from metertwin.bus.publish import Publisher
from metertwin.bus.subjects import COMMAND_STREAM, Kind, of_group, subject
from metertwin.bus.tail import Delivered, StreamTail
from metertwin.core.clock import Clock
from metertwin.core.command import Command, CommandKind, CommandOutcome, CommandStatus
from metertwin.core.errors import InvalidInputError, MeterTwinError, UnavailableError
from metertwin.core.ids import GroupId, lot_of
from metertwin.gateway.command_log import CommandLog, CommandRecord
from metertwin.gateway.execution import CommandExecutor
from metertwin.gateway.interlock import GroupInterlock
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
    interlock: GroupInterlock
    _queues: dict[str, asyncio.Queue[tuple[int, Command]]] = field(default_factory=dict)

    async def run(self) -> None:
        """Carry out commands for ever."""
        self.interlock.remember(await self.records.sweep(self.clock.now()))
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
                    await self._settle(command, sequence)
                    await self.records.end(sequence)
                    break
                except (nats.errors.Error, APIError, UnavailableError, TimeoutError) as error:
                    # The bus is away: what is not written down is not done. It is asked again.
                    log.warning("command_waits", command=command.id, reason=str(error))
                    await asyncio.sleep(_BUS_PAUSE_S)
        del self._queues[meter]

    async def _settle(self, command: Command, sequence: int) -> None:
        """Bring a command to its final outcome and publish that."""
        record = await self.records.record(command.id)
        outcome = record.outcome if record is not None else None
        if record is not None and record.meter not in {"", command.meter}:
            # Hosts of two shares do not know each other's ids.
            reason = f"Command {command.id} was given to meter {record.meter} before."
            outcome = self.executor.answer(command, CommandStatus.REFUSED, reason)
        elif outcome is None:
            outcome, begun = await self._outcome(command, sequence, record)
            await self.records.write(command.id, msgspec.structs.replace(begun, outcome=outcome))
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
        identity = f"{command.id}:{command.meter}:{outcome.status}"
        await self.publisher.publish(to, encode(outcome), identity)
        await self.publisher.flush()

    async def _outcome(
        self, command: Command, sequence: int, started: CommandRecord | None
    ) -> tuple[CommandOutcome, CommandRecord]:
        """Bring a command to its end; return that, and the record of its beginning."""
        begun = started or CommandRecord(command.expires_at, meter=command.meter)
        meter = self.executor.meters.get(command.meter)
        if meter is None:
            reason = f"Group {self.group} has no meter {command.meter} at this gateway."
            return self.executor.answer(command, CommandStatus.REFUSED, reason), begun
        refusal = await self._refusal(command, sequence, meter)
        if started is not None:
            return await self.executor.resume(command, meter, may_act=not refusal), begun
        now = self.clock.now()
        if not refusal and now >= command.expires_at:
            return self.executor.expired(command, "it came too late"), begun
        if not refusal and command.kind is CommandKind.DISCONNECT:
            refusal = self.interlock.begin(command.id, now)
            begun = msgspec.structs.replace(begun, disconnect_at=None if refusal else now)
        if refusal:
            return self.executor.answer(command, CommandStatus.REFUSED, refusal), begun
        await self.records.write(command.id, begun)
        return await self.executor.carry_out(command, meter), begun

    async def _refusal(self, command: Command, sequence: int, meter: PolledMeter) -> str:
        """Return why the command may not be carried out; empty when it may."""
        lot = lot_of(self.group, command.share)
        owner = await look_up(self.bus, twins_key(lot))
        if owner is None or not owner.has_commanded(command.epoch, sequence):
            return (
                f"It carries epoch {command.epoch}; the twins of group {lot} are owned "
                f"under epoch {owner.epoch if owner else 0}."
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
