"""Meters over real loopback TCP, read by this project's client and by an independent one."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dlms_cosem import cosem, enumerations
from dlms_cosem.clients.dlms_client import DlmsClient

from metertwin.core.clock import ManualClock
from metertwin.core.ids import MeterId
from metertwin.core.obis import Obis
from metertwin.cosem.apdu.descriptors import AttributeDescriptor
from metertwin.cosem.client import ClientAssociation
from metertwin.cosem.client_settings import ClientSettings
from metertwin.cosem.hdlc.address import HdlcAddress
from metertwin.cosem.hdlc.client import ClientState, HdlcClient
from metertwin.cosem.wrapper import WrapperDecoder, encode_wrapper
from metertwin.simulation.answering import AnsweringHdlc
from metertwin.simulation.config import Framing, Security, SimulationConfig
from metertwin.simulation.credentials import MeterAddress, SecretSource
from metertwin.simulation.errors import SimulationConfigError
from metertwin.simulation.serving import Simulation, serve

SMALL = SimulationConfig(
    meter_count=4, group_size=4, security=Security.NONE, is_secret_random=False, step_s=60
)


@asynccontextmanager
async def served(config: SimulationConfig, clock: ManualClock) -> AsyncIterator[Simulation]:
    simulation = await serve(config, clock)
    try:
        yield simulation
    finally:
        await simulation.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the product has no event for it
            await asyncio.sleep(0.005)


class WrapperClient:
    """A client over asyncio streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer

    async def ask(self, meter: MeterAddress, apdu: bytes) -> bytes:
        self.writer.write(encode_wrapper(meter.client_sap, meter.server_sap, apdu))
        decoder = WrapperDecoder()
        while not (frames := decoder.feed(await self._reader.read(4096))):
            assert not self._reader.at_eof()
        return frames[0].apdu


async def energy_wh(meter: MeterAddress, asks_count: int = 1) -> int:
    client = WrapperClient(*await asyncio.open_connection(meter.host, meter.port))
    association = ClientAssociation(ClientSettings())
    exchange = association.associate()
    exchange.feed(await client.ask(meter, exchange.request))
    result = 0
    for _ in range(asks_count):
        get = association.get(AttributeDescriptor(3, Obis.parse("1-0:1.8.0"), 2))
        get.feed(await client.ask(meter, get.request))
        result = get.result.integer()
    client.writer.close()
    await client.writer.wait_closed()
    return result


async def test_every_meter_answers_on_one_port_as_time_runs(clock: ManualClock) -> None:
    async with served(SMALL, clock) as simulation:
        assert [str(meter.meter) for meter in simulation.meters] == [
            "m000001",
            "m000002",
            "m000003",
            "m000004",
            "t000001",
        ]
        assert {meter.group for meter in simulation.meters} == {"feeder-1"}
        clock.advance(3600)
        await until(lambda: simulation.world.now >= clock.now())
        read = await asyncio.gather(*(energy_wh(meter, 3) for meter in simulation.meters))
        counted = simulation.world.columns.energy_uwh[0] // 1_000_000
        assert read == counted.tolist()
        assert max(read) > 0
        await until(lambda: simulation.connection_count == 0)


async def test_a_silent_meter_leaves_its_client_waiting(clock: ManualClock, tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text("events: [{kind: silent, meters: [m000002], start: 60, end: 120}]")
    async with served(replace(SMALL, scenario_file=path), clock) as simulation:
        meter = simulation.meters[1]
        client = WrapperClient(*await asyncio.open_connection(meter.host, meter.port))
        association = ClientAssociation(ClientSettings())
        exchange = association.associate()
        exchange.feed(await client.ask(meter, exchange.request))
        clock.advance(90)
        await until(lambda: not simulation._devices.is_answering(meter.server_sap))
        get = association.get(AttributeDescriptor(3, Obis.parse("1-0:1.8.0"), 2))
        client.writer.write(encode_wrapper(16, meter.server_sap, get.request))
        # The neighbour's answer comes behind on the same connection: the silent one dropped it.
        other = simulation.meters[0]
        question = ClientAssociation(ClientSettings()).associate().request
        client.writer.write(encode_wrapper(16, other.server_sap, question))
        decoder = WrapperDecoder()
        frames = decoder.feed(await client._reader.read(4096))
        assert [frame.source for frame in frames] == [other.server_sap]
        clock.advance(90)
        await until(lambda: simulation._devices.is_answering(meter.server_sap))
        get.feed(await client.ask(meter, get.request))
        assert get.result.integer() >= 0
        client.writer.close()
        await client.writer.wait_closed()


async def test_a_stream_that_is_no_wrapper_is_closed(clock: ManualClock) -> None:
    async with served(SMALL, clock) as simulation:
        meter = simulation.meters[0]
        reader, writer = await asyncio.open_connection(meter.host, meter.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_closing_drops_the_connections(clock: ManualClock) -> None:
    async with served(SMALL, clock) as simulation:
        meter = simulation.meters[0]
        reader, writer = await asyncio.open_connection(meter.host, meter.port)
        await until(lambda: simulation.connection_count == 1)
    assert await reader.read() == b""
    writer.close()


def independent_client(meter: MeterAddress) -> Any:  # noqa: ANN401 - it ships no types
    """Return dlms-cosem's client with this meter's secrets."""
    mechanisms = enumerations.AuthenticationMechanism
    options: dict[str, object] = {
        "authentication_method": mechanisms.LLS,
        "password": meter.password,
    }
    if meter.security is Security.HIGH:
        options = {
            "authentication_method": mechanisms.HLS_GMAC,
            "encryption_key": meter.encryption_key,
            "authentication_key": meter.authentication_key,
            "client_system_title": meter.client_system_title,
            "client_initial_invocation_counter": 1,
        }
    return DlmsClient.with_tcp_transport(
        meter.host, meter.port, meter.client_sap, meter.server_sap, **options
    )


def read_independently(meter: MeterAddress) -> tuple[bytes, bytes]:
    """Return the encoded energy register and the first octets of the load profile."""
    client = independent_client(meter)
    client.connect()
    try:
        client.associate()
        register = cosem.CosemAttribute(
            enumerations.CosemInterface.REGISTER, cosem.Obis(1, 0, 1, 8, 0), 2
        )
        profile = cosem.CosemAttribute(
            enumerations.CosemInterface.PROFILE_GENERIC, cosem.Obis(1, 0, 99, 1, 0), 2
        )
        return bytes(client.get(register)), bytes(client.get(profile))
    finally:
        client.disconnect()


@pytest.mark.parametrize("security", [Security.LOW, Security.HIGH])
async def test_an_independent_client_reads_a_meter(clock: ManualClock, security: Security) -> None:
    async with served(replace(SMALL, security=security), clock) as simulation:
        clock.advance(86_400)
        await until(lambda: simulation.world.now >= clock.now())
        meter = simulation.meters[4]
        register, profile = await asyncio.to_thread(read_independently, meter)
        counted_wh = int(simulation.world.columns.energy_uwh[0, 4]) // 1_000_000
        assert register == b"\x06" + counted_wh.to_bytes(4, "big")
        assert profile[:2] == bytes((1, 96))


async def connected_over_hdlc(
    meter: MeterAddress, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> HdlcClient:
    client = HdlcClient(meter.client_sap, HdlcAddress.server(meter.server_sap))
    writer.write(client.connect())
    while client.state is not ClientState.CONNECTED:
        client.receive(await reader.read(4096))
    return client


async def test_hdlc_meters_answer_and_silent_ones_do_not(
    clock: ManualClock, tmp_path: Path
) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text("events: [{kind: silent, meters: [m000001], start: 0}]")
    config = replace(SMALL, framing=Framing.HDLC, scenario_file=path)
    async with served(config, clock) as simulation:
        silent, meter = simulation.meters[:2]
        reader, writer = await asyncio.open_connection(meter.host, meter.port)
        writer.write(HdlcClient(16, HdlcAddress.server(silent.server_sap)).connect())
        # Were the silent one to answer, its frame would come first and name another sender.
        client = await connected_over_hdlc(meter, reader, writer)
        association = ClientAssociation(ClientSettings())
        exchange = association.associate()
        writer.write(client.send(exchange.request))
        apdus: list[bytes] = []
        while not apdus:
            apdus += client.receive(await reader.read(4096)).apdus
        assert exchange.feed(apdus[0]) is None
        assert association.is_open
        endpoint = next(iter(simulation._connections))._endpoint
        assert isinstance(endpoint, AnsweringHdlc)
        assert len(endpoint._connections) == 1
        writer.close()
        await writer.wait_closed()


def test_secrets_follow_from_the_seed_only_when_asked() -> None:
    first, second = MeterId("m000001"), MeterId("m000002")
    fixed = SecretSource(1, is_random=False)
    assert fixed.password(first) == SecretSource(1, is_random=False).password(first)
    assert fixed.keys(first) != fixed.keys(second)
    assert fixed.password(first) != SecretSource(1, is_random=True).password(first)


async def test_an_address_hides_its_secrets(clock: ManualClock) -> None:
    async with served(replace(SMALL, security=Security.HIGH), clock) as simulation:
        meter = simulation.meters[0]
        assert len(meter.encryption_key) == 16
        assert meter.encryption_key.hex() not in repr(meter)
        assert repr(meter.encryption_key) not in repr(meter)
        assert "key" not in repr(meter)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"meter_count": 0}, "0 meters cannot be served; one process serves 1 to 60000"),
        ({"group_size": 119}, "119 meters does not fit a feeder of 118 connection points"),
        ({"profile_days": 0}, "0 days is none"),
        ({"step_s": 7}, "7 s does not divide"),
        ({"meter_count": 16_300, "framing": Framing.HDLC}, "hdlc has 16127"),
    ],
)
async def test_a_senseless_configuration_is_refused(
    clock: ManualClock, change: dict[str, int], problem: str
) -> None:
    with pytest.raises(SimulationConfigError, match=problem):
        await serve(replace(SMALL, **change), clock)  # type: ignore[arg-type] # a test's keywords


async def test_a_taken_port_is_an_os_error(clock: ManualClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = replace(SMALL, port=taken.getsockname()[1])
        with pytest.raises(OSError, match="address already in use"):
            await serve(config, clock)


async def test_registers_are_not_zero_volts_at_the_first_question(clock: ManualClock) -> None:
    async with served(SMALL, clock) as simulation:
        assert np.median(simulation.world.columns.voltages_v[:, 0]) > 200
        assert simulation.world.now - clock.now() == timedelta(seconds=1)
