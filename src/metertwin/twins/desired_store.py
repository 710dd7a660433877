"""Desired state on the bus: one key per twin, changed by compare-and-set."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from metertwin.bus.buckets import bucket_at_hand, keys_under
from metertwin.bus.connection import Bus
from metertwin.bus.subjects import DESIRED_BUCKET
from metertwin.core.errors import ConflictError
from metertwin.core.ids import GroupId, MeterId
from metertwin.twins.desired import Ask, Conflict, Desired, Value, changed
from metertwin.twins.merging import Wish, merged


@dataclass(slots=True)
class DesiredStore:
    """Desired states of one group, as they are on the bus.

    Only the group's owner writes here, so what it holds is what is there.
    """

    bucket: KeyValue
    group: GroupId
    states: dict[MeterId, Desired] = field(default_factory=dict)
    _revisions: dict[MeterId, int] = field(default_factory=dict)
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @classmethod
    async def open(
        cls, bus: Bus, group: GroupId, meters: Collection[MeterId] | None = None
    ) -> "DesiredStore":
        """Read the desired states of a group, or of some of its meters."""
        store = cls(await bus.js.key_value(DESIRED_BUCKET), group)
        with bucket_at_hand(f"reading the desired states of group {group}"):
            for key in await keys_under(store.bucket, f"{group}."):
                meter = MeterId(key.split(".", 1)[1])
                if meters is None or meter in meters:
                    await store._read(meter)
        return store

    async def change(
        self, meter: MeterId, changes: dict[str, Value | None], ask: Ask | None = None
    ) -> Desired:
        """Apply checked changes and return the new state, once it is kept.

        Raises:
            ConflictError: Somebody else wrote it at this moment.
            UnavailableError: The bus does not answer.
        """
        return await self._keep(meter, lambda state: changed(state, changes, ask))

    async def merge(self, meter: MeterId, wishes: Sequence[Wish], at: datetime) -> Desired:
        """Merge what was wished elsewhere and return the new state, once it is kept.

        Raises:
            ConflictError: Somebody else wrote it at this moment.
            UnavailableError: The bus does not answer.
        """
        return await self._keep(meter, lambda state: merged(state, wishes, at))

    async def note_told(self, meter: MeterId, told: Sequence[Conflict]) -> None:
        """Forget conflicts of a meter whose events are kept."""
        await self._keep(meter, lambda state: _without(state or Desired(0, {}), told))

    async def _keep(self, meter: MeterId, make: Callable[[Desired | None], Desired]) -> Desired:
        async with self._writing:
            before = self.states.get(meter)
            state = make(before)
            if state == before:
                return state
            with bucket_at_hand(f"keeping the desired state of meter {meter}"):
                return await self._write(meter, state)

    async def _write(self, meter: MeterId, state: Desired) -> Desired:
        value = msgspec.json.encode(state)
        revision = self._revisions.get(meter, 0)
        try:
            if revision:
                revision = await self.bucket.update(self._key(meter), value, revision)
            else:
                revision = await self.bucket.create(self._key(meter), value)
        except KeyWrongLastSequenceError:
            await self._read(meter)
            raise ConflictError(
                f"Desired state of meter {meter} was changed by another at this moment; "
                "read it again and repeat the change.",
                meter=meter,
            ) from None
        self.states[meter], self._revisions[meter] = state, revision
        return state

    async def _read(self, meter: MeterId) -> None:
        try:
            entry = await self.bucket.get(self._key(meter))
        except KeyNotFoundError:
            return
        self.states[meter] = msgspec.json.decode(entry.value or b"", type=Desired)
        self._revisions[meter] = entry.revision or 0

    def _key(self, meter: MeterId) -> str:
        return f"{self.group}.{meter}"


def _without(state: Desired, told: Sequence[Conflict]) -> Desired:
    untold = tuple(conflict for conflict in state.untold if conflict not in told)
    return msgspec.structs.replace(state, untold=untold)
