"""Sourcing kept awake: a hub that lost an edge takes up its streams as soon as it is back.

The server tries a source that it does not reach again after longer and longer pauses, up to some
40 s, also when the edge has long been there, for example after the hub itself was started again.
Named anew the source is set up at once, behind the last message the hub has of it.
"""

import asyncio
import time
from dataclasses import dataclass, field

import msgspec
import nats.errors
import structlog
from nats.js.errors import APIError

from metertwin.bus.connection import Bus
from metertwin.bus.domain import stream_api_of
from metertwin.bus.ending import end_if_told
from metertwin.bus.place import BusPlace
from metertwin.bus.streams import SOURCED_STREAMS
from metertwin.bus.subjects import READING_STREAM

_LOOK_S = 0.5
_QUIET_S = 4.0  # a source that lives sends heartbeats every second
_PATIENCE_S = 5.0  # between two times one is named anew
_ANSWER_WITHIN_S = 1.0

log = structlog.get_logger(__name__)


class _External(msgspec.Struct, frozen=True):
    api: str


class _Source(msgspec.Struct, frozen=True):
    active: int = -1  # nanoseconds since it was heard, negative for never
    external: _External | None = None

    @property
    def is_quiet(self) -> bool:
        return not 0 <= self.active <= _QUIET_S * 1e9


class _Info(msgspec.Struct, frozen=True):
    sources: list[_Source] = []


@dataclass(slots=True)
class Sourcing:
    """Keeps a hub's sources awake.

    Args:
        bus: A connection of the fleet role to the hub.
        place: The hub's.

    Attributes:
        woken_count: How often a source was named anew.
    """

    bus: Bus
    place: BusPlace
    woken_count: int = 0
    _woken_s: dict[tuple[str, str], float] = field(default_factory=dict)

    async def run(self) -> None:
        """Look for ever."""
        while True:
            end_if_told()
            try:
                await self._look()
            except (nats.errors.Error, APIError, TimeoutError, msgspec.DecodeError) as error:
                log.debug("sourcing_waits", reason=str(error))
            await asyncio.sleep(_LOOK_S)

    async def _look(self) -> None:
        for edge in self.place.edges:
            api = stream_api_of(edge.site)
            quiet = [name for name in SOURCED_STREAMS if await self._is_quiet(name, api)]
            if quiet and await self._is_reached(api):
                for name in quiet:
                    await self._wake(name, api)

    async def _is_quiet(self, stream: str, api: str) -> bool:
        if time.monotonic() < self._woken_s.get((stream, api), 0.0) + _PATIENCE_S:
            return False
        told = await self.bus.nc.request(
            f"{self.bus.stream_api}.STREAM.INFO.{stream}", timeout=_ANSWER_WITHIN_S
        )
        sources = msgspec.json.decode(told.data, type=_Info).sources
        return any(each.is_quiet for each in sources if each.external and each.external.api == api)

    async def _is_reached(self, api: str) -> bool:
        try:
            await self.bus.nc.request(
                f"{api}.STREAM.INFO.{READING_STREAM}", timeout=_ANSWER_WITHIN_S
            )
        except (nats.errors.Error, TimeoutError):
            return False
        return True

    async def _wake(self, stream: str, api: str) -> None:
        self._woken_s[stream, api] = time.monotonic()
        config = (await self.bus.js.stream_info(stream)).config
        sources = config.sources or []
        others = [each for each in sources if not (each.external and each.external.api == api)]
        await self.bus.js.update_stream(config.evolve(sources=others))
        await self.bus.js.update_stream(config.evolve(sources=sources))
        self.woken_count += 1
        log.info("source_woken", stream=stream, api=api)
