"""Checkpoints on the bus: written whole, read whole, refused from an owner of yesterday.

A group's state may exceed what one message carries, so it is cut into parts in one of two folders,
and a head that names the folder is written last, with compare-and-set. A crash in between leaves
the head on the other folder, whole. A host that was superseded fails at the head, because the new
owner wrote it when it took over.

What does not change from one checkpoint to the next, a past day of the apps' window, stands beside
the parts in a place of its own and is written once. A block that changed takes a place that the
head in force does not name, so there are never more places than two checkpoints need. What a crash
before the head left behind is swept up by a later owner, when nobody waits.
"""

import asyncio
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
from metertwin.core.ids import Lot, LotId, group_of, share_of
from metertwin.twins.apps.blocks import name_of
from metertwin.twins.checkpoint import Checkpoint, CheckpointError

_PART_BYTES = 512 * 1024
_READS_COUNT = 32  # under way at once: over a link each takes a round trip


class _Head(msgspec.Struct, frozen=True):
    epoch: int  # of the owner that wrote the head
    folder: str  # key prefix of the parts
    parts: int
    checksum: int
    blocks: dict[str, str] = {}  # place of each block, by the block's name


@dataclass(slots=True)
class CheckpointStore:
    """Checkpoints of one group, or of one share of it, under one claim.

    Args:
        bucket: The checkpoint bucket.
        lot: The group, or the share.
        epoch: The epoch of the claim.
        owner: What the keys begin with: twins for those of a group's owner.
        cut_number: Of the cut of the group that the lot is of; see `bus.cuts`.
    """

    bucket: KeyValue
    lot: Lot
    epoch: int
    owner: str = "twins"
    cut_number: int = 0
    _revision: int = 0
    _folder: str = ""
    _blocks: dict[str, str] = field(default_factory=dict)
    _fetched: dict[str, bytes] = field(default_factory=dict)  # blocks at hand, by name
    _is_swept: bool = False

    @classmethod
    async def open(
        cls, bus: Bus, lot: Lot, epoch: int, owner: str = "twins", cut_number: int = 0
    ) -> "CheckpointStore":
        """Return the store of a group's checkpoints."""
        return cls(await bus.js.key_value(CHECKPOINT_BUCKET), lot, epoch, owner, cut_number)

    async def peek(self) -> Checkpoint | None:
        """Return the newest checkpoint and leave its owner in peace; None when there is none.

        Raises:
            CheckpointError: Its parts do not fit together.
            UnavailableError: The bus does not answer.
        """
        with bucket_at_hand(f"looking at the checkpoint of group {self.lot}"):
            try:
                entry = await self.bucket.get(self._head_key)
            except KeyNotFoundError:
                return None
            return await self._whole(msgspec.json.decode(entry.value or b"", type=_Head))

    async def load(self) -> Checkpoint | None:
        """Return the newest checkpoint and shut out earlier owners; None when there is none.

        Raises:
            CheckpointError: Its parts do not fit together.
            SupersededError: A later owner has already been here.
            UnavailableError: The bus does not answer.
        """
        with bucket_at_hand(f"reading the checkpoint of group {self.lot}"):
            return await self._load()

    async def fetch_ahead(self) -> dict[str, bytes]:
        """Return the blocks of the newest checkpoint, by name, for a `load` that comes soon.

        A block's name follows from its content, so one that is at hand need not be read again; one
        whose place was used anew while this read it has another name, and is left out.

        Raises:
            UnavailableError: The bus does not answer.
        """
        with bucket_at_hand(f"reading the checkpoint of group {self.lot} ahead"):
            try:
                entry = await self.bucket.get(self._head_key)
            except KeyNotFoundError:
                return {}
            blocks = await self._read_blocks(msgspec.json.decode(entry.value or b"", type=_Head))
        return {name: octets for name, octets in blocks.items() if name_of(octets) == name}

    def have(self, blocks: dict[str, bytes]) -> None:
        """Take blocks that were fetched ahead."""
        self._fetched = blocks

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
        saved = await self._whole(head)
        self._fetched = {}
        await self._write_head(msgspec.structs.replace(head, epoch=self.epoch))
        return saved

    async def _whole(self, head: _Head) -> Checkpoint | None:
        parts = [f"{head.folder}.{number}" for number in range(head.parts)]
        octets = b"".join(await self._read_all(parts))
        if zlib.crc32(octets) != head.checksum:
            raise CheckpointError(
                f"Checkpoint of group {self.lot} has {len(octets)} bytes whose checksum is "
                f"{zlib.crc32(octets)}, its head says {head.checksum}.",
                group=self.lot,
            )
        blocks = await self._read_blocks(head)
        return Checkpoint(octets, blocks) if head.parts else None

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
        with bucket_at_hand(f"saving the checkpoint of group {self.lot}"):
            await self._save(checkpoint)

    async def sweep(self) -> None:
        """Delete what earlier owners left behind and no checkpoint names; once is enough.

        What this owner or a later one writes meanwhile stays.

        Raises:
            UnavailableError: The bus does not answer.
        """
        if self._is_swept:
            return
        kept = {*map(self._key, self._blocks.values())}
        folder = f"{self._folder}."
        with bucket_at_hand(f"sweeping up behind the checkpoints of group {self.lot}"):
            await self._sweep_other_cuts()
            for key in await keys_under(self.bucket, self._key("")):
                if self._is_of_earlier(key) and key not in kept and not key.startswith(folder):
                    await self.bucket.purge(key)
        self._is_swept = True

    async def _sweep_other_cuts(self) -> None:
        """Delete what was kept under earlier cuts: the first lot of a cut does it for all."""
        if not self.cut_number or share_of(self.lot) > 1:
            return
        for key in await keys_under(self.bucket, f"{self.owner}."):
            lot, _, rest = key.removeprefix(f"{self.owner}.").partition(".")
            number = rest.partition(".")[0].removeprefix("cut-")
            cut = int(number) if rest.startswith("cut-") else 0
            if group_of(LotId(lot)) == group_of(self.lot) and cut < self.cut_number:
                await self.bucket.purge(key)

    async def _save(self, checkpoint: Checkpoint) -> None:
        # The epoch in the folder's name keeps a superseded host off the new owner's parts.
        turn = "1" if self._folder.endswith(".0") else "0"
        folder = self._key(f"{self.epoch}.{turn}")
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

    async def _read_blocks(self, head: _Head) -> dict[str, bytes]:
        wanted = {name: at for name, at in head.blocks.items() if name not in self._fetched}
        read = await self._read_all([self._key(at) for at in wanted.values()])
        fresh = dict(zip(wanted, read, strict=True))
        return {name: fresh.get(name) or self._fetched.get(name, b"") for name in head.blocks}

    async def _read_all(self, keys: list[str]) -> list[bytes]:
        turn = asyncio.Semaphore(_READS_COUNT)

        async def read(key: str) -> bytes:
            async with turn:
                return await self._read(key)

        return list(await asyncio.gather(*(read(key) for key in keys)))

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

    def _is_of_earlier(self, key: str) -> bool:
        """Whether an owner before this one wrote a part or a block."""
        epoch = key.removeprefix(self._key("")).partition(".")[0]
        return epoch.isdecimal() and int(epoch) < self.epoch

    def _superseded(self, by_epoch: int | None) -> SupersededError:
        newer = "" if by_epoch is None else f" by epoch {by_epoch}"
        return SupersededError(
            f"Group {self.lot} was taken over{newer}; epoch {self.epoch} may write nothing more.",
            group=self.lot,
            epoch=self.epoch,
        )

    @property
    def _head_key(self) -> str:
        return self._key("head")

    def _key(self, place: str) -> str:
        of_cut = f"cut-{self.cut_number}." if self.cut_number else ""
        return f"{self.owner}.{self.lot}.{of_cut}{place}"
