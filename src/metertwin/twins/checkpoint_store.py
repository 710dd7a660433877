"""Checkpoints on the bus: written whole, read whole, refused from an owner of yesterday.

A group's state may exceed what one message carries, so it is cut into parts in one of two folders,
and a head that names the folder is written last, with compare-and-set. A crash in between leaves
the head on the other folder, whole. A host that was superseded fails at the head, because the new
owner wrote it when it took over.
"""

import zlib
from dataclasses import dataclass

import msgspec
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from metertwin.bus.buckets import bucket_at_hand, keys_under
from metertwin.bus.connection import Bus
from metertwin.bus.ownership import SupersededError
from metertwin.bus.subjects import CHECKPOINT_BUCKET
from metertwin.core.ids import GroupId
from metertwin.twins.checkpoint import CheckpointError

_PART_BYTES = 512 * 1024


class _Head(msgspec.Struct, frozen=True):
    epoch: int  # of the owner that wrote the head
    folder: str  # key prefix of the parts
    parts: int
    checksum: int


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

    @classmethod
    async def open(cls, bus: Bus, group: GroupId, epoch: int) -> "CheckpointStore":
        """Return the store of a group's checkpoints."""
        return cls(await bus.js.key_value(CHECKPOINT_BUCKET), group, epoch)

    async def load(self) -> bytes | None:
        """Return the newest checkpoint and shut out earlier owners; None when there is none.

        Raises:
            CheckpointError: Its parts do not fit together.
            SupersededError: A later owner has already been here.
            UnavailableError: The bus does not answer.
        """
        with bucket_at_hand(f"reading the checkpoint of group {self.group}"):
            return await self._load()

    async def _load(self) -> bytes | None:
        try:
            entry = await self.bucket.get(self._head_key)
        except KeyNotFoundError:
            return None
        head = msgspec.json.decode(entry.value or b"", type=_Head)
        if head.epoch > self.epoch:
            raise self._superseded(head.epoch)
        self._revision, self._folder = entry.revision or 0, head.folder
        octets = b"".join([await self._part(head.folder, number) for number in range(head.parts)])
        if zlib.crc32(octets) != head.checksum:
            raise CheckpointError(
                f"Checkpoint of group {self.group} has {len(octets)} bytes whose checksum is "
                f"{zlib.crc32(octets)}, its head says {head.checksum}.",
                group=self.group,
            )
        await self._write_head(head.folder, head.parts, head.checksum)
        await self._sweep()
        return octets

    async def save(self, octets: bytes) -> None:
        """Write a checkpoint.

        Raises:
            SupersededError: Another host took the group over.
            UnavailableError: The bus does not answer.
        """
        with bucket_at_hand(f"saving the checkpoint of group {self.group}"):
            await self._save(octets)

    async def _save(self, octets: bytes) -> None:
        # The epoch in the folder's name keeps a superseded host off the new owner's parts.
        turn = "1" if self._folder.endswith(".0") else "0"
        folder = f"twins.{self.group}.{self.epoch}.{turn}"
        parts = [
            octets[start : start + _PART_BYTES] for start in range(0, len(octets), _PART_BYTES)
        ]
        for number, part in enumerate(parts):
            await self.bucket.put(f"{folder}.{number}", part)
        await self._write_head(folder, len(parts), zlib.crc32(octets))
        self._folder = folder

    async def _part(self, folder: str, number: int) -> bytes:
        try:
            entry = await self.bucket.get(f"{folder}.{number}")
        except KeyNotFoundError:
            return b""  # the checksum will tell
        return entry.value or b""

    async def _write_head(self, folder: str, parts: int, checksum: int) -> None:
        value = msgspec.json.encode(_Head(self.epoch, folder, parts, checksum))
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
        """Delete parts that a crash between parts and head left behind."""
        for key in await keys_under(self.bucket, f"twins.{self.group}."):
            if key != self._head_key and not key.startswith(f"{self._folder}."):
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
