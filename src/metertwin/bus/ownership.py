"""Who owns a group: a claim in the `owners` bucket, whose revision is the epoch.

Each claim gets a higher epoch than any before, and everything written or commanded under a claim
carries it; whoever receives it refuses lower ones. A claim is taken over by its own holder alone (a
process started again), or when it is handed over. No timeout gives it away: an owner that is cut
off is still the owner.
"""

import msgspec
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from metertwin.bus.buckets import bucket_at_hand
from metertwin.bus.connection import Bus
from metertwin.bus.subjects import OWNERS_BUCKET
from metertwin.core.errors import ConflictError
from metertwin.core.ids import GroupId


class OwnedElsewhereError(ConflictError):
    """Another process owns the group."""

    code = "conflict.owned_elsewhere"


class SupersededError(ConflictError):
    """Another process took the group over; this one may write nothing any more."""

    code = "conflict.superseded"


class Claim(msgspec.Struct, frozen=True):
    """One entry of the bucket."""

    holder: str


def twins_key(group: GroupId) -> str:
    """Return the key under which a twin host claims a group."""
    return f"twins.{group}"


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
    value = msgspec.json.encode(Claim(holder))
    try:
        entry = await owners.get(key)
    except KeyNotFoundError:
        return await _write(owners, key, value, 0)
    current = msgspec.json.decode(entry.value or b"{}", type=Claim)
    if current.holder != holder:
        raise OwnedElsewhereError(
            f"{key} is owned by {current.holder} (epoch {entry.revision}), not by {holder}; "
            "stop that one and release it, or move the group.",
            key=key,
            holder=current.holder,
            epoch=entry.revision,
        )
    return await _write(owners, key, value, entry.revision or 0)


async def current_epoch(bus: Bus, key: str) -> int:
    """Return the epoch of the newest claim; 0 when nobody ever claimed it."""
    with bucket_at_hand(f"looking up the owner of {key}"):
        try:
            entry = await (await bus.js.key_value(OWNERS_BUCKET)).get(key)
        except KeyNotFoundError:
            return 0
        return entry.revision or 0


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
