"""Meters that report by themselves: a data notification from each, every quarter of an hour.

All go over one TCP connection in wrapper frames, as from a concentrator. A push that finds no
connection is lost and counted, as a meter's is whose modem has no network; the profile keeps it.
"""

import asyncio
from typing import cast

from metertwin.cosem.apdu.notification import DataNotification
from metertwin.cosem.datetime import encode_datetime
from metertwin.cosem.wrapper import encode_wrapper
from metertwin.simulation.config import SimulationConfig
from metertwin.simulation.credentials import FIRST_METER_SAP, clients_of
from metertwin.simulation.device_objects import push_body
from metertwin.simulation.load_profile import CAPTURE_PERIOD_S
from metertwin.simulation.meter import Meter

_RETRY_S = 1.0
_BUFFERED_OCTETS_MAX = 8 << 20
_LONG_INVOKE_MASK = 0xFF_FFFF


class Pusher:
    """Sends the pushes of all meters.

    Args:
        meters: The meters, by row.
        config: What is simulated.
        destination: Host and port of who takes them.

    Attributes:
        sent_count: Pushes handed to the connection.
        lost_count: Pushes that found none, or one that does not keep up.
    """

    def __init__(
        self, meters: list[Meter], config: SimulationConfig, destination: tuple[str, int]
    ) -> None:
        self.sent_count = 0
        self.lost_count = 0
        self._meters = meters
        self._zone = config.zone
        self._client_sap = clients_of(config.security)[-1].sap
        self._destination = destination
        self._quarter = 0
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, now_s: int) -> None:
        """Connect, and again whenever the connection ends; the quarter of `now_s` is not pushed."""
        self._quarter = now_s // CAPTURE_PERIOD_S
        self._task = asyncio.create_task(self._stay_connected())

    async def close(self) -> None:
        """End the connection for good."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._transport is not None:
            self._transport.abort()

    def push_due(self, now_s: int) -> None:
        """Push once if another quarter of an hour of the meters' time has begun."""
        quarter = now_s // CAPTURE_PERIOD_S
        if quarter > self._quarter:
            self._quarter = quarter
            self._push(quarter)

    def _push(self, quarter: int) -> None:
        answering = [meter for meter in self._meters if meter.is_answering]
        transport = self._transport
        if transport is None or transport.get_write_buffer_size() > _BUFFERED_OCTETS_MAX:
            self.lost_count += len(answering)
            return
        transport.write(b"".join([self._frame(meter, quarter) for meter in answering]))
        self.sent_count += len(answering)

    def _frame(self, meter: Meter, quarter: int) -> bytes:
        notification = DataNotification(
            quarter & _LONG_INVOKE_MASK,
            encode_datetime(meter.clock, self._zone),
            push_body(meter, self._zone),
        )
        sap = FIRST_METER_SAP + meter.row
        return encode_wrapper(sap, self._client_sap, notification.encode())

    async def _stay_connected(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            lost = asyncio.Event()
            try:
                await loop.create_connection(lambda: _Connection(self, lost), *self._destination)  # noqa: B023 - called before the next round
            except OSError:
                await asyncio.sleep(_RETRY_S)  # real time: the receiver lives in it
                continue
            await lost.wait()

    def use(self, transport: asyncio.Transport | None) -> None:
        """Send over this connection from now on; None for over none."""
        self._transport = transport


class _Connection(asyncio.Protocol):
    def __init__(self, pusher: Pusher, lost: asyncio.Event) -> None:
        self._pusher = pusher
        self._lost = lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, since uvloop's transports are no subclasses of asyncio's.
        self._pusher.use(cast("asyncio.Transport", transport))

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._pusher.use(None)
        self._lost.set()
