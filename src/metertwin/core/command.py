"""Commands: what is wanted of a meter, and its two answers, accepted and effected.

A command has an id that makes it happen once, a time after which it must not happen, and the
epoch of the twin's owner, so that an owner of yesterday commands nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from metertwin.core.ids import CommandId, GroupId, MeterId

Arguments: TypeAlias = Mapping[str, int | str]


class CommandKind(StrEnum):
    """What a meter can be told."""

    DISCONNECT = "disconnect"
    RECONNECT = "reconnect"
    SET_LIMIT = "set_limit"  # argument limit_w
    SET_CLOCK = "set_clock"  # to the gateway's time
    WRITE_CALENDAR = "write_calendar"  # arguments calendar, and activate_at or none for at once


class CommandStatus(StrEnum):
    """Where a command stands; effected, failed, refused and expired are final."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    EFFECTED = "effected"
    FAILED = "failed"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self is not CommandStatus.ACCEPTED


@dataclass(frozen=True, slots=True)
class Command:
    """One command to one meter.

    Attributes:
        id: The idempotency key; the same id is one command however often it arrives.
        arguments: Numbers by name with their unit in it, for example {"limit_w": 3000}, and texts.
        issued_by: Who wants it: a token's name, an app's grant, or "desired_state".
        expires_at: From this moment on it must not be executed.
        epoch: The epoch of the owner that accepted it; 0 before acceptance.
        share: Which share of the group that owner has; 0 for the whole group.
    """

    id: CommandId
    meter: MeterId
    group: GroupId
    kind: CommandKind
    issued_by: str
    issued_at: datetime
    expires_at: datetime
    arguments: Arguments = field(default_factory=dict)
    epoch: int = 0
    share: int = 0


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """One answer to a command: what became of it, when, and why."""

    command: CommandId
    meter: MeterId
    status: CommandStatus
    at: datetime
    reason: str = ""
