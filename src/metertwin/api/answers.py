"""What the API answers, where `core.twin` has no word for it."""

from datetime import datetime

import msgspec

from metertwin.core.command import Arguments, CommandKind, CommandStatus
from metertwin.core.ids import CommandId, GroupId, MeterId
from metertwin.core.twin import TwinSummary

_FIRST_ANSWERS = frozenset({CommandStatus.ACCEPTED, CommandStatus.REFUSED})


class TwinPage(msgspec.Struct, frozen=True):
    """A part of a list of twins.

    Attributes:
        total: Twins that match in all.
        silent: Groups whose host did not answer, and why; their twins are not in the list.
        last_known: Groups whose host cannot be reached, and why; their twins are shown by their
            last values.
    """

    total: int
    items: list[TwinSummary]
    silent: dict[GroupId, str] = {}
    last_known: dict[GroupId, str] = {}


class GroupSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A group, and who hosts it; the host's fields are missing while it does not answer."""

    group: GroupId
    is_up: bool
    reason: str = ""
    host: dict[str, object] = {}


class CommandAnswer(msgspec.Struct, frozen=True):
    """One of a command's two answers."""

    status: CommandStatus
    at: datetime
    reason: str = ""


class CommandRecord(msgspec.Struct, kw_only=True):
    """A command with its two answers, each missing until it is there.

    Attributes:
        accepted: The twin's: accepted or refused.
        effected: The meter's, by its gateway: effected, failed or expired.
        kind: Missing where only answers were heard of.
    """

    id: CommandId
    meter: MeterId
    kind: CommandKind | None = None
    arguments: Arguments = {}
    issued_by: str = ""
    issued_at: datetime | None = None
    expires_at: datetime | None = None
    accepted: CommandAnswer | None = None
    effected: CommandAnswer | None = None

    def answer(self, answer: CommandAnswer) -> None:
        """Take note of an answer; of two to the same question the first stays."""
        if answer.status in _FIRST_ANSWERS:
            self.accepted = self.accepted or answer
        else:
            self.effected = self.effected or answer

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        answer = self.effected or self.accepted
        return answer is not None and answer.status.is_final


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One meter's readings, from the gateway's number to the twin and to the store.

    Attributes:
        received: Highest reading number heard of by anybody.
        applied: Distinct readings in the twin; None when its host does not answer.
        stored: Distinct readings in the history; None when the recorder does not answer.
        duplicate: Deliveries that twin host and recorder dropped, both together.
        missing: Numbers up to `received` that did not reach the twin, or the store if more.
        balanced: received == applied == stored.
    """

    meter: MeterId
    group: GroupId
    received: int
    applied: int | None
    stored: int | None
    duplicate: int
    missing: int
    balanced: bool


class LedgerTotal(msgspec.Struct, frozen=True, kw_only=True):
    """The sum over all meters asked for."""

    meters: int
    received: int
    applied: int
    stored: int
    duplicate: int
    missing: int
    balanced: bool


class LedgerReport(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger.

    Attributes:
        silent: Parts that did not answer, and why.
        last_known: Groups whose host cannot be reached, and why; `applied` is then what the
            stand-in here applied.
    """

    total: LedgerTotal
    meters: list[LedgerEntry]
    silent: dict[str, str] = {}
    last_known: dict[GroupId, str] = {}


class PartHealth(msgspec.Struct, frozen=True):
    """Whether a part is up, and why not."""

    part: str
    is_up: bool
    reason: str = ""


class HealthReport(msgspec.Struct, frozen=True):
    """Whether the site is up: every part is."""

    site: str
    is_up: bool
    parts: list[PartHealth]
