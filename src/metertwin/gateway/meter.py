"""One meter as the gateway sees it: its link, how far it is read, whether it can be relied on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from metertwin.core.ids import MeterId
from metertwin.gateway.metrics import GatewayMetrics
from metertwin.gateway.progress import MeterProgress
from metertwin.meters.entry import MeterEntry
from metertwin.meters.port import MeterIdentity, MeterLink


@dataclass(slots=True, eq=False)
class PolledMeter:
    """One meter.

    Attributes:
        progress: What of it is in the stream.
        read_us: Per capture period, up to where its profile was read; ahead of `progress` by what
            waits to be published.
        log_due_us: When its event log is read next, in the meters' time; 0 for at once.
        polled_at_us: When it was last polled to the end, by our clock; 0 before the first time.
        failures_count: Failures in a row.
        is_doubtful: It failed or was slow when last asked, and is asked in the slow lane.
        is_busy: A poll of it is under way or waits to be repeated.
        is_clock_off: Its clock was last called wrong.
    """

    entry: MeterEntry
    link: MeterLink
    progress: MeterProgress
    read_us: dict[int, int] = field(default_factory=dict)
    log_due_us: int = 0
    polled_at_us: int = 0
    failures_count: int = 0
    is_doubtful: bool = False
    is_busy: bool = False
    is_clock_off: bool = False
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def meter(self) -> MeterId:
        """The meter's id."""
        return self.entry.meter

    @asynccontextmanager
    async def in_turn(self, metrics: GatewayMetrics) -> AsyncIterator[MeterIdentity | None]:
        """Hold the link alone, opened; polls, reads and commands take turns.

        Yields:
            Which device answered if the association is a new one, else None.

        Raises:
            MeterLinkError: The meter cannot be reached or refuses.
        """
        async with self.alone(metrics):
            yield None if self.link.is_open else await self.link.open()

    @asynccontextmanager
    async def alone(self, metrics: GatewayMetrics) -> AsyncIterator[None]:
        """Hold the link alone, open or not."""
        loop = asyncio.get_running_loop()
        async with self._lock:
            begun_s = loop.time()
            try:
                yield
            finally:
                metrics.link_s += loop.time() - begun_s
