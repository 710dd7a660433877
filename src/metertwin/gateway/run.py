"""One gateway of one group, from its claim to its end."""

import asyncio
import contextlib
from random import Random

import nats.errors
import structlog

from metertwin.bus.connection import Bus
from metertwin.bus.ending import end_if_told
from metertwin.bus.ownership import claim, gateway_key
from metertwin.bus.publish import Publisher
from metertwin.bus.requests import Service, serve
from metertwin.bus.subjects import Kind, of_group
from metertwin.core.clock import Clock
from metertwin.core.errors import MeterTwinError
from metertwin.core.ids import MeterId
from metertwin.core.obis import parse_cached
from metertwin.gateway.checkpoint import CheckpointKeeper, recover
from metertwin.gateway.command_log import CommandLog
from metertwin.gateway.commands import CommandDesk
from metertwin.gateway.config import GatewayConfig
from metertwin.gateway.engine import PollEngine
from metertwin.gateway.events import EventOutbox
from metertwin.gateway.execution import CommandExecutor
from metertwin.gateway.flush import Flusher
from metertwin.gateway.interlock import GroupInterlock
from metertwin.gateway.meter import PolledMeter
from metertwin.gateway.metrics import GatewayMetrics
from metertwin.gateway.pending import PendingReadings
from metertwin.gateway.poll import Poller
from metertwin.gateway.progress import GroupProgress
from metertwin.gateway.pushes import PushDesk
from metertwin.gateway.reads import ReadDesk
from metertwin.meters.dlms import DlmsLink
from metertwin.meters.model import ModelCache

_CLOSE_WITHIN_S = 2.0
_LAST_FLUSH_WITHIN_S = 5.0

log = structlog.get_logger(__name__)


async def run_gateway(
    config: GatewayConfig, bus: Bus, clock: Clock, models: ModelCache | None = None
) -> None:
    """Read a group's meters and carry out its commands until cancelled.

    Args:
        config: Which meters, how often.
        bus: A connection of the gateway role.
        clock: The meters' time.
        models: Static attributes of meter models; share one among the gateways of a process.

    Raises:
        InvalidInputError: A setting is out of its range.
        OwnedElsewhereError: Another gateway has the group.
        SupersededError: Another gateway took the group over meanwhile.
        GatewayCheckpointError: The checkpoint is damaged.
        UnavailableError: The bus cannot be read.
    """
    config.check()
    epoch = await claim(bus, gateway_key(config.group), config.name)
    keeper = await CheckpointKeeper.open(bus, config.group, epoch)
    progress = await recover(bus, keeper)
    records = await CommandLog.open(bus, config.group)
    async with Publisher(bus) as publisher:
        gateway = _Gateway(config, bus, clock, models or ModelCache(), progress, publisher, epoch)
        await gateway.run(keeper, records)


class _Gateway:
    """The parts of one gateway, wired."""

    def __init__(  # noqa: PLR0917 - called once, above
        self,
        config: GatewayConfig,
        bus: Bus,
        clock: Clock,
        models: ModelCache,
        progress: GroupProgress,
        publisher: Publisher,
        epoch: int,
    ) -> None:
        self._config, self._bus, self._clock, self._epoch = config, bus, clock, epoch
        self._progress = progress
        self._publisher = publisher
        self._metrics = GatewayMetrics()
        self._random = Random(config.seed)  # noqa: S311 - spreads load, no secret
        self._meters = _meters(config, progress, models)
        pending = PendingReadings(config.group, epoch)
        self._events = EventOutbox(publisher, config.group, clock)
        self._poller = Poller(config.poll, clock, pending, self._events, self._metrics)
        self._flusher = Flusher(
            bus,
            pending,
            progress,
            self._metrics,
            config.flush_s,
            config.flush_readings_count,
            config.pending_readings_count,
        )

    async def run(self, keeper: CheckpointKeeper, records: CommandLog) -> None:
        """Run until cancelled or superseded; what was read is published at the end."""
        config = self._config
        desk = self._read_desk()
        service = await serve(
            self._bus,
            of_group(config.group, Kind.READ),
            f"gateway.{config.group}",
            {
                "read_all": desk.read_all,
                "read_register": desk.read_register,
                "load_profile": desk.load_profile,
                "activity_calendar": desk.activity_calendar,
                "host": desk.host,
            },
        )
        log.info("gateway_runs", group=config.group, meters=len(self._meters), epoch=self._epoch)
        try:
            end_if_told()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._flusher.run())
                tasks.create_task(self._engine().run())
                tasks.create_task(self._command_desk(records).run())
                tasks.create_task(self._keep_checkpoint(keeper))
                if config.push_port is not None:
                    pushes = PushDesk(list(self._meters.values()), self._poller, self._metrics)
                    tasks.create_task(pushes.run(config.push_host, config.push_port))
        except ExceptionGroup as group:
            raise _first(group) from group
        finally:
            await self._end(keeper, service)

    async def _keep_checkpoint(self, keeper: CheckpointKeeper) -> None:
        while True:
            await asyncio.sleep(self._config.checkpoint_s)
            end_if_told()
            try:
                await keeper.save(self._progress)
            except (nats.errors.Error, TimeoutError) as error:
                log.warning("checkpoint_waits", group=self._config.group, reason=str(error))

    async def _end(self, keeper: CheckpointKeeper, service: Service) -> None:
        """Publish what was read and say goodbye to the meters, as far as there is time."""
        await service.stop()
        try:
            async with asyncio.timeout(_LAST_FLUSH_WITHIN_S):
                await self._flusher.flush()
                await keeper.save(self._progress)
        except (nats.errors.Error, TimeoutError, MeterTwinError) as error:
            # Nothing is lost that a meter still has: the next gateway goes on from the stream.
            log.warning("gateway_ends_early", group=self._config.group, reason=str(error))
        links = [meter.link for meter in self._meters.values() if meter.link.is_open]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_WITHIN_S):
                await asyncio.gather(*[link.close() for link in links])

    def _engine(self) -> PollEngine:
        return PollEngine(
            list(self._meters.values()),
            self._config.poll,
            self._clock,
            self._poller,
            self._flusher,
            self._events,
            self._metrics,
            self._random,
        )

    def _read_desk(self) -> ReadDesk:
        return ReadDesk(
            self._config.name,
            self._config.group,
            self._epoch,
            self._meters,
            self._config.poll,
            self._clock,
            self._poller,
            self._flusher,
            self._metrics,
        )

    def _command_desk(self, records: CommandLog) -> CommandDesk:
        executor = CommandExecutor(
            self._meters, self._clock, self._poller, self._metrics, self._random
        )
        return CommandDesk(
            self._bus,
            self._config.group,
            self._epoch,
            self._clock,
            executor,
            self._publisher,
            records,
            self._metrics,
            GroupInterlock(self._config.disconnects_per_hour_count),
        )


def _meters(
    config: GatewayConfig, progress: GroupProgress, models: ModelCache
) -> dict[MeterId, PolledMeter]:
    wanted = tuple(parse_cached(text) for text in config.poll.registers)
    return {
        entry.meter: PolledMeter(
            entry,
            DlmsLink(entry, wanted, models, config.poll.answer_timeout_s),
            progress.of(entry.meter),
        )
        for entry in config.meters
    }


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """Return the first error itself: a caller asks why the gateway ended, not in which task."""
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
