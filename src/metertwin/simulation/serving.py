"""Serves a simulated street over TCP: one port, every meter a logical device of its own.

    simulation = await serve(SimulationConfig(meter_count=118), SystemClock())
    ...
    await simulation.close()

A meter that is silent or without power leaves requests unanswered, as a dark house does; the
connection stays. One loop does it all; under uvloop it answers about twice as many requests.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import cast

from metertwin.core.clock import Clock
from metertwin.cosem.errors import FrameError
from metertwin.simulation.answering import endpoint_of
from metertwin.simulation.config import Framing, SimulationConfig
from metertwin.simulation.credentials import MeterAddress
from metertwin.simulation.devices import MeterDevices
from metertwin.simulation.pushing import Pusher
from metertwin.simulation.world import World

_BACKLOG_COUNT = 4096
# Real time between two looks at the clock: often enough for a step a second, and at high speed
# several steps go into one batch.
_PUMP_S = 0.1


class Simulation:
    """A street that is being served.

    Attributes:
        world: The street; its truth is for evaluations.
        meters: Where each meter is, with its secrets.
    """

    def __init__(self, world: World, devices: MeterDevices, clock: Clock) -> None:
        self.world = world
        self.meters: list[MeterAddress] = []
        self._devices = devices
        self._clock = clock
        self._connections: set[MeterConnection] = set()
        self._server: asyncio.Server | None = None
        self._pump: asyncio.Task[None] | None = None
        push_to = world.config.push_to
        self._pusher = None if push_to is None else Pusher(devices.meters, world.config, push_to)

    @property
    def connection_count(self) -> int:
        """Clients connected now."""
        return len(self._connections)

    @property
    def lag_s(self) -> float:
        """How far the street is behind the clock, in simulated s."""
        return (self._clock.now() - self.world.now).total_seconds()

    async def start(self) -> None:
        """Listen, and let time run."""
        config = self.world.config
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: MeterConnection(self._devices, config.framing, self._connections),
            config.host,
            config.port,
            backlog=_BACKLOG_COUNT,
        )
        port = self._server.sockets[0].getsockname()[1]
        self.meters = self._devices.addresses(config.host, port)
        if self._pusher is not None:
            self._pusher.start(self.world.now_s)
        self._pump = asyncio.create_task(self._follow_clock())

    async def wait(self) -> None:
        """Wait until the simulation ends.

        Raises:
            PowerFlowError: A feeder has no solution; nothing moves any more.
        """
        if self._pump is not None:
            await asyncio.wait([self._pump])
            if not self._pump.cancelled():
                self._pump.result()

    async def close(self) -> None:
        """Stop listening, drop all connections and stop time."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait([self._pump])
        if self._pusher is not None:
            await self._pusher.close()
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.drop()
        if self._server is not None:
            await self._server.wait_closed()

    async def catch_up(self) -> float:
        """Bring the street to the last whole step of the clock; return that moment, s since 1970.

        Raises:
            PowerFlowError: A feeder has no solution.
        """
        world = self.world
        due_s = self._clock.now().timestamp() // world.step_s * world.step_s
        while world.now_s < due_s:
            # One batch at a time: between two of them, meters answer.
            world.advance(datetime.fromtimestamp(min(due_s, world.batch_end_s), UTC))
            await asyncio.sleep(0)
        return due_s

    async def _follow_clock(self) -> None:
        step_s = self.world.step_s
        while True:
            due_s = await self.catch_up()
            if self._pusher is not None:
                self._pusher.push_due(self.world.now_s)
            behind_s = self._clock.now().timestamp() - due_s
            left_s = (step_s - behind_s) / self._clock.speed_ratio
            await asyncio.sleep(min(max(left_s, _PUMP_S / 10), _PUMP_S))


async def serve(config: SimulationConfig, clock: Clock) -> Simulation:
    """Build a street, start its meters and return it.

    The street begins at the clock's time and follows it. `config.step_s` of None lets the step
    follow the clock's speed.

    Raises:
        SimulationConfigError: The configuration makes no sense.
        ProfileFileError: The profile file is wrong.
        ScenarioError: The scenario file is wrong.
        OSError: The port cannot be had.
    """
    world = World(config, config.begins_at or clock.now(), speed_ratio=clock.speed_ratio)
    world.live_past()
    simulation = Simulation(world, MeterDevices(world), clock)
    # The registers of a meter that nobody has stepped yet would show 0 V.
    world.advance(world.now + timedelta(seconds=1))
    await simulation.catch_up()
    world.current_time = clock.now
    await simulation.start()
    return simulation


class MeterConnection(asyncio.Protocol):
    """One client's connection."""

    __slots__ = ("_connections", "_endpoint", "_transport")

    def __init__(
        self, devices: MeterDevices, framing: Framing, connections: "set[MeterConnection]"
    ) -> None:
        self._endpoint = endpoint_of(devices, framing)
        self._connections = connections
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the way back."""
        # A cast, since uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Answer; a stream that is none ends the connection."""
        assert self._transport is not None
        try:
            answer = self._endpoint.receive(data)
        except FrameError:
            self._transport.close()
            return
        if answer:
            self._transport.write(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        del exc
        self._connections.discard(self)

    def drop(self) -> None:
        """Break the connection off."""
        if self._transport is not None:
            self._transport.abort()
