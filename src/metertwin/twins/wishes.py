"""Wishes kept on the bus here until the owner of their meter has merged them.

Of two wishes for one path the newer replaces the older: both come from the same side. An entry that
has no wishes any more stays, so that its revision tells whether somebody else wrote it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
from nats.js.errors import KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from metertwin.bus.buckets import bucket_at_hand, keys_under
from metertwin.bus.connection import Bus
from metertwin.bus.subjects import DESIRED_BUCKET
from metertwin.core.errors import ConflictError
from metertwin.core.ids import GroupId, MeterId
from metertwin.twins.known_desired import Place
from metertwin.twins.merging import Wish

_PREFIX = "_wish"  # an underscore cannot begin a group's id


@dataclass(slots=True)
class WishStore:
    """Wishes for the meters of another site's groups.

    Attributes:
        waiting: Wishes not yet merged, by group and meter.
    """

    bucket: KeyValue
    waiting: dict[Place, list[Wish]] = field(default_factory=dict)
    _revisions: dict[Place, int] = field(default_factory=dict)

    @classmethod
    async def open(cls, bus: Bus, groups: Sequence[GroupId]) -> "WishStore":
        """Read the wishes that wait; raises UnavailableError when the bus does not answer."""
        store = cls(await bus.js.key_value(DESIRED_BUCKET))
        with bucket_at_hand("reading the wishes that wait"):
            for key in await keys_under(store.bucket, f"{_PREFIX}."):
                _, group, meter = key.split(".")
                if group in groups:
                    await store._read((GroupId(group), MeterId(meter)))
        return store

    def of(self, place: Place) -> list[Wish]:
        """Return the wishes of a meter that wait."""
        return self.waiting.get(place, [])

    async def keep(self, place: Place, wishes: Sequence[Wish]) -> None:
        """Keep wishes of a meter; when it returns they outlive this process.

        Raises:
            ConflictError: Another process wrote them at this moment.
            UnavailableError: The bus does not answer.
        """
        paths = {wish.path for wish in wishes}
        others = [wish for wish in self.of(place) if wish.path not in paths]
        await self._write(place, [*others, *wishes])

    async def drop(self, place: Place, merged: Sequence[Wish]) -> None:
        """Forget wishes that the owner merged; raises what `keep` raises."""
        await self._write(place, [wish for wish in self.of(place) if wish not in merged])

    async def _write(self, place: Place, wishes: list[Wish]) -> None:
        key, value = _key(place), msgspec.json.encode(wishes)
        with bucket_at_hand(f"keeping wishes for meter {place[1]}"):
            try:
                if revision := self._revisions.get(place):
                    self._revisions[place] = await self.bucket.update(key, value, revision)
                else:
                    self._revisions[place] = await self.bucket.create(key, value)
            except KeyWrongLastSequenceError:
                # A write whose answer was lost finds itself there: what is there is what counts.
                await self._read(place)
                if self.of(place) != wishes:
                    raise ConflictError(
                        f"Wishes for meter {place[1]} were changed by another at this moment; "
                        "repeat the change.",
                        meter=place[1],
                    ) from None
                return
        self._note(place, wishes)

    async def _read(self, place: Place) -> None:
        entry = await self.bucket.get(_key(place))
        self._revisions[place] = entry.revision or 0
        self._note(place, msgspec.json.decode(entry.value or b"[]", type=list[Wish]))

    def _note(self, place: Place, wishes: list[Wish]) -> None:
        if wishes:
            self.waiting[place] = wishes
        else:
            self.waiting.pop(place, None)


def _key(place: Place) -> str:
    return f"{_PREFIX}.{place[0]}.{place[1]}"
