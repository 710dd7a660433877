"""Desired state on the bus: one key per twin, changed by compare-and-set."""

from dataclasses import dataclass, field

import msgspec
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from metertwin.bus.buckets import bucket_at_hand, keys_under
from metertwin.bus.connection import Bus
from metertwin.bus.subjects import DESIRED_BUCKET
from metertwin.core.errors import ConflictError
from metertwin.core.ids import GroupId, MeterId
from metertwin.twins.desired import Desired, Value, changed


@dataclass(slots=True)
class DesiredStore:
    """Desired states of one group, as they are on the bus.

    Only the group's owner writes here, so what it holds is what is there.
    """

    bucket: KeyValue
    group: GroupId
    states: dict[MeterId, Desired] = field(default_factory=dict)
    _revisions: dict[MeterId, int] = field(default_factory=dict)

    @classmethod
    async def open(cls, bus: Bus, group: GroupId) -> "DesiredStore":
        """Read the desired states of a group."""
        store = cls(await bus.js.key_value(DESIRED_BUCKET), group)
        with bucket_at_hand(f"reading the desired states of group {group}"):
            for key in await keys_under(store.bucket, f"{group}."):
                await store._read(MeterId(key.split(".", 1)[1]))
        return store

    async def change(self, meter: MeterId, changes: dict[str, Value | None]) -> Desired:
        """Apply checked changes and return the new state, once it is kept.

        Raises:
            ConflictError: Somebody else wrote it at this moment.
            UnavailableError: The bus does not answer.
        """
        with bucket_at_hand(f"keeping the desired state of meter {meter}"):
            return await self._change(meter, changes)

    async def _change(self, meter: MeterId, changes: dict[str, Value | None]) -> Desired:
        state = changed(self.states.get(meter), changes)
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
