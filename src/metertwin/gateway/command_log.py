"""What became of each command, written down before and after it is carried out.

A record per command lies in the checkpoint bucket: first "started", then the outcome. After a crash
a command without a record was never begun, one that was started is looked at again at the meter,
and one that has its outcome is only answered again.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from metertwin.bus.buckets import keys_under
from metertwin.bus.connection import Bus
from metertwin.bus.subjects import CHECKPOINT_BUCKET
from metertwin.core.command import CommandOutcome
from metertwin.core.ids import CommandId, GroupId

_KEPT_AFTER_EXPIRY = timedelta(days=1)


class CommandRecord(msgspec.Struct, frozen=True):
    """One command's record.

    Attributes:
        expires_at: When the command expires; a day later the record goes.
        outcome: The final outcome; None while only the start is known.
        meter: Whom it is for; empty in records of before it was noted.
        disconnect_at: When a disconnect was begun.
    """

    expires_at: datetime
    outcome: CommandOutcome | None = None
    meter: str = ""
    disconnect_at: datetime | None = None


@dataclass(slots=True)
class CommandLog:
    """The records of one group, and up to where in the stream all commands have an outcome."""

    bucket: KeyValue
    group: GroupId
    position: int = 0
    _open: set[int] = field(default_factory=set)
    _seen: int = 0

    @classmethod
    async def open(cls, bus: Bus, group: GroupId) -> "CommandLog":
        """Return the log of a group."""
        log = cls(await bus.js.key_value(CHECKPOINT_BUCKET), group)
        try:
            entry = await log.bucket.get(log._position_key)
            log.position = log._seen = int(entry.value or b"0")
        except KeyNotFoundError:
            pass
        return log

    def begin(self, stream_sequence: int) -> None:
        """Note that the command at this place of the stream has no outcome yet."""
        self._open.add(stream_sequence)
        self._seen = max(self._seen, stream_sequence)

    def skip(self, stream_sequence: int) -> None:
        """Note that nothing will come of what is at this place of the stream."""
        self._open.discard(stream_sequence)

    async def end(self, stream_sequence: int) -> None:
        """Note that it has one, and that it was published."""
        self._open.discard(stream_sequence)
        position = min(self._open) - 1 if self._open else self._seen
        if position > self.position:
            self.position = position
            await self.bucket.put(self._position_key, str(position).encode())

    async def record(self, command: CommandId) -> CommandRecord | None:
        """Return a command's record, None when it was never begun."""
        try:
            entry = await self.bucket.get(self._key(command))
        except KeyNotFoundError:
            return None
        return msgspec.msgpack.decode(entry.value or b"", type=CommandRecord)

    async def write(self, command: CommandId, record: CommandRecord) -> None:
        """Write a command's record; it is durable on return."""
        await self.bucket.put(self._key(command), msgspec.msgpack.encode(record))

    async def sweep(self, now: datetime) -> dict[CommandId, datetime]:
        """Delete the records of commands that expired more than a day ago.

        Returns:
            When the disconnects were begun whose records are kept.
        """
        begun_at: dict[CommandId, datetime] = {}
        for key in await keys_under(self.bucket, self._key(CommandId(""))):
            command = CommandId(key.rpartition(".")[2])
            record = await self.record(command)
            if record is None:
                continue
            if record.expires_at + _KEPT_AFTER_EXPIRY < now:
                await self.bucket.purge(key)
            elif record.disconnect_at is not None:
                begun_at[command] = record.disconnect_at
        return begun_at

    @property
    def _position_key(self) -> str:
        return f"gateway.{self.group}.commands"

    def _key(self, command: CommandId) -> str:
        return f"gateway.{self.group}.command.{command}"
