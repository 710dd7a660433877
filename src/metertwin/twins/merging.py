"""What was wished on one side of a cut link meets what was wanted on the other.

Rules decide path by path, and none looks at a clock: the clocks of two sites may differ, and the
later of two decisions is not the better one when neither knew of the other. What only one side
changed since both last agreed holds. What both changed holds by what does less harm: the lower
limit, and to be disconnected, because a reconnect decided without knowing is the dangerous one. To
want nothing stands between: it orders neither a higher limit nor a reconnect.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from metertwin.core.event import Event, EventSource
from metertwin.core.ids import MeterId
from metertwin.twins.desired import (
    DISCONNECT_PATH,
    DISCONNECTED,
    LIMIT_PATH,
    Ask,
    Conflict,
    Desired,
    Value,
    changed,
    remembered,
)

CONFLICT_EVENT = "desired_conflict"
# One code for each path: two conflicts of a meter at one moment are two events.
_CODE_OF_PATH = {DISCONNECT_PATH: -1001, LIMIT_PATH: -1002}
_RULE_OF_PATH = {
    DISCONNECT_PATH: "disconnected wins over no wish, and that over connected",
    LIMIT_PATH: "the lower limit wins, any limit over none",
}


class Wish(msgspec.Struct, frozen=True):
    """A change of one path, asked where the owner could not be reached.

    Attributes:
        value: What is wanted; None to want nothing.
        base_version: Version of the owner's desired state that was known then.
    """

    path: str
    value: Value | None
    ask: Ask
    base_version: int


def merged(state: Desired | None, wishes: Sequence[Wish], at: datetime) -> Desired:
    """Return the owner's state after wishes; one that was taken before changes nothing.

    Args:
        state: The owner's; None if nothing was ever wanted.
        wishes: Of one meter.
        at: Now.
    """
    state = state or Desired(0, {})
    for wish in wishes:
        if not state.has_taken(wish.ask, wish.path):
            state = _merged(state, wish, at)
    return state


def wins(path: str, one: Value | None, other: Value | None) -> bool:
    """Whether `one` holds where both sides changed a path; for equal values neither does.

    Example:
        >>> wins("limit_w", 3000, 5000), wins("limit_w", None, 5000)
        (True, False)
        >>> wins("disconnect_control", "disconnected", "connected")
        True
        >>> wins("disconnect_control", "connected", None)
        False
    """
    return _harm(path, one) < _harm(path, other)


def conflict_event(meter: MeterId, conflict: Conflict, received_at: datetime) -> Event:
    """Return a conflict as people read it."""
    holds = conflict.there if conflict.is_there else conflict.here
    return Event(
        meter=meter,
        source=EventSource.TWIN,
        code=_CODE_OF_PATH[conflict.path],
        name=CONFLICT_EVENT,
        captured_at=conflict.at,
        received_at=received_at,
        detail=f"{conflict.path}: at the twin's host {_said(conflict.here, conflict.here_ask)}, "
        f"at {conflict.there_ask.origin or 'another site'} "
        f"{_said(conflict.there, conflict.there_ask)}, neither knowing of the other; "
        f"{_word(holds)} holds: {conflict.rule}.",
    )


def _merged(state: Desired, wish: Wish, at: datetime) -> Desired:
    path, here = wish.path, state.values.get(wish.path)
    if not _is_changed_here(state, wish):
        return changed(state, {path: wish.value}, wish.ask)
    if here == wish.value:
        return msgspec.structs.replace(state, taken=remembered(state, wish.ask.key(path)))
    is_there = wins(path, wish.value, here)
    conflict = Conflict(
        path=path,
        here=here,
        here_ask=state.last_change(path).ask,
        there=wish.value,
        there_ask=wish.ask,
        is_there=is_there,
        rule=_RULE_OF_PATH[path],
        at=at,
    )
    after = (
        changed(state, {path: wish.value}, wish.ask)
        if is_there
        else msgspec.structs.replace(state, taken=remembered(state, wish.ask.key(path)))
    )
    return msgspec.structs.replace(after, untold=(*state.untold, conflict))


def _is_changed_here(state: Desired, wish: Wish) -> bool:
    """Whether the owner's side changed the path unknown to who wished."""
    last = state.last_change(wish.path)
    if not last.version or (wish.ask.origin and last.ask.origin == wish.ask.origin):
        return False  # what came from that side is no surprise there, even if its answer was lost
    # A state younger than the one known there was made anew: nothing of it is known there.
    return last.version > wish.base_version or state.version < wish.base_version


def _harm(path: str, value: Value | None) -> float:
    if path == LIMIT_PATH:
        return float("inf") if value is None else float(value)
    if value == DISCONNECTED:
        return 0.0
    return 1.0 if value is None else 2.0


def _said(value: Value | None, ask: Ask) -> str:
    who = ", ".join(filter(None, (ask.by, _moment(ask.at))))
    return f"{_word(value)} ({who or 'asker unknown'})"


def _word(value: Value | None) -> str:
    return "no wish" if value is None else str(value)


def _moment(at: datetime | None) -> str:
    return "" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
