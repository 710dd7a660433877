"""What another site last wanted of its meters: its desired states, copied to the bus here.

A copy is only read: it is the base that wishes name while the site cannot be reached, and what is
shown meanwhile. It stands under keys that no group can have, beside the states that are owned here.
"""

from dataclasses import dataclass, field

import msgspec
from nats.js.kv import KeyValue

from metertwin.bus.buckets import bucket_at_hand, keys_under
from metertwin.bus.connection import Bus
from metertwin.bus.subjects import DESIRED_BUCKET
from metertwin.bus.tail import StreamTail
from metertwin.core.ids import GroupId, MeterId
from metertwin.twins.desired import Desired

_PREFIX = "_known"  # an underscore cannot begin a group's id
_STREAM = f"KV_{DESIRED_BUCKET}"

Place = tuple[GroupId, MeterId]


@dataclass(slots=True)
class KnownDesired:
    """Copies of the desired states of another site's groups.

    Attributes:
        states: By group and meter.
        sequence: Which of the other site's changes is the last in them; 0 when that is not known.
    """

    bucket: KeyValue
    there: Bus
    groups: tuple[GroupId, ...]
    states: dict[Place, Desired] = field(default_factory=dict)
    sequence: int = 0

    @classmethod
    async def open(cls, here: Bus, there: Bus, groups: tuple[GroupId, ...]) -> "KnownDesired":
        """Read the copies; raises UnavailableError when the bus here does not answer."""
        known = cls(await here.js.key_value(DESIRED_BUCKET), there, groups)
        with bucket_at_hand("reading the known desired states"):
            for key in await keys_under(known.bucket, f"{_PREFIX}."):
                _, group, meter = key.split(".")
                if group in groups:
                    entry = await known.bucket.get(key)
                    known.states[GroupId(group), MeterId(meter)] = _decode(entry.value or b"")
        return known

    async def catch_up(self, to_sequence: int) -> None:
        """Copy what changed there since the last time, if `to_sequence` is the newest change.

        Raises:
            UnavailableError: One of the two sites does not answer.
        """
        if to_sequence == self.sequence:
            return
        if to_sequence < self.sequence:
            self.sequence = 0  # made anew over there
        subjects = [f"$KV.{DESIRED_BUCKET}.{group}.>" for group in self.groups]
        tail = StreamTail(self.there, _STREAM, self.sequence, subjects, is_bucket=True)
        try:
            async for messages in tail.until_now(within_s=5.0):
                for message in messages:
                    _, _, group, meter = message.subject.split(".", 3)
                    await self._copy((GroupId(group), MeterId(meter)), message.data)
            self.sequence = to_sequence
        finally:
            await tail.close()

    async def _copy(self, place: Place, octets: bytes) -> None:
        if not octets:
            return
        state = _decode(octets)
        if state == self.states.get(place):
            return
        with bucket_at_hand("copying a desired state"):
            await self.bucket.put(f"{_PREFIX}.{place[0]}.{place[1]}", octets)
        self.states[place] = state


def _decode(octets: bytes) -> Desired:
    return msgspec.json.decode(octets, type=Desired)
