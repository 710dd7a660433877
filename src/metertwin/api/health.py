"""Which parts of the site are up: asked, not assumed."""

import asyncio
import time

from metertwin.api.answers import HealthReport, PartHealth
from metertwin.bus.connection import Bus
from metertwin.bus.messages import Request
from metertwin.bus.requests import ask
from metertwin.bus.subjects import Kind, subject
from metertwin.core.errors import MeterTwinError
from metertwin.core.ids import GroupId, SiteId

_ANSWER_WITHIN_S = 1.5
# /healthz needs no token: whoever asks it a thousand times a second must not load the site.
_GOOD_FOR_S = 1.0
_PARTS = {
    "twin-host": (Kind.REQUEST, "host"),
    "gateway": (Kind.READ, "host"),
    "recorder": (Kind.HISTORY, "host"),
}


class HealthCheck:
    """Asks every part, and remembers the answer for a second."""

    def __init__(self, bus: Bus, site: SiteId, groups: tuple[GroupId, ...]) -> None:
        self._bus = bus
        self._site = site
        self._groups = groups
        self._asking = asyncio.Lock()
        self._report: HealthReport | None = None
        self._asked_at_s = 0.0

    async def report(self) -> HealthReport:
        """Return which parts are up, at most a second old."""
        async with self._asking:
            if self._report is None or time.monotonic() - self._asked_at_s > _GOOD_FOR_S:
                self._report = await self._ask_all()
                self._asked_at_s = time.monotonic()
            return self._report

    async def _ask_all(self) -> HealthReport:
        if not self._bus.is_connected:
            parts = [PartHealth("bus", is_up=False, reason="The bus does not answer.")]
            return HealthReport(self._site, is_up=False, parts=parts)
        asked = [
            self._ask(part, group, kind, name)
            for group in self._groups
            for part, (kind, name) in _PARTS.items()
        ]
        parts = [PartHealth("bus", is_up=True), *await asyncio.gather(*asked)]
        return HealthReport(self._site, is_up=all(part.is_up for part in parts), parts=parts)

    async def _ask(self, part: str, group: GroupId, kind: Kind, name: str) -> PartHealth:
        named = f"{part} of {group}"
        try:
            await ask(self._bus, subject(group, kind), Request(name, {}), _ANSWER_WITHIN_S, object)
        except MeterTwinError as error:
            return PartHealth(named, is_up=False, reason=str(error))
        return PartHealth(named, is_up=True)
