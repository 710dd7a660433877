"""Whether another site can be reached, and since when not: looked at, never assumed."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

import msgspec
import nats.errors

from metertwin.bus.connection import Bus
from metertwin.bus.ending import end_if_told
from metertwin.bus.subjects import DESIRED_BUCKET
from metertwin.core.clock import Clock
from metertwin.core.ids import GroupId, SiteId

_LOOK_S = 0.5
_ANSWER_WITHIN_S = 1.0
_NOW_WITHIN_S = 0.3  # a site that is there answers in far less
_GOOD_FOR_S = 0.1  # many who ask at once share one look


class SiteStanding(msgspec.Struct, frozen=True):
    """How a site stands, as seen from here.

    Attributes:
        is_reached: Whether its bus answers.
        heard_at: When it last did, by the clock here; None if not since the look-out began.
    """

    site: SiteId
    is_reached: bool
    heard_at: datetime | None

    def sentence(self, group: GroupId) -> str:
        """Return why the host of a group of the site does not answer."""
        if self.is_reached:
            return (
                f"The twin host of group {group} does not answer, though its site {self.site} can "
                "be reached."
            )
        since = "" if self.heard_at is None else f" since {self.heard_at:%Y-%m-%d %H:%M:%S} UTC"
        return f"Site {self.site}, where group {group} is at home, cannot be reached{since}."


class _State(msgspec.Struct, frozen=True):
    last_seq: int


class _Info(msgspec.Struct, frozen=True):
    state: _State | None = None


@dataclass(slots=True)
class SiteWatch:
    """Looks whether a site can be reached.

    Args:
        site: The site.
        bus: A connection from here to its domain.
        clock: The clock here.

    Attributes:
        desired_sequence: Newest change of its desired states, as of the last look that reached it.
    """

    site: SiteId
    bus: Bus
    clock: Clock
    is_reached: bool = False
    heard_at: datetime | None = None
    desired_sequence: int = 0
    _looked_s: float = float("-inf")

    @property
    def standing(self) -> SiteStanding:
        """How the site stands as of the last look."""
        return SiteStanding(self.site, self.is_reached, self.heard_at)

    async def now(self) -> SiteStanding:
        """Return how the site stands at this moment; what is known to be away is not waited for."""
        if self.is_reached:
            await self.look(_NOW_WITHIN_S)
        return self.standing

    async def run(self) -> None:
        """Look for ever."""
        while True:
            end_if_told()
            await self.look()
            await asyncio.sleep(_LOOK_S)

    async def look(self, within_s: float = _ANSWER_WITHIN_S) -> bool:
        """Look now and return whether the site answers.

        Args:
            within_s: Silence for so long means that it does not.
        """
        loop = asyncio.get_running_loop()
        if loop.time() - self._looked_s < _GOOD_FOR_S:
            return self.is_reached
        try:
            told = await self.bus.nc.request(
                f"{self.bus.stream_api}.STREAM.INFO.KV_{DESIRED_BUCKET}", timeout=within_s
            )
            info = msgspec.json.decode(told.data, type=_Info)
        except (nats.errors.Error, TimeoutError, msgspec.DecodeError):
            self.is_reached = False
        else:
            self.is_reached, self.heard_at = True, self.clock.now()
            if info.state is not None:
                self.desired_sequence = info.state.last_seq
        self._looked_s = loop.time()
        return self.is_reached
