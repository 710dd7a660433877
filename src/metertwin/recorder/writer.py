"""Harvests made durable, one after the other, for as long as it takes.

While the disk is full or the file is held by somebody else, the harvest waits here and nothing
more is read from the bus, which keeps everything meanwhile.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import structlog

from metertwin.recorder.counters import Counters
from metertwin.recorder.settings import RecorderSettings
from metertwin.store.errors import StoreUnavailableError
from metertwin.store.harvest import Harvest, Recorded
from metertwin.store.port import HistoryStore

_log = structlog.get_logger(__name__)


class Writer:
    """The one who writes to the store, in a thread of its own.

    Args:
        store: Where to.
        settings: How long to pause before trying again.
        counters: Counts what was written, and says why nothing can be.
        on_recorded: Called after each transaction.
    """

    def __init__(
        self,
        store: HistoryStore,
        settings: RecorderSettings,
        counters: Counters,
        on_recorded: Callable[[], None],
    ) -> None:
        self._store = store
        self._settings = settings
        self._counters = counters
        self._on_recorded = on_recorded
        # A failed harvest is tried again before any other: the store knows only of the last one
        # whether it happened.
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="history-writer")

    async def record(self, harvest: Harvest) -> None:
        """Make a harvest durable; returns only then.

        Raises:
            StoreDamagedError: The store is broken; trying again does not help.
        """
        async with self._turn:
            recorded = await self._recorded(harvest)
        self._counters.add(harvest, recorded)
        self._on_recorded()

    async def _recorded(self, harvest: Harvest) -> Recorded:
        pause_s = self._settings.first_pause_s
        while True:
            try:
                recorded = await self._in_thread(harvest)
            except StoreUnavailableError as error:
                _log.error("store_unavailable", reason=str(error), retry_in_s=pause_s)
                self._counters.trouble = str(error)
                self._counters.retry_count += 1
            else:
                self._counters.trouble = ""
                return recorded
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, self._settings.longest_pause_s)

    def close(self) -> None:
        """Wait for the transaction under way and take no more."""
        self._thread.shutdown(wait=True)

    async def _in_thread(self, harvest: Harvest) -> Recorded:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._store.record, harvest)
