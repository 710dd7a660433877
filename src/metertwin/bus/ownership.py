"""Who owns a group: a claim in the `owners` bucket, whose revision is the epoch.

Each claim gets a higher epoch than any before, and everything written or commanded under a claim
carries it; whoever receives it refuses lower ones. A claim is taken over by its own holder alone (a
process started again), or when it is handed over. No timeout gives it away: an owner that is cut
off is still the owner.
"""

import contextlib
from typing import NamedTuple

import msgspec
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from metertwin.bus.buckets import bucket_at_hand, keys_under
from metertwin.bus.connection import Bus
from metertwin.bus.subjects import OWNERS_BUCKET
from metertwin.core.errors import ConflictError
from metertwin.core.ids import GroupId, Lot, LotId, group_of

_BEQUESTS_MOST_COUNT = 16  # a command that waits through more moves than that is refused


class OwnedElsewhereError(ConflictError):
    """Another process owns the group."""

    code = "conflict.owned_elsewhere"


class SupersededError(ConflictError):
    """Another process took the group over; this one may write nothing any more."""

    code = "conflict.superseded"


class Bequest(msgspec.Struct, frozen=True):
    """What an owner that handed over had commanded until then, and still holds.

    Attributes:
        epoch: Of that owner's claim.
        last_sequence: Of the stream of commands when it handed over: what it commands later is the
            word of an owner of yesterday. No clock is asked.
    """

    epoch: int
    last_sequence: int


class Claim(msgspec.Struct, frozen=True):
    """One entry of the bucket.

    Attributes:
        holder: Who owns the group; empty where it was given up when its group was cut otherwise.
        is_given: It was handed to the holder, who has not yet claimed it.
        bequests: Of the owners that handed it over, the last one last.
        cut_number: Of the cut of its group that it is of; see `bus.cuts`.
    """

    holder: str
    is_given: bool = False
    bequests: tuple[Bequest, ...] = ()
    cut_number: int = 0


class Held(NamedTuple):
    """A claim as it stands.

    Attributes:
        holder: Who owns the group.
        epoch: Of the claim.
        is_given: It was handed to the holder, who has not yet claimed it.
        bequests: Of the owners that handed it over.
        cut_number: Of the cut of its group that it is of.
    """

    holder: str
    epoch: int
    is_given: bool
    bequests: tuple[Bequest, ...] = ()
    cut_number: int = 0

    def has_commanded(self, epoch: int, sequence: int) -> bool:
        """Whether a command is the owner's, or one that an earlier owner left to it.

        Args:
            epoch: That the command carries.
            sequence: Its place in the stream of commands.
        """
        left = (each.epoch == epoch and sequence <= each.last_sequence for each in self.bequests)
        return epoch == self.epoch or any(left)


def twins_key(lot: Lot) -> str:
    """Return the key under which a twin host claims a group, or a share of one."""
    return f"twins.{lot}"


def gateway_key(group: GroupId) -> str:
    """Return the key under which a gateway claims a group."""
    return f"gateway.{group}"


async def claim(bus: Bus, key: str, holder: str) -> int:
    """Claim `key` for `holder` and return the new epoch.

    Raises:
        OwnedElsewhereError: Another holder has it, or took it at this moment.
        UnavailableError: The bus does not answer.
    """
    with bucket_at_hand(f"claiming {key}"):
        return await _claim(bus, key, holder)


async def _claim(bus: Bus, key: str, holder: str) -> int:
    owners = await bus.js.key_value(OWNERS_BUCKET)
    try:
        entry = await owners.get(key)
    except KeyNotFoundError:
        return await _write(owners, key, msgspec.json.encode(Claim(holder)), 0)
    current = msgspec.json.decode(entry.value or b"{}", type=Claim)
    if current.holder not in {holder, ""}:
        raise OwnedElsewhereError(
            f"{key} is owned by {current.holder} (epoch {entry.revision}), not by {holder}; "
            "stop that one and release it, or move the group.",
            key=key,
            holder=current.holder,
            epoch=entry.revision,
        )
    taken = msgspec.structs.replace(current, holder=holder, is_given=False)
    value = msgspec.json.encode(taken)
    return await _write(owners, key, value, entry.revision or 0)


async def hand_over(bus: Bus, key: str, epoch: int, to: str, last_sequence: int = 0) -> int:
    """Make another holder the owner, if `epoch` is still the newest claim; return the new epoch.

    Repeated after a lost answer it finds itself done, and says so.

    Args:
        bus: The connection.
        key: Of the claim.
        epoch: Of the owner that hands over.
        to: The next owner.
        last_sequence: Of the stream of commands now: what the owner commanded so far still holds.

    Raises:
        SupersededError: Somebody else claimed it meanwhile.
        UnavailableError: The bus does not answer; whether it happened is open.
    """
    with bucket_at_hand(f"handing {key} over"):
        owners = await bus.js.key_value(OWNERS_BUCKET)
        entry = await owners.get(key)
        before = msgspec.json.decode(entry.value or b"{}", type=Claim)
        bequests = _with_bequest(before, Bequest(epoch, last_sequence))
        try:
            given = Claim(to, is_given=True, bequests=bequests, cut_number=before.cut_number)
            return await owners.update(key, msgspec.json.encode(given), epoch)
        except KeyWrongLastSequenceError:
            entry = await owners.get(key)
            if msgspec.json.decode(entry.value or b"{}", type=Claim).holder == to:
                return entry.revision or 0
            raise SupersededError(
                f"{key} was claimed under epoch {entry.revision}; epoch {epoch} may not hand it "
                "over.",
                key=key,
                epoch=epoch,
            ) from None


async def assign(bus: Bus, key: str, to: str) -> int:
    """Make a host the owner whoever it was before, and return the new epoch.

    Only for owners that are gone for good: an owner is asked to hand over. What an owner that was
    thought dead still writes carries a stale epoch and is refused.

    Raises:
        OwnedElsewhereError: Somebody claimed it at this moment.
        UnavailableError: The bus does not answer.
    """
    with bucket_at_hand(f"assigning {key}"):
        owners = await bus.js.key_value(OWNERS_BUCKET)
        entry = await owners.get(key)
        before = msgspec.json.decode(entry.value or b"{}", type=Claim)
        value = msgspec.json.encode(Claim(to, is_given=True, cut_number=before.cut_number))
        return await _write(owners, key, value, entry.revision or 0)


async def pass_to_cut(bus: Bus, key: str, cut_number: int, to: str, left: Bequest | None) -> None:
    """Give a claim to its owner under another cut of the group; done already, it does nothing.

    Args:
        bus: The connection.
        key: Of the claim.
        cut_number: Of the cut.
        to: The next owner; empty where the cut has no such lot.
        left: Of the owner until now; None where there was none.

    Raises:
        UnavailableError: The bus does not answer; whether it happened is open.
    """
    with bucket_at_hand(f"passing {key} to another cut"):
        owners = await bus.js.key_value(OWNERS_BUCKET)
        while True:
            try:
                entry = await owners.get(key)
                before = msgspec.json.decode(entry.value or b"{}", type=Claim)
                revision = entry.revision or 0
            except KeyNotFoundError:
                before, revision = Claim(""), 0
            if before.cut_number >= cut_number:
                return
            bequests = before.bequests if left is None else _with_bequest(before, left)
            given = Claim(to, is_given=bool(to), bequests=bequests, cut_number=cut_number)
            with contextlib.suppress(OwnedElsewhereError):  # claimed meanwhile: look again
                await _write(owners, key, msgspec.json.encode(given), revision)
                return


def _with_bequest(claim: Claim, left: Bequest) -> tuple[Bequest, ...]:
    return (*claim.bequests, left)[-_BEQUESTS_MOST_COUNT:]


async def look_up(bus: Bus, key: str) -> Held | None:
    """Return how a claim stands; None when nobody holds it.

    Raises:
        UnavailableError: The bus does not answer.
    """
    with bucket_at_hand(f"looking up the owner of {key}"):
        try:
            entry = await (await bus.js.key_value(OWNERS_BUCKET)).get(key)
        except KeyNotFoundError:
            return None
        claim = msgspec.json.decode(entry.value or b"{}", type=Claim)
        return Held(
            claim.holder, entry.revision or 0, claim.is_given, claim.bequests, claim.cut_number
        )


async def lots_claimed(bus: Bus, group: GroupId) -> list[LotId]:
    """Return what of a group was ever claimed: the group whole, or shares of it.

    Raises:
        UnavailableError: The bus does not answer.
    """
    with bucket_at_hand(f"looking up how group {group} is cut"):
        owners = await bus.js.key_value(OWNERS_BUCKET)
        keys = await keys_under(owners, twins_key(LotId("")))
    lots = [LotId(key.removeprefix(twins_key(LotId("")))) for key in keys]
    return [lot for lot in lots if group_of(lot) == group]


async def current_holder(bus: Bus, key: str) -> str | None:
    """Return who holds a claim; None when nobody does."""
    held = await look_up(bus, key)
    return None if held is None else held.holder or None


async def current_epoch(bus: Bus, key: str) -> int:
    """Return the epoch of the newest claim; 0 when nobody ever claimed it."""
    held = await look_up(bus, key)
    return 0 if held is None else held.epoch


async def release(bus: Bus, key: str) -> None:
    """Give a claim back, so that any holder can take it."""
    with bucket_at_hand(f"releasing {key}"):
        await (await bus.js.key_value(OWNERS_BUCKET)).delete(key)


async def _write(owners: KeyValue, key: str, value: bytes, last_revision: int) -> int:
    try:
        if not last_revision:
            return await owners.create(key, value)
        return await owners.update(key, value, last_revision)
    except KeyWrongLastSequenceError as error:
        raise OwnedElsewhereError(
            f"{key} was claimed by another process at this moment.", key=key
        ) from error
