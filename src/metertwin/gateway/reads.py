"""Reading through: somebody cannot wait for the next poll.

A reading taken here is numbered and published like any other before it is answered, so twin host
and recorder know it too. Reads of one meter that are asked for at the same time become one.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from metertwin.apps.tariff.calendar_text import calendar_to_plain
from metertwin.bus.messages import Request
from metertwin.core.clock import Clock, from_us, to_us
from metertwin.core.errors import InvalidInputError, NotFoundError
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.obis import Obis, parse_cached
from metertwin.core.twin import ReportedValue
from metertwin.core.units import scaled
from metertwin.gateway.config import LOAD_PROFILE, PollSettings
from metertwin.gateway.flush import Flusher
from metertwin.gateway.meter import PolledMeter
from metertwin.gateway.metrics import GatewayMetrics
from metertwin.gateway.pending import Piece
from metertwin.gateway.poll import Poller

T = TypeVar("T")

_US_PER_S = 1_000_000


class UnknownMeterError(NotFoundError):
    """The gateway has no such meter."""

    code = "not_found.meter"


class ReadAnswer(msgspec.Struct, frozen=True):
    """What a read brought.

    Attributes:
        last_sequence: Number of the last reading it published of the meter.
        readings: The values, as a twin would show them; of a load profile none.
        count: Readings in all.
    """

    last_sequence: int
    readings: list[ReportedValue]
    count: int


class CalendarAnswer(msgspec.Struct, frozen=True):
    """The tariff calendar a meter follows.

    Attributes:
        name: As the meter calls it.
        calendar: Plain values, see `calendar_to_plain`; its periods are the meter's rates.
        activates_at: When the calendar that waits takes over; None: no time is set.
        read_at: When it was read, by our clock.
    """

    meter: MeterId
    name: str
    calendar: dict[str, Any]
    activates_at: datetime | None
    read_at: datetime


class HostAnswer(msgspec.Struct, frozen=True):
    """What a gateway says of itself.

    Attributes:
        silent_count: Meters called silent.
        pending_count: Readings not yet in the stream.
        metrics: Counters since its start; see `GatewayMetrics`.
    """

    host: str
    group: GroupId
    epoch: int
    meters_count: int
    silent_count: int
    pending_count: int
    stream_sequence: int
    metrics: dict[str, Any]


@dataclass(slots=True)
class ReadDesk:
    """Answers requests at mt.<group>.read.<meter>.

    Attributes:
        name: The process's name.
        epoch: Its claim.
    """

    name: str
    group: GroupId
    epoch: int
    meters: Mapping[MeterId, PolledMeter]
    settings: PollSettings
    clock: Clock
    poller: Poller
    flusher: Flusher
    metrics: GatewayMetrics
    _running: dict[tuple[str, str], asyncio.Task[Any]] = field(default_factory=dict)

    async def read_all(self, _request: Request, token: str, _deadline_s: float) -> ReadAnswer:
        """Read all polled registers of a meter."""
        meter = self._meter(token)

        async def read() -> ReadAnswer:
            piece, _ = await self.poller.read_moment(meter)
            return await self._answer(piece)

        return await self._together((token, ""), read)

    async def read_register(self, request: Request, token: str, _deadline_s: float) -> ReadAnswer:
        """Read one register of a meter, given as `obis`."""
        meter = self._meter(token)
        obis = parse_cached(str(request.arguments.get("obis", "")))

        async def read() -> ReadAnswer:
            return await self._answer(await self.poller.read_register(meter, obis))

        return await self._together((token, str(obis)), read)

    async def load_profile(self, request: Request, token: str, _deadline_s: float) -> ReadAnswer:
        """Read a load profile from `start` to `end`, both included, and publish its entries.

        Entries that were published before are published again under new numbers: whoever keeps
        them knows them by meter, register and time.
        """
        meter = self._meter(token)
        first_us = _moment_us(request, "start")
        last_us = _moment_us(request, "end")
        profile = parse_cached(str(request.arguments.get("profile", LOAD_PROFILE)))

        async def read() -> ReadAnswer:
            return await self._read_range(meter, profile, first_us, last_us)

        return await self._together((token, f"{profile} {first_us} {last_us}"), read)

    async def activity_calendar(
        self, _request: Request, token: str, _deadline_s: float
    ) -> CalendarAnswer:
        """Read the tariff calendar a meter follows, its special days included."""
        meter = self._meter(token)

        async def read() -> CalendarAnswer:
            async with meter.in_turn(self.metrics):
                shown = await meter.link.read_calendar()
            plain = calendar_to_plain(shown.calendar)
            return CalendarAnswer(
                meter.meter, shown.name, plain, shown.activates_at, self.clock.now()
            )

        return await self._together((token, "activity_calendar"), read)

    async def host(self, _request: Request, _token: str, _deadline_s: float) -> HostAnswer:
        """Say how the gateway is doing."""
        return HostAnswer(
            host=self.name,
            group=self.group,
            epoch=self.epoch,
            meters_count=len(self.meters),
            silent_count=sum(meter.progress.is_silent for meter in self.meters.values()),
            pending_count=len(self.flusher.pending),
            stream_sequence=self.flusher.progress.stream_sequence,
            metrics=msgspec.to_builtins(self.metrics),
        )

    async def _read_range(
        self, meter: PolledMeter, profile: Obis, first_us: int, last_us: int
    ) -> ReadAnswer:
        period_us = await self.poller.period_us(meter, profile)
        step_us = self.settings.profile_rows_count * period_us or last_us - first_us + 1
        last_number, count = meter.progress.number, 0
        for start_us in range(first_us, last_us + 1, step_us):
            end_us = min(start_us + step_us - 1, last_us)
            piece = await self.poller.read_range(meter, profile, start_us, end_us)
            last_number = await self.flusher.published(piece)
            count += len(piece)
        return ReadAnswer(last_number, [], count)

    async def _answer(self, piece: Piece) -> ReadAnswer:
        last_number = await self.flusher.published(piece)
        now_us = to_us(self.clock.now())
        return ReadAnswer(last_number, reported(piece, now_us), len(piece))

    async def _together(
        self, key: tuple[str, str], read: Callable[[], Coroutine[Any, Any, T]]
    ) -> T:
        """Join the read of the same thing that is under way, or begin one.

        A caller whose deadline passes leaves; the read goes on for the others.
        """
        task: asyncio.Task[T] | None = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(read())
            task.add_done_callback(lambda _: self._running.pop(key, None))
        return await asyncio.shield(task)

    def _meter(self, token: str) -> PolledMeter:
        meter = self.meters.get(MeterId(token))
        if meter is None:
            raise UnknownMeterError(
                f"Gateway {self.name} reads {len(self.meters)} meters of group {self.group}, and "
                f"none is called {token}.",
                meter=token,
                group=self.group,
            )
        return meter


def reported(piece: Piece, now_us: int) -> list[ReportedValue]:
    """Return a piece of one row as values with their age at `now_us`."""
    captured_at_us = int(piece.captured_at_us[0])
    return [
        ReportedValue(
            obis=str(register.obis),
            value=scaled(int(integer), register.scaler),
            unit=register.unit.symbol,
            integer=int(integer),
            scaler=register.scaler,
            period_s=register.period_s,
            captured_at=from_us(captured_at_us),
            received_at=from_us(piece.received_at_us),
            age_s=(now_us - captured_at_us) / _US_PER_S,
            quality=int(piece.quality[0]),
            origin=piece.origin.name.lower(),
        )
        for register, integer in zip(piece.registers, piece.integers, strict=True)
    ]


def _moment_us(request: Request, name: str) -> int:
    try:
        return to_us(msgspec.convert(request.arguments.get(name), datetime, strict=False))
    except (msgspec.ValidationError, InvalidInputError) as error:
        raise InvalidInputError(
            f"Request {request.name} needs {name} as a time with its zone: {error}.", argument=name
        ) from None
