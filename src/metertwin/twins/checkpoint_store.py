"""Checkpoints on the bus: written whole, read whole, refused from an owner of yesterday.

A group's state may exceed what one message carries, so it is cut into parts in one of two folders,
and a head that names the folder is written last, with compare-and-set. A crash in between leaves
the head on the other folder, whole. A host that was superseded fails at the head, because the new
owner wrote it when it took over.

What does not change from one checkpoint to the next, a past day of the apps' window, stands beside
the parts in a place of its own and is written once. A block that changed takes a place that the
head in force does not name, so there are never more places than two checkpoints need.
"""

import itertools
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from metertwin.bus.buckets import bucket_at_hand, keys_under
from metertwin.bus.connection import Bus
from metertwin.bus.ownership import SupersededError
from metertwin.bus.subjects import CHECKPOINT_BUCKET
from metertwin.core.ids import GroupId
from metertwin.twins.checkpoint import Checkpoint, CheckpointError

_PART_BYTES = 512 * 1024


class _Head(msgspec.Struct, frozen=True):
    epoch: int  # of the owner that wrote the head
    folder: str  # key prefix of the parts
    parts: int
    checksum: int
    blocks: dict[str, str] = {}  # place of each block, by the block's name


@dataclass(slots=True)
class CheckpointStore:
    """Checkpoints of one group under one claim.

    Args:
        bucket: The checkpoint bucket.
        group: The group.
        epoch: The epoch of the claim.
    """

    bucket: KeyValue
    group: GroupId
    epoch: int
    _revision: int = 0
    _folder: str = ""
    _blocks: dict[str, str] = field(default_factory=dict)

    @classmethod
    async def open(cls, bus: Bus, group: GroupId, epoch: int) -> "CheckpointStore":
        """Return the store of a group's checkpoints."""
        return cls(await bus.js.key_value(CHECKPOINT_BUCKET), group, epoch)

    async def load(self) -> Checkpoint | None:
        """Return the newest checkpoint and shut out earlier owners; None when there is none.

        Raises:
            CheckpointError: Its parts do not fit together.
            SupersededError: A later owner has already been here.
            UnavailableError: The bus does not answer.
        """
        with bucket_at_hand(f"reading the checkpoint of group {self.group}"):
            return await self._load()

    async def _load(self) -> Checkpoint | None:
        try:
            entry = await self.bucket.get(self._head_key)
        except KeyNotFoundError:
            return await self._begin()
        head = msgspec.json.decode(entry.value or b"", type=_Head)
        if head.epoch > self.epoch:
            raise self._superseded(head.epoch)
        self._revision, self._folder = entry.revision or 0, head.folder
        self._blocks = head.blocks
        parts = [f"{head.folder}.{number}" for number in range(head.parts)]
        octets = b"".join([await self._read(part) for part in parts])
        if zlib.crc32(octets) != head.checksum:
            raise CheckpointError(
                f"Checkpoint of group {self.group} has {len(octets)} bytes whose checksum is "
                f"{zlib.crc32(octets)}, its head says {head.checksum}.",
                group=self.group,
            )
        blocks = {name: await self._read(self._key(at)) for name, at in head.blocks.items()}
        await self._write_head(msgspec.structs.replace(head, epoch=self.epoch))
        await self._sweep()
        if not head.parts:
            return None
        return Checkpoint(octets, blocks)

    async def _begin(self) -> Checkpoint | None:
        """Write a head without parts, or an earlier owner could still write the first one."""
        try:
            await self._write_head(_Head(self.epoch, "", 0, 0))
        except SupersededError:
            return await self._load()  # somebody wrote it at this moment: whose is it?
        return None

    async def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint.

        Raises:
            SupersededError: Another host took the group over.
            UnavailableError: The bus does not answer.
        """
        with bucket_at_hand(f"saving the checkpoint of group {self.group}"):
            await self._save(checkpoint)

    async def _save(self, checkpoint: Checkpoint) -> None:
        # The epoch in the folder's name keeps a superseded host off the new owner's parts.
        turn = "1" if self._folder.endswith(".0") else "0"
        folder = f"twins.{self.group}.{self.epoch}.{turn}"
        octets = checkpoint.octets
        parts = [
            octets[start : start + _PART_BYTES] for start in range(0, len(octets), _PART_BYTES)
        ]
        for number, part in enumerate(parts):
            await self.bucket.put(f"{folder}.{number}", part)
        places = await self._place(checkpoint.blocks)
        await self._write_head(_Head(self.epoch, folder, len(parts), zlib.crc32(octets), places))
        self._folder, self._blocks = folder, places

    async def _place(self, blocks: Mapping[str, bytes]) -> dict[str, str]:
        """Write the blocks that are new where no head in force looks; return where all are."""
        taken = {*self._blocks.values()}
        # As with the parts, the epoch keeps a superseded host off the new owner's blocks.
        numbered = (f"{self.epoch}.block.{number}" for number in itertools.count())
        free = (place for place in numbered if place not in taken)
        places: dict[str, str] = {}
        for name, octets in blocks.items():
            places[name] = self._blocks.get(name) or next(free)
            if name not in self._blocks:
                await self.bucket.put(self._key(places[name]), octets)
        return places

    async def _read(self, key: str) -> bytes:
        try:
            entry = await self.bucket.get(key)
        except KeyNotFoundError:
            return b""  # the checksum, or what reads the block, will tell
        return entry.value or b""

    async def _write_head(self, head: _Head) -> None:
        value = msgspec.json.encode(head)
        try:
            if self._revision:
                self._revision = await self.bucket.update(self._head_key, value, self._revision)
            else:
                self._revision = await self.bucket.create(self._head_key, value)
        except KeyWrongLastSequenceError:
            # A write whose answer was lost and that was repeated finds itself there; that is fine.
            entry = await self.bucket.get(self._head_key)
            if entry.value != value:
                raise self._superseded(None) from None
            self._revision = entry.revision or 0

    async def _sweep(self) -> None:
        """Delete parts and blocks that a crash before the head left behind."""
        kept = {self._head_key, *map(self._key, self._blocks.values())}
        for key in await keys_under(self.bucket, f"twins.{self.group}."):
            if key not in kept and not key.startswith(f"{self._folder}."):
                await self.bucket.purge(key)

    def _superseded(self, by_epoch: int | None) -> SupersededError:
        newer = "" if by_epoch is None else f" by epoch {by_epoch}"
        return SupersededError(
            f"Group {self.group} was taken over{newer}; epoch {self.epoch} may write nothing more.",
            group=self.group,
            epoch=self.epoch,
        )

    @property
    def _head_key(self) -> str:
        return f"twins.{self.group}.head"

    def _key(self, place: str) -> str:
        return f"twins.{self.group}.{place}"
