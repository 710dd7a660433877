"""Asking a group that hangs at an edge: its owner, else who stands in for it in the cloud.

Who asks gives one deadline. A cut link is told at once, because nobody subscribes any more. A
silent one would cost the whole deadline, so after a moment without an answer the stand-in is asked
whether the site can be reached; if it cannot, the owner is not waited for. A bit of the deadline is
kept back, so that last values still come in time when the owner lets it pass.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from metertwin.bus.connection import Bus
from metertwin.bus.messages import Request
from metertwin.bus.requests import NobodyAnswersError, NotInTimeError, ask
from metertwin.bus.subjects import WHOLE_GROUP, Kind, subject
from metertwin.core.errors import MeterTwinError
from metertwin.core.ids import GroupId
from metertwin.twins.last_known import SiteUnreachableError
from metertwin.twins.site_watch import SiteStanding

LAST_KNOWN_REQUESTS = frozenset({"twin", "twins", "usage_now", "read_register", "ledger", "host"})
_PATIENCE_S = 0.5  # an owner that can be reached answers from its state in a few ms
_PATIENCE_SHARE = 0.25
_RESERVE_S = 0.5
_RESERVE_SHARE = 0.2

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Told(Generic[Answer]):
    """An answer, and where it comes from.

    Attributes:
        old_because: Why it is the last that is known; empty for the owner's own answer.
    """

    answer: Answer
    old_because: str = ""


class _Asked(NamedTuple):
    bus: Bus
    group: GroupId
    meter: str
    request: Request
    reply_type: Any
    give_up_s: float  # by the event loop's clock

    @property
    def left_s(self) -> float:
        return max(self.give_up_s - asyncio.get_running_loop().time(), 0.001)


async def ask_stood_in(
    bus: Bus,
    group: GroupId,
    request: Request,
    reply_type: type[Answer],
    deadline_s: float,
    *,
    meter: str = WHOLE_GROUP,
    may_be_old: bool = True,
) -> Told[Answer]:
    """Return what the owner answers, or the last that is known.

    Args:
        bus: A connection of role api.
        group: Hosted at an edge.
        request: What is asked.
        reply_type: What the answer is.
        deadline_s: Seconds until an answer is worthless.
        meter: Of whom; the whole group by default.
        may_be_old: Whether last values will do, for requests that have such.

    Raises:
        SiteUnreachableError: The site cannot be reached and last values do not answer this.
        MeterTwinError: What the owner or the stand-in answered, or why neither did.
    """
    loop = asyncio.get_running_loop()
    asked = _Asked(bus, group, meter, request, reply_type, loop.time() + deadline_s)
    reserve_s = min(_RESERVE_S, _RESERVE_SHARE * deadline_s)
    to = subject(group, Kind.REQUEST, meter)
    owner = asyncio.ensure_future(ask(bus, to, request, deadline_s - reserve_s, reply_type))
    try:
        await asyncio.wait({owner}, timeout=min(_PATIENCE_S, _PATIENCE_SHARE * deadline_s))
        if not owner.done():
            standing = await _standing(asked)
            if standing is None or standing.is_reached:
                await asyncio.wait({owner})  # ends by its own deadline
        if owner.done():
            return Told(owner.result())
        failure: MeterTwinError | None = None
    except (NobodyAnswersError, NotInTimeError) as error:
        failure = error
    finally:
        owner.cancel()
    return await _last_known(asked, failure, may_be_old=may_be_old)


async def want_stood_in(
    bus: Bus,
    group: GroupId,
    request: Request,
    reply_type: type[Answer],
    deadline_s: float,
    *,
    meter: str,
) -> Answer:
    """Have the stand-in take to the owner what is wanted, or keep it; without it ask the owner.

    Raises:
        MeterTwinError: What was answered instead, or why nothing was.
    """
    try:
        to = subject(group, Kind.LAST_KNOWN, meter)
        return await ask(bus, to, request, deadline_s, reply_type)
    except NobodyAnswersError:
        to = subject(group, Kind.REQUEST, meter)
        return await ask(bus, to, request, deadline_s, reply_type)


async def _last_known(
    asked: _Asked, failure: MeterTwinError | None, *, may_be_old: bool
) -> Told[Any]:
    standing = await _standing(asked)
    if standing is None:
        raise failure or NobodyAnswersError(f"Nobody stands in for group {asked.group}.")
    is_late = isinstance(failure, NotInTimeError)
    why = standing.sentence(asked.group)
    if may_be_old and asked.request.name in LAST_KNOWN_REQUESTS:
        try:
            to = subject(asked.group, Kind.LAST_KNOWN, asked.meter)
            answer = await ask(asked.bus, to, asked.request, asked.left_s, asked.reply_type)
        except MeterTwinError:
            if failure is not None and is_late and standing.is_reached:
                raise failure from None  # it is there and was slow: that is the reason
            raise
        return Told(answer, why)
    if failure is not None and is_late and standing.is_reached:
        raise failure
    is_open = "" if isinstance(failure, NobodyAnswersError) else " Whether it arrived is open."
    raise SiteUnreachableError(
        f"{why} {asked.request.name} needs the twin's host; ask again when it answers.{is_open}",
        site=standing.site,
        group=asked.group,
        heard_at=standing.heard_at,
    )


async def _standing(asked: _Asked) -> SiteStanding | None:
    """Return how the group's site stands; None when nobody stands in for it."""
    to = subject(asked.group, Kind.LAST_KNOWN)
    try:
        return await ask(asked.bus, to, Request("standing"), asked.left_s, SiteStanding)
    except (NobodyAnswersError, NotInTimeError):
        return None
