"""The recorder's process: streams in, history out."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import nats.errors
import structlog

from metertwin.bus.connection import Bus
from metertwin.bus.messages import Request
from metertwin.bus.requests import Service, serve
from metertwin.bus.subjects import (
    COMMAND_STREAM,
    EVENT_STREAM,
    READING_STREAM,
    Kind,
    all_groups,
    of_group,
)
from metertwin.bus.tail import StreamTail
from metertwin.core.clock import Clock
from metertwin.core.errors import UnavailableError
from metertwin.core.ids import GroupId
from metertwin.recorder.counters import Counters
from metertwin.recorder.follow import Follower
from metertwin.recorder.history import GroupHistory
from metertwin.recorder.notices import NoticeIntake
from metertwin.recorder.readings import ReadingIntake
from metertwin.recorder.settings import RecorderSettings
from metertwin.recorder.writer import Writer
from metertwin.store.duckdb import DuckDbStore
from metertwin.store.errors import StoreUnavailableError
from metertwin.store.port import HistoryStore

_SERVE_AGAIN_S = 1.0
_QUEUE = "recorder"
_NOTICES = {
    EVENT_STREAM: [all_groups(Kind.EVENT), all_groups(Kind.OUTPUT)],
    COMMAND_STREAM: [all_groups(Kind.COMMAND), all_groups(Kind.OUTCOME)],
}
_log = structlog.get_logger(__name__)


async def run_recorder(
    settings: RecorderSettings, bus: Bus, store: HistoryStore, clock: Clock
) -> None:
    """Record what the streams hold and answer questions, until cancelled.

    The store stays open: whoever opened it closes it.

    Raises:
        StoreDamagedError: The store is broken; a backup is needed.
        UnavailableError: The bus has no streams, or its connection was closed.
    """
    await Recorder(settings, bus, store, clock).run()


async def open_history(path: Path, settings: RecorderSettings) -> DuckDbStore:
    """Open the history file; wait while another process has it or the disk is full.

    Raises:
        StoreDamagedError: It is no DuckDB file, or a broken one.
        StoreVersionError: Another MeterTwin wrote it.
    """
    pause_s = settings.first_pause_s
    while True:
        try:
            return DuckDbStore(path)
        except StoreUnavailableError as error:
            _log.error("store_unavailable", reason=str(error), retry_in_s=pause_s)
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, settings.longest_pause_s)


@dataclass(slots=True)
class Recorder:
    """One running recorder; `counters` say what it did."""

    settings: RecorderSettings
    bus: Bus
    store: HistoryStore
    clock: Clock
    counters: Counters = field(default_factory=Counters)
    _services: dict[GroupId, Service] = field(default_factory=dict, init=False)
    _is_stopping: bool = field(default=False, init=False)
    _recorded: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    async def run(self) -> None:
        """Record and answer until cancelled; see `run_recorder`."""
        writer = Writer(self.store, self.settings, self.counters, self._recorded.set)
        threads = ThreadPoolExecutor(self.settings.question_threads, "history-question")
        followers = self._followers(writer)
        try:
            async with asyncio.TaskGroup() as tasks:
                for follower in followers:
                    tasks.create_task(follower.run())
                tasks.create_task(self._serve_groups(threads))
                try:
                    await asyncio.Event().wait()
                finally:
                    self._stop(followers)
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors  # the first one stopped the others
        finally:
            await asyncio.gather(*(service.stop() for service in self._services.values()))
            writer.close()
            threads.shutdown(wait=True)

    def _stop(self, followers: list[Follower]) -> None:
        """End the loops, also where the bus client swallowed the cancellation; its flush does."""
        self._is_stopping = True
        self._recorded.set()
        for follower in followers:
            follower.is_stopping = True

    def _followers(self, writer: Writer) -> list[Follower]:
        positions = self.store.remembered().positions
        self.counters.positions |= positions
        intake = ReadingIntake(self.store, self.clock, self.counters)
        sources = [(READING_STREAM, [all_groups(Kind.READING)], intake.harvest)]
        sources += [
            (stream, subjects, NoticeIntake(stream, self.clock).harvest)
            for stream, subjects in _NOTICES.items()
        ]
        return [
            Follower(
                StreamTail(self.bus, stream, positions.get(stream, 0), subjects),
                harvest,
                writer.record,
                self.settings,
                self.counters,
            )
            for stream, subjects, harvest in sources
        ]

    async def _serve_groups(self, threads: ThreadPoolExecutor) -> None:
        """Serve every group that has a history, as soon as it has one."""
        while not self._is_stopping:
            for group in {*self.settings.groups, *self.store.groups()} - self._services.keys():
                history = GroupHistory(group, self.store, threads, self.settings.maximal_power_w)
                handlers = {**history.handlers(), "host": self._host}
                try:
                    subject = of_group(group, Kind.HISTORY)
                    self._services[group] = await serve(self.bus, subject, _QUEUE, handlers)
                except UnavailableError as error:
                    _log.warning("group_not_served", group=group, reason=str(error))
                    await asyncio.sleep(_SERVE_AGAIN_S)
            if not self._is_stopping:
                self._recorded.clear()
                await self._recorded.wait()

    async def _host(self, _request: Request, _meter: str, _deadline_s: float) -> dict[str, Any]:
        """Return the counters, and by how many messages each stream is ahead."""
        said = asdict(self.counters)
        said["host"] = self.settings.name
        said["groups"] = sorted(self._services)
        said["lag"] = {stream: await self._lag(stream) for stream in (READING_STREAM, *_NOTICES)}
        return said

    async def _lag(self, stream: str) -> int | None:
        """Return how many messages of a stream are not durable here yet; None if unknown."""
        try:
            info = await self.bus.js.stream_info(stream)
        except (nats.errors.Error, TimeoutError):
            return None
        return max(info.state.last_seq - self.counters.positions.get(stream, 0), 0)
