"""One group under this host's ownership: its twins and all that acts for them."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from metertwin import __version__
from metertwin.bus.connection import Bus
from metertwin.bus.ownership import Bequest, SupersededError
from metertwin.bus.publish import Publisher
from metertwin.bus.streams import last_sequence_of
from metertwin.bus.subjects import COMMAND_STREAM
from metertwin.core.clock import Clock
from metertwin.core.command import Command, CommandOutcome
from metertwin.core.errors import UnavailableError
from metertwin.core.ids import LotId, MeterId
from metertwin.core.twin import TwinDocument
from metertwin.twins.answers import Answers
from metertwin.twins.apps.backfill import Backfill
from metertwin.twins.apps.beginning import begin_window, received_counts
from metertwin.twins.apps.carry_out import CarryOut
from metertwin.twins.apps.history import Past
from metertwin.twins.apps.host import AppHost
from metertwin.twins.apps.requests import AppRequests
from metertwin.twins.checkpoint import encode_checkpoint, restore_checkpoint
from metertwin.twins.checkpoint_store import CheckpointStore
from metertwin.twins.columns import FallenRegisters
from metertwin.twins.commands import CommandDesk
from metertwin.twins.desired import Ask, Desired, Reconciler, checked_changes
from metertwin.twins.desired_store import DesiredStore
from metertwin.twins.falls import fall_events
from metertwin.twins.follow import Applied
from metertwin.twins.group import TwinGroup
from metertwin.twins.interlock import DisconnectInterlock
from metertwin.twins.merging import Wish, conflict_event
from metertwin.twins.outbox import BusOutbox
from metertwin.twins.profiles import Profiles
from metertwin.twins.ready import ReadyGroup
from metertwin.twins.recut.check import cut_at_take
from metertwin.twins.tenure import Tenure
from metertwin.twins.through import GatewayReader

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class HostedGroup:
    """A group that this host owns.

    Attributes:
        tenure: This host's claim.
        saved_sequence: Stream sequence of the last checkpoint.
    """

    host: str
    bus: Bus
    clock: Clock
    group: TwinGroup
    tenure: Tenure
    checkpoints: CheckpointStore
    desired: DesiredStore
    desk: CommandDesk
    outbox: BusOutbox
    reader: GatewayReader
    answers: Answers
    profiles: Profiles
    reconciler: Reconciler
    apps: AppHost
    backfill: Backfill
    _carrier: CarryOut
    saved_sequence: int = 0
    _saving: asyncio.Lock = field(default_factory=asyncio.Lock)

    @classmethod
    async def take(
        cls,
        host: str,
        bus: Bus,
        publisher: Publisher,
        clock: Clock,
        ready: ReadyGroup,
    ) -> "HostedGroup":
        """Claim a group and restore its newest checkpoint, as far as it is not ready.

        Raises:
            OwnedElsewhereError: Another host owns the group.
            CutOtherwiseError: The group is cut otherwise than the settings say.
            CheckpointError: The checkpoint is damaged.
            WireVersionError: Another version wrote it.
        """
        group, apps, settings = ready.group, ready.apps, ready.group.settings
        tenure = await Tenure.begin(bus, settings.lot, host)
        cut = await cut_at_take(bus, settings)
        checkpoints = await CheckpointStore.open(bus, settings.lot, tenure.epoch, cut_number=cut)
        checkpoints.have(ready.octets)
        saved = await checkpoints.load()
        if saved is not None:
            restore_checkpoint(group, apps, saved, ready.blocks)
            group.check_share()
        await begin_window(bus, group, apps, clock)
        outbox = BusOutbox(publisher, settings.id)
        interlock = DisconnectInterlock(settings, group.disconnects_accepted_at)
        reader = GatewayReader(bus, group)

        async def keep_count() -> None:
            await hosted.save()

        async def accept(command: Command) -> CommandOutcome:
            return await hosted.accept(command)

        hosted = cls(
            host=host,
            bus=bus,
            clock=clock,
            group=group,
            tenure=tenure,
            checkpoints=checkpoints,
            desired=await DesiredStore.open(bus, settings.id, group.own_meters),
            desk=CommandDesk(group, interlock, outbox, clock, keep_count),
            outbox=outbox,
            reader=reader,
            answers=Answers(group, reader, clock),
            profiles=Profiles(bus, group, reader, clock),
            reconciler=Reconciler(settings.id),
            apps=apps,
            backfill=Backfill(bus, group, apps, clock, received_counts(group)),
            _carrier=CarryOut(apps, outbox, accept, clock),
            saved_sequence=group.stream_sequence,
        )
        epoch, sequence = tenure.epoch, group.stream_sequence
        log.info("group_taken", group=settings.lot, epoch=epoch, sequence=sequence)
        return hosted

    @property
    def lot(self) -> LotId:
        """The group, or the share of it."""
        return self.group.settings.lot

    @property
    def epoch(self) -> int:
        """Of this host's claim."""
        return self.tenure.epoch

    def document(self, meter: MeterId) -> TwinDocument:
        """Return everything a twin says of itself."""
        return self.answers.document(meter, self.epoch, self.desired.states.get(meter))

    async def accept(self, command: Command) -> CommandOutcome:
        """Accept or refuse a command; see `CommandDesk.accept`.

        Raises:
            SupersededError: Another host took the group over.
        """
        await self.check_owner()
        return await self.desk.accept(command, self.epoch)

    async def want(
        self, meter: MeterId, changes: dict[str, Any], ask: Ask | None = None
    ) -> Desired:
        """Change what is wanted of a meter, and begin to bring it about.

        Raises:
            SupersededError: Another host took the group over.
        """
        self.group.row(meter)
        await self.check_owner()
        state = await self.desired.change(meter, checked_changes(meter, changes), ask)
        await self.reconcile()
        return state

    async def merge(self, meter: MeterId, wishes: Sequence[Wish]) -> Desired:
        """Merge what was wished elsewhere while this host could not be reached.

        Raises:
            SupersededError: Another host took the group over.
        """
        self.group.row(meter)
        await self.check_owner()
        for wish in wishes:
            checked_changes(meter, {wish.path: wish.value})
        state = await self.desired.merge(meter, wishes, self.clock.now())
        await self.tell_conflicts()
        await self.reconcile()
        return state

    async def tell_conflicts(self) -> None:
        """Publish an event for each conflict not yet told; a crash in between repeats it alike."""
        for meter, state in list(self.desired.states.items()):
            if not state.untold:
                continue
            for conflict in state.untold:
                await self.outbox.send_event(conflict_event(meter, conflict, self.clock.now()))
            await self.outbox.flush()
            await self.desired.note_told(meter, state.untold)

    async def reconcile(self) -> None:
        """Command what differs between desired and reported and is not under way."""
        now = self.clock.now()
        for meter, state in self.desired.states.items():
            row = self.group.columns.row_of(meter)
            if row is None:
                continue
            pending = self.answers.pending_paths(row, state)
            for path in state.values:
                if path not in pending:
                    self.reconciler.settle(meter, path)
                elif command := self.reconciler.next_command(meter, state, path, now):
                    self.reconciler.learn(meter, await self.accept(command))

    def learn(self, outcome: CommandOutcome) -> None:
        """Take note of the gateway's answer to a command."""
        self.desk.learn(outcome)
        self.reconciler.learn(outcome.meter, outcome)

    async def announce_falls(self, fallen: FallenRegisters) -> None:
        """Publish an event for each counting register that fell.

        Raises:
            SupersededError: Another host took the group over.
        """
        with contextlib.suppress(UnavailableError):  # then the event waits for the bus as well
            await self.check_owner()
        for event in fall_events(self.group.columns, fallen, self.clock.now()):
            await self.outbox.send_event(event)

    async def check_owner(self) -> None:
        """Return if this host may still write for the group; see `Tenure.check`.

        Raises:
            SupersededError: Another host took the group over.
            UnavailableError: The bus does not answer, or the group is being handed over.
        """
        try:
            await self.tenure.check()
        except SupersededError:
            self.apps.close()
            raise

    async def save(self) -> None:
        """Write a checkpoint.

        Raises:
            SupersededError: Another host took the group over.
        """
        async with self._saving:
            sequence = self.group.stream_sequence
            self.apps.has_news = False
            try:
                await self.checkpoints.save(encode_checkpoint(self.group, self.apps))
            except BaseException as error:
                self.apps.has_news = True  # so that whoever keeps house tries, and finds out
                if isinstance(error, SupersededError):
                    self.apps.close()
                raise
            self.saved_sequence = sequence

    async def give(self, to: str) -> int:
        """Write the last checkpoint and make another host the owner; return its epoch.

        Waits for as long as it is open whether the claim was given.

        Raises:
            SupersededError: Another host took the group already.
            UnavailableError: The bus did not take the checkpoint; nothing was given.
        """
        await self.carry_out()
        self.tenure.is_leaving = True
        try:
            await self.save()
            return await self.tenure.give(to)
        except BaseException:
            self.tenure.is_leaving = False
            raise

    async def settle(self) -> Bequest:
        """Write the last checkpoint and accept nothing more; return what was commanded.

        Raises as `give`; then it goes on.
        """
        await self.carry_out()
        self.tenure.is_leaving = True
        try:
            await self.save()
            return Bequest(self.epoch, await last_sequence_of(self.bus, COMMAND_STREAM))
        except BaseException:
            self.go_on()
            raise

    def go_on(self) -> None:
        """Accept again: the group stays here after all."""
        self.tenure.is_leaving = False

    async def note_applied(self, applied: Applied) -> None:
        """Show what was applied to this group alone to its apps, and tell what followed."""
        if applied.lots:
            self.apps.on_applied()
            self.reader.wake()
        for fall in applied.falls:
            await self.announce_falls(fall.registers)

    @property
    def is_saved(self) -> bool:
        """Whether the last checkpoint has everything."""
        return self.group.stream_sequence == self.saved_sequence and not self.apps.has_news

    async def carry_out(self) -> None:
        """Carry out what the group's apps concluded."""
        if not self.apps.effects:
            return
        try:
            await self.check_owner()
        except (UnavailableError, SupersededError) as error:
            log.warning("app_effects_wait", group=self.lot, reason=str(error))
            return
        await self._carrier.carry_out()

    def app_requests(self) -> AppRequests:
        """Return what answers the requests of the group's apps."""
        past = Past(self.bus, self.group, self.apps.window, self.clock)
        return AppRequests(self.group, self.apps, past, self._settle)

    async def _settle(self) -> None:
        await self.save()
        await self.carry_out()

    def facts(self) -> dict[str, object]:
        """Return how the group stands and what it costs."""
        columns = self.group.columns
        twins = len(columns)
        return {
            "host": self.host,
            "version": __version__,
            "group": self.group.settings.id,
            "share": self.group.settings.share,
            "shares_count": self.group.settings.shares_count,
            "epoch": self.epoch,
            "twins": twins,
            "in_step": self.answers.view.in_step_count(),
            "stream_sequence": self.group.stream_sequence,
            "saved_sequence": self.saved_sequence,
            "stale": self.group.stale_count,
            "bytes_per_twin": columns.size_bytes / max(twins, 1),
            **self.apps.facts(),
        }
