"""The twin host: owns groups, keeps their twins in step, answers, commands, writes checkpoints."""

import asyncio
from dataclasses import dataclass, field

import msgspec
import structlog
from nats.aio.msg import Msg

from metertwin.bus.connection import Bus
from metertwin.bus.ending import end_if_told, is_ending
from metertwin.bus.messages import decode_outcome
from metertwin.bus.ownership import SupersededError
from metertwin.bus.publish import Publisher
from metertwin.bus.requests import Service, serve
from metertwin.bus.subjects import READING_STREAM, Kind, of_group, subject
from metertwin.bus.tail import StreamTail
from metertwin.bus.wire import WireError
from metertwin.core.clock import Clock
from metertwin.core.errors import MeterTwinError, UnavailableError
from metertwin.core.ids import GroupId
from metertwin.twins.follow import Applied, apply_delivered
from metertwin.twins.hosted import HostedGroup
from metertwin.twins.requests import TwinRequests
from metertwin.twins.settings import TwinHostSettings

_FETCH_COUNT = 5_000
_FETCH_TIMEOUT_S = 1.0
_HOUSEKEEPING_S = 0.25
_LONGEST_FILL_PAUSE_S = 60.0
_STATE_VERSION = 1
_STATE_TWINS_COUNT = 10_000  # in one message: about 2 MB

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class TwinHost:
    """Hosts the groups of its settings until stopped."""

    settings: TwinHostSettings
    bus: Bus
    clock: Clock
    publisher: Publisher
    hosted: dict[GroupId, HostedGroup] = field(default_factory=dict)
    applied_count: int = 0
    refused_count: int = 0
    _is_in_step: bool = False  # nothing more waits in the stream
    _services: dict[GroupId, Service] = field(default_factory=dict)

    async def run(self) -> None:
        """Own the groups and serve them until cancelled; then write the last checkpoints."""
        try:
            for settings in self.settings.groups:
                self.hosted[settings.id] = await HostedGroup.take(
                    self.settings.name, self.bus, self.publisher, self.clock, settings
                )
            tail = self._tail()
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._follow(tail))
                    tasks.create_task(self._keep_house())
                    tasks.create_task(self._fill_windows())
                    await self._serve()
                    end_if_told()
            finally:
                await tail.close()
        finally:
            await self._leave()

    def _tail(self) -> StreamTail:
        """Return the stream from the oldest place a group's checkpoint needs."""
        after = min(hosted.group.stream_sequence for hosted in self.hosted.values())
        subjects = [of_group(group, Kind.READING) for group in self.hosted]
        return StreamTail(self.bus, READING_STREAM, after, subjects)

    async def _serve(self) -> None:
        for group, hosted in self.hosted.items():
            own = TwinRequests(hosted).handlers()
            self._services[group] = await serve(
                self.bus,
                of_group(group, Kind.REQUEST),
                queue=f"twins-{group}",
                handlers={**own, **hosted.app_requests().handlers(own)},
            )
            await self.bus.nc.subscribe(of_group(group, Kind.OUTCOME), cb=self._on_outcome)

    async def _follow(self, tail: StreamTail) -> None:
        while self.hosted and not is_ending():
            delivered = await tail.fetch(_FETCH_COUNT, _FETCH_TIMEOUT_S)
            if delivered:
                groups = {group: hosted.group for group, hosted in self.hosted.items()}
                await self._after(apply_delivered(groups, delivered))
            self._is_in_step = not tail.has_more

    async def _after(self, applied: Applied) -> None:
        for group in applied.groups:
            # Before anything is waited for: a checkpoint holds both the readings and what of them
            # followed, or neither.
            self.hosted[group].apps.on_applied()
            self.hosted[group].reader.wake()
        for refused in applied.refused:
            self.refused_count += 1
            log.warning(
                "reading_refused", subject=refused.delivered.subject, reason=str(refused.error)
            )
        for fall in applied.falls:
            if fall.group not in self.hosted:
                continue
            await self.hosted[fall.group].announce_falls(fall.registers)
        for group in applied.groups:
            if group in self.hosted:
                await self.hosted[group].carry_out()

    async def _keep_house(self) -> None:
        """Checkpoints, live state and desired state, each at its own pace."""
        checkpoint_due_s = state_due_s = 0.0
        while self.hosted and not is_ending():
            now_s = self.clock.monotonic_s()
            if self._is_in_step:
                await self._wake_apps()
            if now_s >= state_due_s:
                state_due_s = now_s + self.settings.state_every_s
                await self._say_state()
            if now_s >= checkpoint_due_s:
                checkpoint_due_s = now_s + self.settings.checkpoint_every_s
                await self._save_changed()
            await asyncio.sleep(_HOUSEKEEPING_S)

    async def _wake_apps(self) -> None:
        for hosted in list(self.hosted.values()):
            hosted.apps.on_time()
            await hosted.carry_out()

    async def _fill_windows(self) -> None:
        """Fill the windows of apps that came later than their group, when the recorder can."""
        pause_s, due_s = _HOUSEKEEPING_S, 0.0
        while not is_ending():
            needing = [hosted for hosted in self.hosted.values() if hosted.backfill.is_needed]
            if not needing:
                return
            if self.clock.monotonic_s() >= due_s:
                for hosted in needing:
                    await self._fill_window(hosted)
                pause_s = min(2 * pause_s, _LONGEST_FILL_PAUSE_S)
                due_s = self.clock.monotonic_s() + pause_s
            await asyncio.sleep(_HOUSEKEEPING_S)

    async def _fill_window(self, hosted: HostedGroup) -> None:
        try:
            await hosted.backfill.run()
            await hosted.carry_out()
        except MeterTwinError as error:
            log.warning("window_waits", group=hosted.group.settings.id, reason=str(error))

    async def _say_state(self) -> None:
        """Tell who listens which twins changed, and command what differs from desired."""
        for group, hosted in self.hosted.items():
            if hosted.desired.states:
                await self._reconcile(hosted)
            rows = hosted.group.take_changed_rows()
            if not rows:
                continue
            # Live only: who was not there reads the twin; a bus that is away misses it.
            summaries = hosted.answers.view.summaries(rows)
            for start in range(0, len(summaries), _STATE_TWINS_COUNT):
                some = summaries[start : start + _STATE_TWINS_COUNT]
                await self.bus.say(
                    subject(group, Kind.STATE), msgspec.msgpack.encode((_STATE_VERSION, some))
                )

    async def _reconcile(self, hosted: HostedGroup) -> None:
        try:
            await hosted.reconcile()
        except MeterTwinError as error:
            log.warning("reconcile_waits", group=hosted.group.settings.id, reason=str(error))

    async def _save_changed(self) -> None:
        for group, hosted in list(self.hosted.items()):
            if hosted.is_saved:
                continue
            try:
                await hosted.save()
            except SupersededError as error:
                await self._step_down(group, error)
            except UnavailableError as error:
                log.warning("checkpoint_waits", group=group, reason=str(error))

    async def _step_down(self, group: GroupId, reason: SupersededError) -> None:
        """Stop acting for a group that another host owns now; nothing of it is written."""
        log.error("group_lost", group=group, reason=str(reason))
        del self.hosted[group]
        await self._services.pop(group).stop()

    async def _on_outcome(self, message: Msg) -> None:
        try:
            outcome = decode_outcome(message.data)
        except WireError as error:
            log.warning("outcome_refused", subject=message.subject, reason=str(error))
            return
        hosted = self.hosted.get(GroupId(message.subject.split(".", 2)[1]))
        if hosted is not None:
            hosted.learn(outcome)

    async def _leave(self) -> None:
        for service in self._services.values():
            await service.stop()
        await self._save_changed()
