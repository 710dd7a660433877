"""Filling a window out of history: for an app that came when its group was already running."""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np
import structlog

from metertwin.bus.connection import Bus
from metertwin.bus.messages import Request
from metertwin.bus.requests import ask
from metertwin.bus.subjects import Kind, subject
from metertwin.core.clock import Clock, from_us, to_us
from metertwin.core.errors import NotFoundError, UnavailableError
from metertwin.core.ids import MeterId
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.twin import LedgerLine
from metertwin.core.units import Unit
from metertwin.twins.apps.blocks import Cells
from metertwin.twins.apps.host import AppHost
from metertwin.twins.apps.series import Captured
from metertwin.twins.apps.window import DAY_US
from metertwin.twins.group import TwinGroup

_ASK_WITHIN_S = 10.0
_MOST_ROWS = 100_000

log = structlog.get_logger(__name__)


class _Registers(msgspec.Struct, frozen=True):
    obis: list[str]
    period_s: list[int]


class _RegistersAnswer(msgspec.Struct, frozen=True):
    columns: _Registers


class _Captures(msgspec.Struct, frozen=True):
    captured_at_us: list[int]
    integer: list[int]
    quality: list[int]
    origin: list[int]


class _CapturesAnswer(msgspec.Struct, frozen=True):
    columns: _Captures
    unit: str
    scaler: int


@dataclass(slots=True)
class Backfill:
    """Fills the window of one group's apps.

    Args:
        received_before: The group's ledger when the window began: numbers the recorder must have.
    """

    bus: Bus
    group: TwinGroup
    apps: AppHost
    clock: Clock
    received_before: dict[MeterId, int]

    @property
    def is_needed(self) -> bool:
        """Whether the window does not reach as far as the apps want."""
        window = self.apps.window
        return not self.apps.is_closed and any(
            window.first_us(obis) > self._first_us(obis) for obis in window.wanted_days
        )

    async def run(self) -> None:
        """Fill what is missing, register by register and meter by meter.

        Raises:
            UnavailableError: The recorder does not answer, or is not yet where the window began.
        """
        await self._check_recorder()
        window = self.apps.window
        meters = list(self.group.columns.meters)
        for meter in meters:
            for register in await self._registers(meter):
                await self._fill(meter, register)
                if self.apps.is_closed:
                    return
            self.apps.on_applied()
        for obis in window.wanted_days:
            window.since_us[obis] = 0
        self.apps.has_news = True
        log.info("window_filled", group=self.group.settings.id, meters=len(meters))

    def _first_us(self, obis: Obis) -> int:
        """Return the midnight the window shall reach back to, also before the first reading."""
        window = self.apps.window
        today = max(window.now_us, to_us(self.clock.now())) // DAY_US
        return max(today - window.wanted_days[obis], 0) * DAY_US

    async def _check_recorder(self) -> None:
        to = subject(self.group.settings.id, Kind.HISTORY)
        lines = await ask(self.bus, to, Request("ledger"), _ASK_WITHIN_S, list[LedgerLine])
        received = {line.meter: line.received for line in lines}
        behind = [
            meter for meter, count in self.received_before.items() if received.get(meter, 0) < count
        ]
        if behind:
            raise UnavailableError(
                f"The recorder has not yet stored all of {len(behind)} meters of group "
                f"{self.group.settings.id}, {behind[0]} among them.",
                group=self.group.settings.id,
            )

    async def _registers(self, meter: MeterId) -> list[tuple[Obis, int]]:
        """Return the wanted registers that history has of a meter, with their periods."""
        to = subject(self.group.settings.id, Kind.HISTORY, meter)
        try:
            answer = await ask(self.bus, to, Request("registers"), _ASK_WITHIN_S, _RegistersAnswer)
        except NotFoundError:
            return []
        wanted = self.apps.window.wanted_days
        pairs = zip(answer.columns.obis, answer.columns.period_s, strict=True)
        known = {(Obis.parse(obis), period_s) for obis, period_s in pairs if period_s}
        return sorted((obis, period_s) for obis, period_s in known if obis in wanted)

    async def _fill(self, meter: MeterId, register: tuple[Obis, int]) -> None:
        obis, period_s = register
        to = subject(self.group.settings.id, Kind.HISTORY, meter)
        for start_us, end_us in self._pages(obis, period_s):
            arguments = {
                "obis": str(obis),
                "period_s": period_s,
                "start": from_us(start_us),
                "end": from_us(end_us),
            }
            request = Request("range", arguments)
            answer = await ask(self.bus, to, request, _ASK_WITHIN_S, _CapturesAnswer)
            if answer.columns.integer:
                unit = next(unit for unit in Unit if unit.symbol == answer.unit)
                counted = Register(obis, unit, answer.scaler, period_s)
                self.apps.window.fill(counted, self._captured(meter, answer.columns))

    def _pages(self, obis: Obis, period_s: int) -> Iterator[tuple[int, int]]:
        first_us = self._first_us(obis)
        end_us = max(self.apps.window.now_us, to_us(self.clock.now())) + DAY_US
        # History may hold several values for one moment; half the limit leaves room for them.
        step_us = _MOST_ROWS // 2 * period_s * 1_000_000
        for start_us in range(first_us, end_us, step_us):
            yield start_us, min(start_us + step_us, end_us)

    def _captured(self, meter: MeterId, columns: _Captures) -> Captured:
        count = len(columns.integer)
        return Captured(
            np.full(count, self.group.row(meter), np.int64),
            np.array(columns.captured_at_us, np.int64),
            Cells(
                # The lowest number: whatever the stream says of that moment wins.
                np.ones(count, np.int64),
                np.array(columns.integer, np.int64),
                np.array(columns.quality, np.uint8),
                np.array(columns.origin, np.uint8),
            ),
        )
