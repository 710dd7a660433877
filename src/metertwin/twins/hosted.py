"""One group under this host's ownership: its twins and all that acts for them."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import structlog

from metertwin import __version__
from metertwin.bus.buckets import bucket_at_hand
from metertwin.bus.connection import Bus
from metertwin.bus.ownership import SupersededError, claim, twins_key
from metertwin.bus.publish import Publisher
from metertwin.bus.subjects import READING_STREAM
from metertwin.core.clock import Clock, from_us, to_us
from metertwin.core.command import Command, CommandOutcome
from metertwin.core.event import Event, EventSource
from metertwin.core.ids import MeterId
from metertwin.core.twin import TwinDocument
from metertwin.twins.answers import Answers
from metertwin.twins.apps.backfill import Backfill
from metertwin.twins.apps.carry_out import CarryOut
from metertwin.twins.apps.history import Past
from metertwin.twins.apps.host import AppHost
from metertwin.twins.apps.requests import AppRequests
from metertwin.twins.checkpoint import encode_checkpoint, restore_checkpoint
from metertwin.twins.checkpoint_store import CheckpointStore
from metertwin.twins.columns import FallenRegisters
from metertwin.twins.commands import CommandDesk
from metertwin.twins.desired import Desired, Reconciler, checked_changes
from metertwin.twins.desired_store import DesiredStore
from metertwin.twins.group import TwinGroup
from metertwin.twins.interlock import DisconnectInterlock
from metertwin.twins.outbox import BusOutbox
from metertwin.twins.profiles import Profiles
from metertwin.twins.settings import GroupSettings
from metertwin.twins.through import GatewayReader

REGISTER_FELL_CODE = -1

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class HostedGroup:
    """A group that this host owns.

    Attributes:
        epoch: Of this host's claim.
        saved_sequence: Stream sequence of the last checkpoint.
    """

    host: str
    bus: Bus
    clock: Clock
    group: TwinGroup
    epoch: int
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
        cls, host: str, bus: Bus, publisher: Publisher, clock: Clock, settings: GroupSettings
    ) -> "HostedGroup":
        """Claim a group and restore its newest checkpoint.

        Raises:
            OwnedElsewhereError: Another host owns the group.
            CheckpointError: The checkpoint is damaged.
            WireVersionError: Another version wrote it.
        """
        epoch = await claim(bus, twins_key(settings.id), host)
        checkpoints = await CheckpointStore.open(bus, settings.id, epoch)
        group = TwinGroup(settings)
        apps = AppHost(group, clock)
        saved = await checkpoints.load()
        if saved is not None:
            restore_checkpoint(group, apps, saved)
        await _begin_window(bus, group, apps, clock)
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
            epoch=epoch,
            checkpoints=checkpoints,
            desired=await DesiredStore.open(bus, settings.id),
            desk=CommandDesk(group, interlock, outbox, clock, keep_count),
            outbox=outbox,
            reader=reader,
            answers=Answers(group, reader, clock),
            profiles=Profiles(bus, group, reader, clock),
            reconciler=Reconciler(settings.id),
            apps=apps,
            backfill=Backfill(bus, group, apps, clock, _received(group)),
            _carrier=CarryOut(apps, outbox, accept, clock),
            saved_sequence=group.stream_sequence,
        )
        log.info("group_taken", group=settings.id, epoch=epoch, sequence=group.stream_sequence)
        return hosted

    def document(self, meter: MeterId) -> TwinDocument:
        """Return everything a twin says of itself."""
        return self.answers.document(meter, self.epoch, self.desired.states.get(meter))

    async def accept(self, command: Command) -> CommandOutcome:
        """Accept or refuse a command; see `CommandDesk.accept`."""
        return await self.desk.accept(command, self.epoch)

    async def want(self, meter: MeterId, changes: dict[str, Any]) -> Desired:
        """Change what is wanted of a meter, and begin to bring it about."""
        self.group.row(meter)
        state = await self.desired.change(meter, checked_changes(meter, changes))
        await self.reconcile()
        return state

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
        """Publish an event for each counting register that fell."""
        columns = self.group.columns
        for row, column, before, after, captured_at_us in zip(
            fallen.rows.tolist(),
            fallen.columns.tolist(),
            fallen.before_integers.tolist(),
            fallen.after_integers.tolist(),
            fallen.captured_at_us.tolist(),
            strict=True,
        ):
            register = columns.registers[column]
            await self.outbox.send_event(
                Event(
                    meter=columns.meters[row],
                    source=EventSource.TWIN,
                    code=REGISTER_FELL_CODE - column,
                    name="register_fell",
                    captured_at=from_us(captured_at_us),
                    received_at=self.clock.now(),
                    detail=f"{register.obis} fell from {before} to {after} "
                    f"(x 10^{register.scaler} {register.unit.symbol}): reset, rollover or another "
                    "meter.",
                )
            )

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

    @property
    def is_saved(self) -> bool:
        """Whether the last checkpoint has everything."""
        return self.group.stream_sequence == self.saved_sequence and not self.apps.has_news

    async def carry_out(self) -> None:
        """Carry out what the group's apps concluded."""
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
            "epoch": self.epoch,
            "twins": twins,
            "in_step": self.answers.view.in_step_count(),
            "stream_sequence": self.group.stream_sequence,
            "saved_sequence": self.saved_sequence,
            "stale": self.group.stale_count,
            "bytes_per_twin": columns.size_bytes / max(twins, 1),
            **self.apps.facts(),
        }


def _received(group: TwinGroup) -> dict[MeterId, int]:
    counts = group.ledger.received[: len(group.columns)].tolist()
    return dict(zip(group.columns.meters, counts, strict=True))


async def _begin_window(bus: Bus, group: TwinGroup, apps: AppHost, clock: Clock) -> None:
    """Say from when on a window that is not out of a checkpoint has everything."""
    if group.stream_sequence == 0:
        with bucket_at_hand(f"asking where stream {READING_STREAM} begins"):
            stream = (await bus.js.stream_info(READING_STREAM)).state
        if stream.first_seq <= 1:
            return  # all there ever was comes by the stream
    apps.window.begin(to_us(clock.now()))
