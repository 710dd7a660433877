"""Reading through a twin to its meter: by the gateway, applied before the answer."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import msgspec

from metertwin.bus.connection import Bus
from metertwin.bus.messages import Request
from metertwin.bus.requests import ask
from metertwin.bus.subjects import Kind, subject
from metertwin.core.errors import DeadlineError
from metertwin.core.ids import MeterId
from metertwin.twins.group import TwinGroup


class ReadThrough(msgspec.Struct, frozen=True):
    """What the gateway says of a read: the number of the last reading it published of the meter."""

    last_sequence: int


@dataclass(slots=True)
class GatewayReader:
    """Reads meters of one group through the group's gateway."""

    bus: Bus
    group: TwinGroup
    _waiting: set[asyncio.Future[None]] = field(default_factory=set)

    async def read_all(self, meter: MeterId, deadline_s: float) -> None:
        """Read the meter now; return when its readings are applied to the twin.

        Raises:
            UnavailableError: The gateway or the meter does not answer.
            DeadlineError: Not within `deadline_s`.
        """
        await self.read(meter, Request("read_all"), deadline_s)

    async def read(self, meter: MeterId, request: Request, deadline_s: float) -> None:
        """Have the gateway read what `request` says; return when it is applied to the twin."""
        to = subject(self.group.settings.id, Kind.READ, meter)
        try:
            async with asyncio.timeout(deadline_s):
                answer = await ask(self.bus, to, request, deadline_s, ReadThrough)
                await self._applied(meter, answer.last_sequence)
        except TimeoutError:
            raise DeadlineError(
                f"Meter {meter} was not read within {deadline_s:g} s.",
                meter=meter,
                deadline_s=deadline_s,
            ) from None

    async def activity_calendar(self, meter: MeterId, deadline_s: float) -> dict[str, Any]:
        """Return the tariff calendar the meter follows, as the gateway read it now.

        Raises:
            UnknownTwinError: The group has no such meter.
            UnavailableError: The gateway or the meter does not answer.
            DeadlineError: Not within `deadline_s`.
        """
        self.group.row(meter)
        to = subject(self.group.settings.id, Kind.READ, meter)
        return await ask(self.bus, to, Request("activity_calendar"), deadline_s, dict[str, Any])

    def wake(self) -> None:
        """Have everyone who waits look again: readings were applied."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    async def _applied(self, meter: MeterId, number: int) -> None:
        row = self.group.row(meter)
        while int(self.group.ledger.received[row]) < number:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(future)
            await future
