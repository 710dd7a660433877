"""A simulated street, a wire that can fail, a gateway over the real bus, and what it published."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from metertwin.bus.connection import Bus
from metertwin.bus.credentials import Role
from metertwin.bus.messages import decode_event, decode_outcome
from metertwin.bus.subjects import COMMAND_STREAM, EVENT_STREAM, READING_STREAM, Kind, of_group
from metertwin.bus.tail import StreamTail
from metertwin.bus.wire import decode_readings
from metertwin.core.clock import Clock, ManualClock
from metertwin.core.command import CommandOutcome
from metertwin.core.event import Event
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.ledger import Ledger
from metertwin.core.reading import RegisterReading
from metertwin.gateway.config import GatewayConfig, PollSettings
from metertwin.gateway.run import run_gateway
from metertwin.meters.entry import MeterEntry
from metertwin.simulation.config import Security, SimulationConfig
from metertwin.simulation.serving import Simulation, serve

Connect = Callable[[Role], Awaitable[Bus]]

START = datetime(2026, 3, 28, 12, tzinfo=UTC)
_WAIT_S = 30.0
_ACTION_REQUEST = 0xC3


async def wait_until(holds: Callable[[], bool], what: str = "the condition") -> None:
    """Return when something holds; fail after half a minute."""
    try:
        async with asyncio.timeout(_WAIT_S):
            while not holds():  # noqa: ASYNC110 - many parts, in other tasks, make it hold
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"{what} did not come about within {_WAIT_S:g} s")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@dataclass
class Street:
    """A served street and entries for its meters in the test's own group."""

    simulation: Simulation
    entries: tuple[MeterEntry, ...]
    clock: Clock

    async def settle(self) -> None:
        """Return when the street has reached the clock."""
        await wait_until(lambda: self.simulation.lag_s < 1, "the street's catching up")


async def start_street(
    group: GroupId, meter_count: int, clock: Clock, security: Security
) -> Street:
    """Serve a street of few meters."""
    config = SimulationConfig(
        meter_count=meter_count,
        step_s=60,
        has_transformer_meters=False,
        security=security,
        is_secret_random=False,
    )
    simulation = await serve(config, clock)
    entries = tuple(
        msgspec.convert(
            {
                "id": address.meter,
                "group": group,
                "host": address.host,
                "port": address.port,
                "client_sap": address.client_sap,
                "server_sap": address.server_sap,
                "security": address.security.value,
                "password": address.password.hex(),
                "encryption_key": address.encryption_key.hex(),
                "authentication_key": address.authentication_key.hex(),
                "system_title": address.client_system_title.hex(),
                "zone": "Europe/Berlin",
                "origin": "simulated",
            },
            MeterEntry,
        )
        for address in simulation.meters
    )
    return Street(simulation, entries, clock)


class FaultyWire:
    """A relay in front of a meter: passes everything, nothing, late, or spoilt."""

    def __init__(self, entry: MeterEntry) -> None:
        self._entry = entry
        self.mode = "pass"
        self.delay_s = 0.0
        self.asked_count = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> MeterEntry:
        """Listen; return the entry that leads through the relay."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        return msgspec.structs.replace(self._entry, port=port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            there, back = await asyncio.open_connection(self._entry.host, self._entry.port)
            try:
                await self._relay(reader, writer, there, back)
            finally:
                back.close()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _relay(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> None:
        while question := await reader.read(65_536):
            self.asked_count += 1
            if self.mode == "silent":
                continue
            back.write(question)
            header = await there.readexactly(8)
            answer = header + await there.readexactly(int.from_bytes(header[6:8], "big"))
            await asyncio.sleep(self.delay_s)
            if self.mode == "lose_action" and question[8] == _ACTION_REQUEST:
                self.mode = "silent"  # the meter has acted and nobody hears of it
                continue
            if self.mode == "garbage":
                answer = b"\xff" * len(answer)
            writer.write(answer)


def quick_config(
    group: GroupId, entries: tuple[MeterEntry, ...], poll: dict[str, object]
) -> GatewayConfig:
    """Return a configuration that is quick about everything."""
    quick = {
        "period_s": 60.0,
        "first_profile_s": 3600.0,
        "answer_timeout_s": 0.5,
        "retry_first_s": 0.05,
        "retry_most_s": 0.2,
    }
    return GatewayConfig(
        name="gateway-1",
        group=group,
        meters=entries,
        poll=msgspec.convert({**quick, **poll}, PollSettings),
        flush_s=0.02,
        checkpoint_s=0.2,
    )


@dataclass
class Published:
    """What a group's streams hold, taken as a twin host takes it."""

    readings: list[RegisterReading] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    outcomes: list[CommandOutcome] = field(default_factory=list)
    batches: list[list[MeterId]] = field(default_factory=list)
    epoch: int = 0
    rows: dict[MeterId, int] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=lambda: Ledger.sized(2_000))

    def take(self, octets: bytes) -> None:
        batch = decode_readings(octets)
        if batch.epoch < self.epoch:
            return
        self.epoch = batch.epoch
        if not len(batch):
            return
        rows = np.array([self.rows.setdefault(m, len(self.rows)) for m in batch.meters])
        kept = self.ledger.admit(rows, batch.first_sequences, batch.counts.astype(np.int64))
        self.batches.append(list(batch.meters))
        for place, reading in enumerate(batch.readings()):
            if kept is None or kept[place]:
                self.readings.append(reading)

    def of(self, meter: MeterId | str) -> list[RegisterReading]:
        return [reading for reading in self.readings if reading.meter == meter]

    def intervals(self, meter: MeterId | str, code: str = "1-0:1.8.0*255") -> list[datetime]:
        """Ends of the load-profile intervals of one register, as they came."""
        return [
            reading.captured_at
            for reading in self.of(meter)
            if reading.register.period_s and str(reading.register.obis) == code
        ]

    def polls_count(self, meter: MeterId | str) -> int:
        moments = {
            reading.captured_at for reading in self.of(meter) if not reading.register.period_s
        }
        return len(moments)

    def events_named(self, name: str) -> list[Event]:
        return [event for event in self.events if event.name == name]


@pytest.fixture
async def published(connect_as: Connect, group: GroupId) -> AsyncIterator[Published]:
    """Follow what is published of the test's group."""
    bus = await connect_as(Role.RECORDER)
    seen = Published()

    async def follow(stream: str, kind: Kind, take: Callable[[bytes], object]) -> None:
        tail = StreamTail(bus, stream, 0, [of_group(group, kind)])
        try:
            while True:
                for message in await tail.fetch(1_000, 5.0):
                    take(message.data)
        finally:
            await tail.close()

    tasks = [
        asyncio.create_task(follow(READING_STREAM, Kind.READING, seen.take)),
        asyncio.create_task(
            follow(
                EVENT_STREAM, Kind.EVENT, lambda octets: seen.events.append(decode_event(octets))
            )
        ),
        asyncio.create_task(
            follow(
                COMMAND_STREAM,
                Kind.OUTCOME,
                lambda octets: seen.outcomes.append(decode_outcome(octets)),
            )
        ),
    ]
    yield seen
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class Scene:
    """Streets, relays and gateways of one test, all ended with it."""

    group: GroupId
    clock: ManualClock
    published: Published
    connect_as: Connect
    ending: contextlib.AsyncExitStack

    async def street(
        self, meter_count: int, security: Security = Security.NONE, clock: Clock | None = None
    ) -> Street:
        street = await start_street(self.group, meter_count, clock or self.clock, security)
        self.ending.push_async_callback(street.simulation.close)
        return street

    async def wire(self, entry: MeterEntry, mode: str = "pass") -> tuple[FaultyWire, MeterEntry]:
        """Put a relay in front of a meter; return it and the entry that leads through it."""
        relay = FaultyWire(entry)
        relay.mode = mode
        self.ending.push_async_callback(relay.stop)
        return relay, await relay.start()

    def config(
        self,
        entries: tuple[MeterEntry, ...],
        poll: dict[str, object] | None = None,
        **changes: object,
    ) -> GatewayConfig:
        return msgspec.structs.replace(quick_config(self.group, entries, poll or {}), **changes)

    async def gateway(
        self,
        entries: tuple[MeterEntry, ...],
        poll: dict[str, object] | None = None,
        **changes: object,
    ) -> list[asyncio.Task[None]]:
        """Run a gateway beside the test; return its task, in a list so that it is not awaited."""
        bus = await self.connect_as(Role.GATEWAY)
        config = self.config(entries, poll, **changes)
        task = asyncio.create_task(run_gateway(config, bus, self.clock))
        self.ending.push_async_callback(_end, task)
        return [task]

    async def quarter(self, street: Street) -> None:
        """Let a quarter of an hour pass, and the meters be polled once it has."""
        now = self.clock.now()
        into_quarter_s = (now.minute % 15) * 60 + now.second
        self.clock.advance(900 - into_quarter_s)
        await street.settle()
        self.clock.advance(60)
        await street.settle()

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        await wait_until(holds, what)

    async def polled(self, entries: tuple[MeterEntry, ...], times_count: int) -> None:
        """Return when each of some meters was polled so many times."""
        await wait_until(
            lambda: all(self.published.polls_count(e.id) >= times_count for e in entries),
            f"{times_count} polls of each of {len(entries)} meters",
        )


async def _end(gateway: asyncio.Task[None]) -> None:
    if not gateway.done():  # else the test has seen how it ended
        gateway.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await gateway


@pytest.fixture
async def scene(
    group: GroupId, clock: ManualClock, published: Published, connect_as: Connect
) -> AsyncIterator[Scene]:
    async with contextlib.AsyncExitStack() as ending:
        yield Scene(group, clock, published, connect_as, ending)
