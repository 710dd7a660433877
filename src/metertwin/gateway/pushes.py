"""Deliveries by the meters themselves, each a batch of one meter in the same numbered stream."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from metertwin.core.errors import MeterTwinError
from metertwin.gateway.meter import PolledMeter
from metertwin.gateway.metrics import GatewayMetrics
from metertwin.gateway.poll import Poller
from metertwin.meters.port import Pushed
from metertwin.meters.push import PushListener, names_in, notification_of

# Beyond this many not yet understood, further pushes are dropped and counted: the values are in the
# meters and are polled, while memory is not without end.
_WAITING_MOST = 10_000
_WORKERS_COUNT = 8  # one meter whose push setup must be read first does not hold up the others

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class PushDesk:
    """Takes pushes of one group's meters."""

    meters: Iterable[PolledMeter]
    poller: Poller
    metrics: GatewayMetrics
    _waiting: asyncio.Queue[Pushed] = field(
        default_factory=lambda: asyncio.Queue(maxsize=_WAITING_MOST)
    )

    async def run(self, host: str, port: int) -> None:
        """Listen and take pushes for ever."""
        listener = PushListener(self._accept)
        await listener.start(host, port)
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(_WORKERS_COUNT):
                    workers.create_task(self._work())
        finally:
            await listener.stop()

    async def _work(self) -> None:
        while True:
            await self._take(await self._waiting.get())

    def _accept(self, pushed: Pushed) -> None:
        try:
            self._waiting.put_nowait(pushed)
        except asyncio.QueueFull:
            self.metrics.refused_pushes_count += 1

    async def _take(self, pushed: Pushed) -> None:
        try:
            meter = self._sender(pushed)
            if meter is None:
                self.metrics.refused_pushes_count += 1
                log.warning("push_of_unknown_meter", host=pushed.host, sap=pushed.source_sap)
                return
            async with meter.alone(self.metrics):
                snapshot = await meter.link.read_push(pushed)
        except MeterTwinError as error:
            self.metrics.refused_pushes_count += 1
            log.warning("push_refused", host=pushed.host, reason=str(error))
            return
        self.metrics.pushes_count += 1
        self.poller.queue(meter, snapshot)

    def _sender(self, pushed: Pushed) -> PolledMeter | None:
        """Return whose serial number or id it carries, else who is reached where it came from."""
        names = names_in(notification_of(pushed))
        by_address = None
        for meter in self.meters:
            if names and (meter.progress.serial in names or meter.meter in names):
                return meter
            entry = meter.entry
            if (entry.host, entry.server_sap) == (pushed.host, pushed.source_sap):
                by_address = meter
        return by_address
