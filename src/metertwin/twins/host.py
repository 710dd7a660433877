"""The twin host: owns groups, keeps their twins in step, answers, commands, writes checkpoints.

Groups come and go while it runs. One is taken when nobody else owns it; one is handed over by
holding what is asked of it, writing the last checkpoint and giving the claim away, in this order:
at each moment one host owns the group, and who asked meanwhile is answered by the next one.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import structlog

from metertwin.bus.connection import Bus
from metertwin.bus.cuts import Cuts
from metertwin.bus.ending import end_if_told, is_ending
from metertwin.bus.ownership import (
    OwnedElsewhereError,
    SupersededError,
    current_holder,
    lots_claimed,
    twins_key,
)
from metertwin.bus.publish import Publisher
from metertwin.bus.subjects import READING_STREAM, Kind, of_group, subject
from metertwin.bus.tail import StreamTail
from metertwin.core.clock import Clock
from metertwin.core.errors import MeterTwinError, UnavailableError
from metertwin.core.ids import Lot
from metertwin.twins.checkpoint_store import CheckpointStore
from metertwin.twins.follow import Applied, apply_delivered
from metertwin.twins.group import CutOtherwiseError, check_cut
from metertwin.twins.hosted import HostedGroup
from metertwin.twins.owned import OwnedGroups
from metertwin.twins.ready import ReadyGroup
from metertwin.twins.recut.check import number_of_cut
from metertwin.twins.recut.desk import CutDesk
from metertwin.twins.settings import GroupSettings, TwinHostSettings

_FETCH_COUNT = 5_000
_FETCH_TIMEOUT_S = 0.25  # so long a group that came may wait to be followed
_HOUSEKEEPING_S = 0.25
_LONGEST_FILL_PAUSE_S = 60.0
_STATE_VERSION = 1
_STATE_TWINS_COUNT = 10_000  # in one message: about 2 MB

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class TwinHost:
    """Hosts the groups of its settings until stopped.

    Attributes:
        cut_desk: What it does when a group is cut otherwise.
    """

    settings: TwinHostSettings
    bus: Bus
    clock: Clock
    publisher: Publisher
    applied_count: int = 0
    refused_count: int = 0
    cut_desk: CutDesk = field(init=False)
    _owned: OwnedGroups = field(init=False)
    _is_in_step: bool = False  # nothing more waits in the stream

    def __post_init__(self) -> None:
        self._owned = OwnedGroups(self.settings.name, self.bus, self.clock, self.publisher)
        known = (*self.settings.groups, *self.settings.guests)
        self._owned.known.update((each.lot, each) for each in known)
        self.cut_desk = CutDesk(self._owned)

    @property
    def hosted(self) -> Mapping[Lot, HostedGroup]:
        """The groups it acts for."""
        return self._owned.hosted

    async def run(self) -> None:
        """Own the groups and serve them until cancelled; then write the last checkpoints."""
        try:
            for settings in self.settings.groups:
                await self._take_at_start(settings)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow())
                tasks.create_task(self._keep_house())
                tasks.create_task(self._fill_windows())
                tasks.create_task(self._owned.watch())
                end_if_told()
        finally:
            await self._leave()

    async def prepare(self, settings: GroupSettings) -> None:
        """Get ready to take a group soon, or to hand over one that is here.

        To take it its apps are made and its long past is fetched and decoded; before it is handed
        over a checkpoint is written, so that the last one has little left to write.

        Raises:
            SupersededError: The group was here, and another host took it.
            UnavailableError: The bus does not answer.
        """
        if hosted := self.hosted.get(settings.lot):
            await hosted.save()
            return
        ready = ReadyGroup.empty(settings, self.clock)
        cut = await number_of_cut(self.bus, settings)
        # Epoch 0: it reads alone.
        store = await CheckpointStore.open(self.bus, settings.lot, epoch=0, cut_number=cut)
        await ready.decode(await store.fetch_ahead())
        self._owned.have_ready(ready)

    async def take(self, settings: GroupSettings) -> HostedGroup:
        """Own a group and serve it; see `OwnedGroups.take`."""
        return await self._owned.take(settings)

    async def hand_over(self, lot: Lot, to: str) -> int:
        """Make another host the owner and return its epoch; see `OwnedGroups.hand_over`."""
        return await self._owned.hand_over(lot, to)

    @property
    def known(self) -> Mapping[Lot, GroupSettings]:
        """The groups it may own."""
        return self._owned.known

    @property
    def held(self) -> list[Lot]:
        """Its groups that are being cut otherwise, for which it does nothing just now."""
        return list(self._owned.held)

    @property
    def leaving(self) -> list[Lot]:
        """Groups that were given away and whose callers still wait here."""
        return self._owned.leaving

    async def pass_on(self, lot: Lot) -> int:
        """Send what waits for a group that went to its owner; return how much it was."""
        await self.cut_desk.look(lot)
        return await self._owned.pass_on(lot)

    async def _take_at_start(self, settings: GroupSettings) -> None:
        """Take a group that is this host's, or that nobody ever had."""
        record = await Cuts(self.bus, settings.id).look()
        if record is None:
            check_cut(settings, await lots_claimed(self.bus, settings.id))
        elif record.size != settings.twins_per_container:
            # It was, or is about to be; what this host shall have it is given.
            log.warning("group_is_cut_otherwise", group=settings.lot, size=record.size)
            return
        try:
            holder = await current_holder(self.bus, twins_key(settings.lot))
            if holder in {self.settings.name, None}:
                await self.take(settings)
            else:
                log.warning("group_is_elsewhere", group=settings.lot, holder=holder)
        except (OwnedElsewhereError, CutOtherwiseError) as error:
            log.warning("group_is_elsewhere", group=settings.lot, reason=str(error))

    async def _follow(self) -> None:
        tail: StreamTail | None = None
        try:
            while not is_ending():
                if self._owned.came or tail is None:
                    tail = await self._tail_anew(tail)
                if tail is None:
                    await asyncio.sleep(_HOUSEKEEPING_S)
                    continue
                delivered = await tail.fetch(_FETCH_COUNT, _FETCH_TIMEOUT_S)
                if self._owned.came:
                    continue  # what comes here may lie beyond what a group that just came needs
                if delivered:
                    groups = [hosted.group for hosted in self.hosted.values()]
                    await self._after(apply_delivered(groups, delivered))
                self._is_in_step = not tail.has_more
        finally:
            if tail is not None:
                await tail.close()

    async def _tail_anew(self, tail: StreamTail | None) -> StreamTail | None:
        """Return the stream from the oldest place a group needs; None while there is no group."""
        if tail is not None:
            await tail.close()
        self._owned.came.clear()
        self._is_in_step = False
        if not self.hosted:
            return None
        after = min(hosted.group.stream_sequence for hosted in self.hosted.values())
        groups = {hosted.group.settings.id for hosted in self.hosted.values()}
        subjects = [of_group(group, Kind.READING) for group in sorted(groups)]
        return StreamTail(self.bus, READING_STREAM, after, subjects)

    async def _after(self, applied: Applied) -> None:
        for lot in applied.lots:
            # Before anything is waited for: a checkpoint holds both the readings and what of them
            # followed, or neither.
            self.hosted[lot].apps.on_applied()
            self.hosted[lot].reader.wake()
        for refused in applied.refused:
            self.refused_count += 1
            log.warning(
                "reading_refused", subject=refused.delivered.subject, reason=str(refused.error)
            )
        for fall in applied.falls:
            if hosted := self.hosted.get(fall.lot):
                try:
                    await hosted.announce_falls(fall.registers)
                except SupersededError as error:
                    await self._owned.step_down(hosted, str(error))
        for lot in applied.lots:
            if lot in self.hosted:
                await self.hosted[lot].carry_out()

    async def _keep_house(self) -> None:
        """Checkpoints, live state and desired state, each at its own pace."""
        checkpoint_due_s = state_due_s = 0.0
        while not is_ending():
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
        for hosted in self._owned.each():
            hosted.apps.on_time()
            await hosted.carry_out()

    async def _fill_windows(self) -> None:
        """Fill the windows of apps that came later than their group, when the recorder can."""
        pause_s, due_s = _HOUSEKEEPING_S, 0.0
        while not is_ending():
            needing = [hosted for hosted in self.hosted.values() if hosted.backfill.is_needed]
            if needing and self.clock.monotonic_s() >= due_s:
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
            log.warning("window_waits", group=hosted.lot, reason=str(error))

    async def _say_state(self) -> None:
        """Tell who listens which twins changed, and command what differs from desired."""
        for hosted in self._owned.each():
            group = hosted.group.settings.id
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
            await hosted.tell_conflicts()
            await hosted.reconcile()
        except MeterTwinError as error:
            log.warning("reconcile_waits", group=hosted.lot, reason=str(error))

    async def _save_changed(self) -> None:
        for hosted in self._owned.each():
            try:
                if not hosted.is_saved:
                    await hosted.save()
                await hosted.checkpoints.sweep()
            except SupersededError as error:
                await self._owned.step_down(hosted, str(error))
            except UnavailableError as error:
                log.warning("checkpoint_waits", group=hosted.lot, reason=str(error))

    async def _leave(self) -> None:
        await self._owned.close()
        await self._save_changed()
