"""Desired state: what people and apps want of a meter, compared with what it reports.

A path is one thing that can be wanted. While the reported value differs, the twin commands; the
command's id says meter, path, version and attempt, so a host that starts again after a crash asks
for the very same command, which happens once. A failed attempt is followed by another one, later.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

import msgspec

from metertwin.core.command import Command, CommandKind, CommandOutcome, CommandStatus
from metertwin.core.errors import InvalidInputError
from metertwin.core.ids import CommandId, GroupId, MeterId
from metertwin.core.obis import Obis
from metertwin.twins.commands import LIMIT_MAX_W
from metertwin.twins.view import DISCONNECTOR

ISSUER = "desired_state"
CONNECTED, DISCONNECTED = "connected", "disconnected"
DISCONNECT_PATH, LIMIT_PATH = "disconnect_control", "limit_w"
LIMITER = Obis(0, 0, 17, 0, 0, 255)
_REMEMBERED_COUNT = 32  # a change is repeated while its answer is awaited, and few are at a time

_COMMAND_LIFE = timedelta(minutes=10)
_RETRY_PAUSES = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))

Value = str | int


class DesiredStateError(InvalidInputError):
    """That cannot be wanted of a meter."""

    code = "input.desired_state"


class Ask(msgspec.Struct, frozen=True):
    """Who changes a desired state.

    Attributes:
        by: Who asked, as far as that is known.
        at: When, by the clock of the site where it was asked.
        id: The same id is one change however often it comes; empty for a change without one.
        origin: The site whose stand-in brought it; empty if the owner was asked itself.
    """

    by: str = ""
    at: datetime | None = None
    id: str = ""
    origin: str = ""

    def key(self, path: str) -> str:
        """Return what this change of one path is remembered by."""
        return f"{self.id}:{path}"


class PathChange(msgspec.Struct, frozen=True):
    """The last change of one path.

    Attributes:
        version: Of the desired state with that change; 0 if there never was one.
        ask: Who changed it; unknown for changes made before this was kept.
    """

    version: int
    ask: Ask = Ask()


class Conflict(msgspec.Struct, frozen=True):
    """One path changed on both sides of a cut link, and what holds now.

    Attributes:
        here: What was wanted at the owner.
        there: What was wished at the site of `there_ask.origin`.
        is_there: Whether the wish holds.
        rule: By which rule, in words.
        at: When both met, by the owner's clock.
    """

    path: str
    here: Value | None
    here_ask: Ask
    there: Value | None
    there_ask: Ask
    is_there: bool
    rule: str
    at: datetime


class Desired(msgspec.Struct, frozen=True):
    """Desired state of one twin.

    Attributes:
        version: Grows by one with each change, from 1.
        values: Wanted value by path: `disconnect_control` (connected, disconnected), `limit_w`.
        paths: The last change of each path, also of those taken out.
        taken: The newest changes that had an id, so that none is made twice.
        untold: Conflicts whose event is not yet known to be kept.
    """

    version: int
    values: dict[str, Value]
    paths: dict[str, PathChange] = {}
    taken: tuple[str, ...] = ()
    untold: tuple[Conflict, ...] = ()

    def has_taken(self, ask: Ask, path: str) -> bool:
        """Whether this change of a path was made here before, or lost to another."""
        return bool(ask.id) and ask.key(path) in self.taken

    def last_change(self, path: str) -> PathChange:
        """Return the last change of a path."""
        # States from before changes were kept by path: any of their paths may be the newest.
        return self.paths.get(path) or PathChange(self.version if path in self.values else 0)


@dataclass(slots=True)
class _Attempt:
    command: CommandId
    version: int
    number: int
    not_before: datetime  # of the next attempt: a command whose answer never came ends by expiry


@dataclass(slots=True)
class Reconciler:
    """Turns the difference between desired and reported into commands, for one group."""

    group: GroupId
    _attempts: dict[tuple[MeterId, str], _Attempt] = field(default_factory=dict)

    def next_command(
        self, meter: MeterId, desired: Desired, path: str, now: datetime
    ) -> Command | None:
        """Return the command that is due for a path that differs, or None while one is open."""
        previous = self._attempts.get((meter, path))
        number = 1
        if previous is not None and previous.version == desired.version:
            if now < previous.not_before:
                return None
            number = previous.number + 1
        attempt = _Attempt(
            CommandId(f"desired-{meter}-{path}-{desired.version}-{number}"),
            desired.version,
            number,
            now + _COMMAND_LIFE,
        )
        self._attempts[meter, path] = attempt
        kind, arguments = _wish(path, desired.values[path])
        return Command(
            id=attempt.command,
            meter=meter,
            group=self.group,
            kind=kind,
            issued_by=ISSUER,
            issued_at=now,
            expires_at=attempt.not_before,
            arguments=arguments,
        )

    def learn(self, meter: MeterId, outcome: CommandOutcome) -> None:
        """Take note of an answer: a final one other than effected lets the next attempt come."""
        for (of_meter, _), attempt in self._attempts.items():
            if of_meter == meter and attempt.command == outcome.command:
                if outcome.status is CommandStatus.EFFECTED or not outcome.status.is_final:
                    return
                pause = min(attempt.number, len(_RETRY_PAUSES)) - 1
                attempt.not_before = outcome.at + _RETRY_PAUSES[pause]

    def settle(self, meter: MeterId, path: str) -> None:
        """Forget the attempts of a path whose reported value is the desired one."""
        self._attempts.pop((meter, path), None)


def checked_changes(meter: MeterId, changes: Mapping[str, object]) -> dict[str, Value | None]:
    """Return changes to a desired state; None takes a path out.

    Raises:
        DesiredStateError: An unknown path or a value it cannot have; all are named.
    """
    problems = [f"{path}={value!r}" for path, value in changes.items() if not _can_be(path, value)]
    if problems or not changes:
        raise DesiredStateError(
            f"Desired state of meter {meter} cannot take {', '.join(problems) or 'no changes'}; "
            f"it takes {DISCONNECT_PATH} ({CONNECTED}, {DISCONNECTED}) and {LIMIT_PATH} "
            f"(0 to {LIMIT_MAX_W}), null to want nothing.",
            meter=meter,
        )
    return cast("dict[str, Value | None]", dict(changes))


def changed(
    current: Desired | None, changes: Mapping[str, Value | None], ask: Ask | None = None
) -> Desired:
    """Return the desired state after changes, one version up; as it was if they are in it."""
    before, ask = current or Desired(0, {}), ask or Ask()
    if changes and all(before.has_taken(ask, path) for path in changes):
        return before
    version = before.version + 1
    values = {path: value for path, value in before.values.items() if path not in changes}
    values |= {path: value for path, value in changes.items() if value is not None}
    known = {path: before.last_change(path) for path in (*before.values, *before.paths)}
    return msgspec.structs.replace(
        before,
        version=version,
        values=values,
        paths=known | {path: PathChange(version, ask) for path in changes},
        taken=remembered(before, *(ask.key(path) for path in changes if ask.id)),
    )


def remembered(state: Desired, *keys: str) -> tuple[str, ...]:
    """Return the newest changes that a state knows, with more of them."""
    return (*state.taken, *keys)[-_REMEMBERED_COUNT:]


def obis_of(path: str) -> Obis:
    """Return the register that reports a path."""
    return DISCONNECTOR if path == DISCONNECT_PATH else LIMITER


def is_met(path: str, wanted: Value, reported_integer: int | None, reported_scaler: int) -> bool:
    """Whether what the meter reports is what is wanted."""
    if reported_integer is None:
        return False
    if path == DISCONNECT_PATH:
        return bool(reported_integer) == (wanted == CONNECTED)
    return reported_integer * 10.0**reported_scaler == wanted


def disconnect_of(changes: Mapping[str, Value | None]) -> bool:
    """Whether changes want a meter to be switched off."""
    return changes.get(DISCONNECT_PATH) == DISCONNECTED


def _can_be(path: str, value: object) -> bool:
    if path == DISCONNECT_PATH:
        return value in (None, CONNECTED, DISCONNECTED)
    if path == LIMIT_PATH:
        return value is None or (type(value) is int and 0 <= value <= LIMIT_MAX_W)
    return False


def _wish(path: str, wanted: Value) -> tuple[CommandKind, dict[str, int]]:
    if path == LIMIT_PATH:
        return CommandKind.SET_LIMIT, {"limit_w": int(wanted)}
    return (CommandKind.RECONNECT if wanted == CONNECTED else CommandKind.DISCONNECT), {}
