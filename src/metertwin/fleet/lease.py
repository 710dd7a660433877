"""Who acts, one at a time, by a lease in the bucket: a controller, or who changes a site's hosts.

A lease says only who acts. It gives no group away: groups change owners by their claims, so that
somebody who was thought dead and finishes a step doubles nothing. Clocks of different
machines are not compared: who waits sees that the lease's revision stood still for a whole term of
its own clock; who holds it counts the term from before it asked for the renewal, and so lets go
first.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import msgspec
import structlog
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from metertwin.bus.buckets import bucket_at_hand
from metertwin.bus.connection import Bus
from metertwin.bus.ending import is_ending
from metertwin.bus.subjects import FLEET_BUCKET
from metertwin.core.errors import UnavailableError

LEASE_KEY = "lease"  # the controller's
RENEWALS_PER_TERM = 4
LOOKS_PER_TERM = 2 * RENEWALS_PER_TERM

log = structlog.get_logger(__name__)


class LeaseEntry(msgspec.Struct, frozen=True):
    """Who acts; nobody where `holder` is empty.

    Attributes:
        doing: What it does, for people who want to do something else.
        term_s: How long the holder may be silent, in s.
    """

    holder: str
    doing: str = ""
    term_s: float = 0.0


@dataclass(slots=True)
class Lease:
    """One candidate's part in a lease.

    Args:
        bus: A connection of the fleet role to the cloud's bus.
        name: Of the candidate, and of no other.
        term_s: How long it is held without a renewal, in s.
        monotonic_s: The clock the term is counted by.
        key: Which lease.
        doing: What is done under it, for people.

    Attributes:
        leader: Who acts, as far as is known.
        leader_doing: What it does.
        is_leader_alive: Whether somebody else renewed it while this candidate looked.
        was_lost: Whether somebody else held it after this candidate did, perhaps for a moment only.
    """

    bus: Bus
    name: str
    term_s: float
    monotonic_s: Callable[[], float]
    key: str = LEASE_KEY
    doing: str = ""
    leader: str = ""
    leader_doing: str = ""
    is_leader_alive: bool = False
    was_lost: bool = False
    _own_revision: int = 0
    _renewing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _revision: int = 0
    _seen_s: float = 0.0
    _held_until_s: float = field(default=-math.inf)

    @property
    def is_held(self) -> bool:
        """Whether this candidate may begin a step now."""
        return self.monotonic_s() < self._held_until_s

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Try to hold the lease, and renew it, while the block runs; give it back at its end."""
        task = asyncio.create_task(self._keep(), name="lease")
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            with contextlib.suppress(UnavailableError):
                await self._give_back()

    async def renew(self) -> bool:
        """Take the lease if it is free or its holder was silent for a term; say whether it is held.

        Raises:
            UnavailableError: The bus does not answer; what was held is held until its term ends.
        """
        async with self._renewing:
            return await self._renew(self.monotonic_s())

    async def _renew(self, asked_s: float) -> bool:
        with bucket_at_hand(f"renewing lease {self.key}"):
            bucket = await self.bus.js.key_value(FLEET_BUCKET)
            try:
                entry = await bucket.get(self.key)
            except KeyNotFoundError:
                return await self._write(bucket, asked_s, 0)
            revision = entry.revision or 0
            held = msgspec.json.decode(entry.value or b"", type=LeaseEntry)
            self.leader, self.leader_doing = held.holder, held.doing
            if self._own_revision not in {0, revision} and self.leader != self.name:
                self.was_lost = True
            if self.leader in {"", self.name}:
                return await self._write(bucket, asked_s, revision)
            self._held_until_s = -math.inf
            if revision != self._revision:
                self.is_leader_alive = self._revision != 0
                self._revision, self._seen_s = revision, asked_s
            term_s = max(self.term_s, held.term_s)
            if asked_s - self._seen_s >= term_s:
                log.warning("lease_taken_over", lease=self.key, silent=self.leader, term_s=term_s)
                return await self._write(bucket, asked_s, revision)
            return False

    async def _write(self, bucket: KeyValue, asked_s: float, revision: int) -> bool:
        content = msgspec.json.encode(LeaseEntry(self.name, self.doing, self.term_s))
        try:
            if revision:
                self._own_revision = await bucket.update(self.key, content, revision)
            else:
                self._own_revision = await bucket.create(self.key, content)
        except KeyWrongLastSequenceError:
            self._held_until_s = -math.inf
            return False
        self.leader, self.leader_doing = self.name, self.doing
        self._held_until_s = asked_s + self.term_s
        return True

    async def _keep(self) -> None:
        while not is_ending():
            try:
                await self.renew()
            except UnavailableError as error:
                log.warning("lease_waits", reason=str(error))
            await asyncio.sleep(self.term_s / RENEWALS_PER_TERM)

    async def _give_back(self) -> None:
        if not self.is_held:
            return
        with bucket_at_hand(f"giving lease {self.key} back"):
            bucket = await self.bus.js.key_value(FLEET_BUCKET)
            entry = await bucket.get(self.key)
            holder = msgspec.json.decode(entry.value or b"", type=LeaseEntry).holder
            if holder == self.name:
                with contextlib.suppress(KeyWrongLastSequenceError):
                    content = msgspec.json.encode(LeaseEntry(""))
                    await bucket.update(self.key, content, entry.revision)
        self._held_until_s = -math.inf


async def living_holder(bus: Bus, key: str) -> str:
    """Return who holds a lease and renews it; empty when nobody does. Takes a term at most.

    Raises:
        UnavailableError: The bus does not answer.
    """
    first: int | None = None
    end_s = math.inf
    while True:
        with bucket_at_hand(f"looking at lease {key}"):
            bucket = await bus.js.key_value(FLEET_BUCKET)
            try:
                entry = await bucket.get(key)
            except KeyNotFoundError:
                return ""
        held = msgspec.json.decode(entry.value or b"", type=LeaseEntry)
        if not held.holder or time.monotonic() > end_s:
            return ""
        if first is None:
            first, end_s = entry.revision, time.monotonic() + held.term_s
        elif entry.revision != first:
            return held.holder
        await asyncio.sleep(held.term_s / LOOKS_PER_TERM)
