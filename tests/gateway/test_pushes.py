import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from metertwin.core.ids import GroupId
from metertwin.core.obis import Obis
from metertwin.core.reading import Quality
from metertwin.core.units import Unit
from metertwin.cosem.apdu.descriptors import CaptureObject
from metertwin.cosem.apdu.notification import DataNotification
from metertwin.cosem.classes.client import Client
from metertwin.cosem.classes.clock import Clock
from metertwin.cosem.classes.definition import Role
from metertwin.cosem.classes.model import ObjectModel
from metertwin.cosem.classes.registers import DataObject, Register
from metertwin.cosem.classes.setups import PushSetup, send_destination
from metertwin.cosem.data import octets, structure, uint32
from metertwin.cosem.datetime import ClockStatus, encode_datetime
from metertwin.cosem.server.device import LogicalDevice
from metertwin.cosem.server.endpoint import WrapperServer
from metertwin.cosem.wrapper import encode_wrapper
from metertwin.meters.entry import MeterEntry

Scene = Any  # of conftest, which cannot be imported

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 3, 28, 12, 7, tzinfo=UTC)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class OneMeter(asyncio.Protocol):
    """A connection of a meter that has one register and pushes it."""

    def __init__(self, device: LogicalDevice[None]) -> None:
        self._endpoint = WrapperServer({1: device})
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(self._endpoint.receive(data))


@pytest.fixture
async def pushing_entry(group: GroupId) -> AsyncIterator[MeterEntry]:
    """A served meter with serial number PUSH-1 whose pushes hold its serial, clock and energy."""
    serial, energy = Obis.parse("0-0:96.1.0"), Obis.parse("1-0:1.8.0")
    objects = [
        DataObject[None](serial, octets(b"PUSH-1")),
        Register[None](energy, uint32(1), unit=Unit.WATT_HOUR),
        Clock[None](octets(encode_datetime(NOON, BERLIN)), read_by=Role.READER),
        PushSetup[None](
            [
                CaptureObject(1, serial, 2),
                CaptureObject(8, Obis(0, 0, 1, 0, 0), 2),
                CaptureObject(3, energy, 2),
            ],
            send_destination(""),
        ),
    ]
    device = LogicalDevice(ObjectModel(objects, [Client(16, Role.MANAGER)]), None)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: OneMeter(device), "127.0.0.1", 0)
    yield MeterEntry("p1", group, "127.0.0.1", server.sockets[0].getsockname()[1])
    server.close()
    await server.wait_closed()


async def delivered(port: int, source_sap: int, apdu: bytes) -> None:
    """Deliver as a meter does, once the gateway listens."""
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
    writer.write(encode_wrapper(source_sap, 1, apdu))
    await writer.drain()
    writer.close()


async def test_a_push_is_a_numbered_batch_of_its_meter_alone(
    scene: Scene, free_port: int, pushing_entry: MeterEntry
) -> None:
    entry = pushing_entry
    # It has neither load profile nor event log; that is no failure.
    await scene.gateway((entry,), push_port=free_port)
    await scene.polled((entry,), 1)
    before = len(scene.published.of(entry.id))
    time = encode_datetime(NOON, BERLIN, ClockStatus.DOUBTFUL)
    body = structure(octets(b"PUSH-1"), octets(time), uint32(4242))
    await delivered(free_port, 999, DataNotification(1, b"", body).encode())
    await scene.until(lambda: len(scene.published.of(entry.id)) > before, "the push")
    reading = scene.published.of(entry.id)[-1]
    assert (reading.integer, reading.captured_at) == (4242, NOON)
    assert reading.quality == Quality.SUSPECT
    assert scene.published.batches[-1] == [entry.id]
    assert scene.published.ledger.missing().sum() == 0
    assert scene.published.events_named("meter_silent") == []
