"""A stand-in in the cloud for an edge whose hosts cannot be reached.

It follows the hub's own copy of the edge's readings into columns and answers what only looks, as
the last that is known. It owns nothing: it runs no apps, gives no commands, writes no events and
claims no group. What is wanted of a meter meanwhile it keeps as wishes and hands them to the owner
when that is back.

Its state is a checkpoint of its own and the tail of the hub's stream, as everywhere (ADR 0002). An
owner's checkpoint would not do: it lies at the edge, and counts in the edge's stream.
"""

import asyncio
from dataclasses import dataclass, field

import msgspec
import structlog

from metertwin.bus.connection import Bus
from metertwin.bus.ending import end_if_told, is_ending
from metertwin.bus.messages import Request
from metertwin.bus.ownership import SupersededError
from metertwin.bus.requests import NobodyAnswersError, NotInTimeError, Service, ask, serve
from metertwin.bus.subjects import READING_STREAM, Kind, of_group, subject
from metertwin.bus.tail import StreamTail
from metertwin.core.clock import Clock
from metertwin.core.errors import InvalidInputError, UnavailableError
from metertwin.core.ids import GroupId, SiteId
from metertwin.twins.apps.host import AppHost
from metertwin.twins.checkpoint import encode_checkpoint, restore_checkpoint
from metertwin.twins.checkpoint_store import CheckpointStore
from metertwin.twins.follow import apply_delivered
from metertwin.twins.group import TwinGroup
from metertwin.twins.known_desired import KnownDesired
from metertwin.twins.last_known import LastKnownGroup
from metertwin.twins.settings import GroupSettings
from metertwin.twins.site_watch import SiteStanding, SiteWatch
from metertwin.twins.stand_in_requests import StandInRequests
from metertwin.twins.wish_courier import WishCourier
from metertwin.twins.wishes import WishStore

_FETCH_COUNT = 5_000
_FETCH_TIMEOUT_S = 0.5
_HOUSEKEEPING_S = 0.25
_OWNER = "stand-in"
_ANSWER_WITHIN_S = 2.0
_LOOK_S = 0.5
_EPOCH = 0  # no claim: the head's revision alone tells of a second stand-in

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StandInSettings:
    """One stand-in.

    Attributes:
        here: The site it is at.
        site: The edge it stands in for.
        groups: The groups at home there.
        checkpoint_every_s: Longest time between two checkpoints of a changed group, in s of this
            machine.
    """

    here: SiteId
    site: SiteId
    groups: tuple[GroupSettings, ...]
    checkpoint_every_s: float = 10.0


@dataclass(slots=True)
class StandIn:
    """Stands in for the hosts of one edge.

    Args:
        settings: For whom.
        here: A connection to the hub.
        there: A connection to the hub that reaches the edge's domain.
        clock: The clock here.
    """

    settings: StandInSettings
    here: Bus
    there: Bus
    clock: Clock
    watch: SiteWatch = field(init=False)
    groups: dict[GroupId, LastKnownGroup] = field(default_factory=dict)
    _stores: dict[GroupId, CheckpointStore] = field(default_factory=dict)
    _saved: dict[GroupId, int] = field(default_factory=dict)
    _services: list[Service] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watch = SiteWatch(self.settings.site, self.there, self.clock)

    async def run(self) -> None:
        """Follow, answer and hand over until cancelled; then write the last checkpoints.

        Waits while another process stands in, as during a rollout.
        """
        await self._until_nobody_does()
        ids = tuple(group.id for group in self.settings.groups)
        known = await KnownDesired.open(self.here, self.there, ids)
        wishes = await WishStore.open(self.here, ids)
        courier = WishCourier(self.here, self.watch, known, wishes, self.clock, self.settings.here)
        for settings in self.settings.groups:
            await self._begin(settings, known, wishes, courier)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.watch.run())
                tasks.create_task(courier.run())
                tasks.create_task(self._follow())
                tasks.create_task(self._keep_house())
                end_if_told()
        finally:
            for service in self._services:
                await service.stop()
            await self._save_changed()

    async def _until_nobody_does(self) -> None:
        if not self.settings.groups:
            return
        to = subject(self.settings.groups[0].id, Kind.LAST_KNOWN)
        while not is_ending():
            try:
                await ask(self.here, to, Request("standing"), _ANSWER_WITHIN_S, SiteStanding)
            except NobodyAnswersError:
                return
            except (UnavailableError, NotInTimeError) as error:
                log.debug("other_stand_in_slow", site=self.settings.site, reason=str(error))
            await asyncio.sleep(_LOOK_S)

    async def _begin(
        self, settings: GroupSettings, known: KnownDesired, wishes: WishStore, courier: WishCourier
    ) -> None:
        group, store = await self._restored(settings)
        self._stores[settings.id], self._saved[settings.id] = store, group.stream_sequence
        last_known = LastKnownGroup(group, self.clock, known, wishes, lambda: self.watch.standing)
        self.groups[settings.id] = last_known
        handlers = StandInRequests(last_known, self.watch, courier).handlers()
        to = of_group(settings.id, Kind.LAST_KNOWN)
        service = await serve(self.here, to, f"last-known-{settings.id}", handlers)
        self._services.append(service)
        log.info("standing_in", group=settings.id, sequence=group.stream_sequence)

    async def _restored(self, settings: GroupSettings) -> tuple[TwinGroup, CheckpointStore]:
        store = await CheckpointStore.open(self.here, settings.id, _EPOCH, _OWNER)
        settings = msgspec.structs.replace(settings, apps=())
        group = TwinGroup(settings)
        try:
            saved = await store.load()
            if saved is not None:
                restore_checkpoint(group, AppHost(group, self.clock), saved)
        except InvalidInputError as error:
            # The stream has what the checkpoint had: reading it takes longer and loses nothing.
            log.warning("stand_in_begins_anew", group=settings.id, reason=str(error))
            group = TwinGroup(settings)
        return group, store

    async def _follow(self) -> None:
        groups = [known.group for known in self.groups.values()]
        after = min((group.stream_sequence for group in groups), default=0)
        subjects = [of_group(group, Kind.READING) for group in self.groups]
        tail = StreamTail(self.here, READING_STREAM, after, subjects)
        try:
            while groups and not is_ending():
                # What is refused here is told of by the recorder, which reads the same stream.
                apply_delivered(groups, await tail.fetch(_FETCH_COUNT, _FETCH_TIMEOUT_S))
        finally:
            await tail.close()

    async def _keep_house(self) -> None:
        due_s = 0.0
        while not is_ending():
            if asyncio.get_running_loop().time() >= due_s:
                due_s = asyncio.get_running_loop().time() + self.settings.checkpoint_every_s
                await self._save_changed()
            await asyncio.sleep(_HOUSEKEEPING_S)

    async def _save_changed(self) -> None:
        for group, known in self.groups.items():
            sequence = known.group.stream_sequence
            if sequence == self._saved[group]:
                continue
            try:
                checkpoint = encode_checkpoint(known.group, AppHost(known.group, self.clock))
                await self._stores[group].save(checkpoint)
                self._saved[group] = sequence
            except (SupersededError, UnavailableError) as error:
                log.warning("checkpoint_waits", group=group, reason=str(error))
