"""Commands heard of lately, with the answers that have come: a memory, not the audit.

The audit is the recorder's. This book spares it the question that follows each command, "and?",
and knows an answer the moment it passes on the bus.
"""

import asyncio
from collections import OrderedDict

from metertwin.api.answers import CommandAnswer, CommandRecord
from metertwin.core.command import CommandOutcome
from metertwin.core.ids import CommandId

BOOK_LIMIT = 10_000  # commands; about 6 MB


class CommandBook:
    """The newest commands and their answers."""

    def __init__(self, limit: int = BOOK_LIMIT) -> None:
        self._limit = limit
        self._records: OrderedDict[CommandId, CommandRecord] = OrderedDict()
        self._waiting: dict[CommandId, set[asyncio.Event]] = {}

    def find(self, command: CommandId) -> CommandRecord | None:
        """Return what is known of a command."""
        return self._records.get(command)

    def note_command(self, command: CommandRecord) -> CommandRecord:
        """Take note of a command; one that is known already keeps what was noted first."""
        record = self._record(command.id, command)
        if record.kind is None:
            record.kind = command.kind
            record.arguments = command.arguments
            record.issued_by = command.issued_by
            record.issued_at = command.issued_at
            record.expires_at = command.expires_at
        return record

    def note_outcome(self, outcome: CommandOutcome) -> CommandRecord:
        """Take note of an answer; of two to the same question the first stays."""
        record = self._record(
            outcome.command, CommandRecord(id=outcome.command, meter=outcome.meter)
        )
        record.answer(CommandAnswer(outcome.status, outcome.at, outcome.reason))
        if record.is_final:
            for final in self._waiting.get(record.id, ()):
                final.set()
        return record

    async def wait_until_final(self, command: CommandId, timeout_s: float) -> None:
        """Return when the command's final answer is there, or `timeout_s` have passed."""
        record = self._records.get(command)
        if record is not None and record.is_final:
            return
        final = asyncio.Event()
        waiting = self._waiting.setdefault(command, set())
        waiting.add(final)
        try:
            async with asyncio.timeout(timeout_s):
                await final.wait()
        except TimeoutError:
            return
        finally:
            waiting.discard(final)
            if not waiting:
                self._waiting.pop(command, None)

    def _record(self, command: CommandId, fresh: CommandRecord) -> CommandRecord:
        record = self._records.setdefault(command, fresh)
        if len(self._records) > self._limit:
            self._records.popitem(last=False)
        return record
