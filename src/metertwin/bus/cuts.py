"""How a group is cut, and the one moment in which it is cut otherwise.

Beside the claims of a group lies a record. To cut it otherwise is *begun* in it, with the lots as
they are and as they shall be; then the owners settle at one place of the stream, and the next ones
write their first checkpoints. That it is *decided* is one write by compare-and-set, and so is that
it is given up: an owner that waited in vain goes on only after it gave the attempt up. Whoever
finds it decided passes the claims on, once each, so that nobody in particular has to live.

Checkpoints of each cut have keys of their own: what is composed before the decision disturbs
nothing, and what was before it is there until it is swept up.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError

from metertwin.bus.buckets import bucket_at_hand
from metertwin.bus.connection import Bus
from metertwin.bus.ownership import Bequest, look_up, pass_to_cut, twins_key
from metertwin.bus.subjects import OWNERS_BUCKET
from metertwin.core.errors import ConflictError
from metertwin.core.ids import GroupId, LotId


class CutGivenUpError(ConflictError):
    """What was begun is not under way any more."""

    code = "conflict.cut_given_up"


class CutOrder(msgspec.Struct, frozen=True):
    """A group to be cut otherwise.

    Attributes:
        number: Of the cut, higher than that of any before, also of those given up.
        size: Most twins in a container; 0 for all in one.
        former_size: The same until now.
        old: Owners of the lots there are.
        new: Owners of the lots there shall be.
        left: What each old owner had commanded when it settled; empty until it is decided.
    """

    number: int
    size: int
    former_size: int
    old: dict[LotId, str]
    new: dict[LotId, str]
    left: dict[LotId, Bequest] = {}


class CutRecord(msgspec.Struct, frozen=True):
    """How a group is cut.

    Attributes:
        size: Most twins in a container; 0 for all in one.
        number: Of the cut that counts; 0 for the one of the first start.
        highest_number: The highest ever given.
        begun: What is under way and not decided.
        decided: What was decided last.
        is_finished: Whether the claims are in line with it.
    """

    size: int
    number: int = 0
    highest_number: int = 0
    begun: CutOrder | None = None
    decided: CutOrder | None = None
    is_finished: bool = True


@dataclass(frozen=True, slots=True)
class Cuts:
    """The record of one group.

    Args:
        bus: A connection to the group's home.
        group: The group.
    """

    bus: Bus
    group: GroupId

    async def look(self) -> CutRecord | None:
        """Return the record; None for a group that is cut as it was at its first start.

        Raises:
            UnavailableError: The bus does not answer.
        """
        return (await self._look())[0]

    async def note(self, size: int) -> None:
        """Note how the group is cut, where no record says it; raises UnavailableError.

        From then on a host that is told of another cut takes nothing of the group at its start.
        """
        await self._change(lambda record: CutRecord(size) if record is None else None)

    async def begin(
        self, former_size: int, size: int, old: Mapping[LotId, str], new: Mapping[LotId, str]
    ) -> CutOrder:
        """Begin to cut the group otherwise; what another began and did not decide is given up.

        Raises:
            ConflictError: It is cut otherwise than the caller thinks, or what was decided before
                is not finished.
            UnavailableError: The bus does not answer.
        """

        def begun(record: CutRecord | None) -> CutRecord:
            now = record or CutRecord(former_size)
            if now.size != former_size or not now.is_finished:
                raise ConflictError(
                    f"Group {self.group} was cut otherwise meanwhile, into containers of "
                    f"{now.size or 'all'} twins; look at what is, and order it again if need be.",
                    group=self.group,
                )
            order = CutOrder(now.highest_number + 1, size, former_size, dict(old), dict(new))
            return msgspec.structs.replace(now, highest_number=order.number, begun=order)

        order = (await self._change(begun)).begun
        assert order is not None
        return order

    async def decide(self, number: int, left: Mapping[LotId, Bequest]) -> CutOrder:
        """Make the new cut the one that counts; repeated it finds itself done.

        Raises:
            CutGivenUpError: An owner waited too long and went on, or another began anew.
            UnavailableError: The bus does not answer; whether it is decided is open.
        """

        def decided(record: CutRecord | None) -> CutRecord | None:
            if record is not None and record.number == number:
                return None
            if record is None or record.begun is None or record.begun.number != number:
                raise CutGivenUpError(
                    f"Group {self.group} is not cut otherwise: an owner went on, or somebody else "
                    "began anew. It stays as it was; order it again.",
                    group=self.group,
                )
            order = msgspec.structs.replace(record.begun, left=dict(left))
            return CutRecord(
                order.size, number, record.highest_number, None, order, is_finished=False
            )

        order = (await self._change(decided)).decided
        assert order is not None
        return order

    async def give_up(self, number: int) -> CutRecord:
        """Give up what was begun under a number, unless it is decided; return how it stands.

        Raises:
            UnavailableError: The bus does not answer; whether it is given up is open.
        """

        def given_up(record: CutRecord | None) -> CutRecord | None:
            if record is None or record.begun is None or record.begun.number != number:
                return None
            return msgspec.structs.replace(record, begun=None)

        return await self._change(given_up)

    async def pass_claims(self, order: CutOrder) -> None:
        """Bring the claims into line with what was decided; done, it does nothing.

        Raises:
            UnavailableError: The bus does not answer; call it again.
        """
        for lot in sorted({*order.old, *order.new}):
            left, to = order.left.get(lot), order.new.get(lot, "")
            await pass_to_cut(self.bus, twins_key(lot), order.number, to, left)

        def finished(record: CutRecord | None) -> CutRecord | None:
            if record is None or record.number != order.number or record.is_finished:
                return None
            return msgspec.structs.replace(record, is_finished=True)

        await self._change(finished)

    async def is_taken(self, order: CutOrder) -> bool:
        """Return whether every new owner claimed what it was given; raises UnavailableError."""
        for lot in order.new:
            held = await look_up(self.bus, twins_key(lot))
            if held is None or held.is_given or held.cut_number < order.number:
                return False
        return True

    async def _look(self) -> tuple[CutRecord | None, int]:
        with bucket_at_hand(f"looking up how group {self.group} is cut"):
            bucket = await self.bus.js.key_value(OWNERS_BUCKET)
            try:
                entry = await bucket.get(self._key)
            except KeyNotFoundError:
                return None, 0
        return msgspec.json.decode(entry.value or b"", type=CutRecord), entry.revision or 0

    async def _change(self, make: Callable[[CutRecord | None], CutRecord | None]) -> CutRecord:
        """Write what `make` makes of the record, None for no change, and return how it stands."""
        while True:
            before, revision = await self._look()
            after = make(before)
            if after is None:
                return before or CutRecord(0)
            with (
                bucket_at_hand(f"noting how group {self.group} is cut"),
                contextlib.suppress(KeyWrongLastSequenceError),  # somebody was faster: look again
            ):
                bucket = await self.bus.js.key_value(OWNERS_BUCKET)
                value = msgspec.json.encode(after)
                if revision:
                    await bucket.update(self._key, value, revision)
                else:
                    await bucket.create(self._key, value)
                return after

    @property
    def _key(self) -> str:
        return f"cut.{self.group}"
