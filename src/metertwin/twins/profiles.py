"""Load profiles of a group's twins: from history, the meter read first when that is too old."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import msgspec

from metertwin.bus.connection import Bus
from metertwin.bus.messages import Request
from metertwin.bus.requests import ask
from metertwin.bus.subjects import Kind, subject
from metertwin.core.clock import Clock, from_us
from metertwin.core.errors import InvalidInputError, NotFoundError
from metertwin.core.ids import MeterId
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.twin import AnswerSource, LedgerLine, LoadProfile, ProfileSeries
from metertwin.twins.answers import UnknownRegisterError
from metertwin.twins.group import TwinGroup
from metertwin.twins.through import GatewayReader

_ASK_WITHIN_S = 5.0
_POLL_S = 0.05


class RangeError(InvalidInputError):
    """A range of time that is none."""

    code = "input.range"


class _Columns(msgspec.Struct, frozen=True):
    captured_at_us: list[int]
    value: list[Decimal]
    quality: list[int]


class _HistoryAnswer(msgspec.Struct, frozen=True):
    columns: _Columns


@dataclass(frozen=True, slots=True)
class ProfileRange:
    """What of a load profile is wanted.

    Attributes:
        start: First moment included.
        end: First moment not included.
        obis: The register wanted; None for all the profile captures.
    """

    start: datetime
    end: datetime
    obis: Obis | None = None

    def check(self) -> None:
        """Raise RangeError unless the range goes forwards and says its zone."""
        for name, moment in (("start", self.start), ("end", self.end)):
            if moment.tzinfo is None:
                raise RangeError(f"The {name} {moment.isoformat()} has no zone; add Z for UTC.")
        if self.start >= self.end:
            raise RangeError(
                f"The range ends at {self.end.isoformat()}, not after its start "
                f"{self.start.isoformat()}.",
            )


@dataclass(frozen=True, slots=True)
class Profiles:
    """Answers with load profiles of one group."""

    bus: Bus
    group: TwinGroup
    reader: GatewayReader
    clock: Clock

    async def load_profile(
        self, meter: MeterId, wanted: ProfileRange, max_age_s: float | None, deadline_s: float
    ) -> LoadProfile:
        """Return what the meter captured in a range.

        Args:
            meter: The meter.
            wanted: The range.
            max_age_s: How far the newest interval may lie before the range's end, or before now;
                above it the meter is read first. None: history as it is.
            deadline_s: What the caller still has, in s.

        Raises:
            RangeError: The range is none.
            UnknownRegisterError: The profile does not capture that register.
            UnavailableError: Recorder, gateway or meter do not answer.
        """
        wanted.check()
        source = AnswerSource.TWIN
        if max_age_s is not None and self._age_s(meter, wanted.end) > max_age_s:
            arguments = {"start": wanted.start, "end": wanted.end}
            await self.reader.read(meter, Request("load_profile", arguments), deadline_s)
            await self._recorded(meter)
            source = AnswerSource.METER
        registers = self._captured(meter, wanted.obis)
        series = await asyncio.gather(
            *(self._series(meter, register, wanted) for register in registers)
        )
        return LoadProfile(meter, self.clock.now(), source, list(series))

    def _captured(self, meter: MeterId, obis: Obis | None) -> list[Register]:
        columns, row = self.group.columns, self.group.row(meter)
        captured = [
            register
            for column, register in enumerate(columns.registers)
            if register.period_s and columns.captured_at_us[column, row] >= 0
        ]
        found = [register for register in captured if obis in (None, register.obis)]
        if not found:
            has = ", ".join(str(register.obis) for register in captured) or "nothing yet"
            raise UnknownRegisterError(
                f"The load profile of meter {meter} has no {obis or 'register'}; it has {has}.",
                meter=meter,
            )
        return found

    async def _series(
        self, meter: MeterId, register: Register, wanted: ProfileRange
    ) -> ProfileSeries:
        arguments = {
            "obis": str(register.obis),
            "period_s": register.period_s,
            "start": wanted.start,
            "end": wanted.end,
        }
        to = subject(self.group.settings.id, Kind.HISTORY, meter)
        try:
            answer = await ask(
                self.bus, to, Request("range", arguments), _ASK_WITHIN_S, _HistoryAnswer
            )
            columns = answer.columns
        except NotFoundError:
            columns = _Columns([], [], [])  # the recorder is about to store its first interval
        return ProfileSeries(
            obis=str(register.obis),
            unit=register.unit.symbol,
            period_s=register.period_s,
            captured_at=[from_us(each) for each in columns.captured_at_us],
            values=columns.value,
            quality=columns.quality,
        )

    def _age_s(self, meter: MeterId, end: datetime) -> float:
        """Return how far the twin's newest interval lies before `end`, or before now, in s."""
        columns, row = self.group.columns, self.group.row(meter)
        captured_us = [
            int(columns.captured_at_us[column, row])
            for column, register in enumerate(columns.registers)
            if register.period_s
        ]
        newest_us = max(captured_us, default=-1)
        if newest_us < 0:
            return float("inf")
        return (min(end, self.clock.now()) - from_us(newest_us)).total_seconds()

    async def _recorded(self, meter: MeterId) -> None:
        """Wait until the recorder has stored what the twin has applied."""
        wanted = self.group.ledger_line(self.group.row(meter)).received
        to = subject(self.group.settings.id, Kind.HISTORY)
        while True:
            lines = await ask(self.bus, to, Request("ledger"), _ASK_WITHIN_S, list[LedgerLine])
            if any(line.meter == meter and line.received >= wanted for line in lines):
                return
            await asyncio.sleep(_POLL_S)
