"""A small meter on a real socket, with what can go wrong between it and its reader."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from metertwin.core.clock import to_us
from metertwin.core.obis import Obis
from metertwin.core.units import Unit
from metertwin.cosem.apdu.descriptors import AttributeDescriptor, CaptureObject
from metertwin.cosem.apdu.enumerations import Mechanism
from metertwin.cosem.classes.client import Client
from metertwin.cosem.classes.clock import Clock
from metertwin.cosem.classes.control import ControlState, DisconnectControl, Limiter
from metertwin.cosem.classes.definition import Role
from metertwin.cosem.classes.model import ObjectModel
from metertwin.cosem.classes.profile import ProfileGeneric, RowSelection
from metertwin.cosem.classes.registers import DataObject, Register
from metertwin.cosem.classes.rows import Column, date_times, encode_rows
from metertwin.cosem.classes.setups import PushSetup, send_destination
from metertwin.cosem.data import Data, Tag, octets, uint16, uint32, visible
from metertwin.cosem.datetime import decode_datetime, encode_datetime
from metertwin.cosem.errors import FrameError
from metertwin.cosem.security import KeyRing
from metertwin.cosem.server.device import Credentials, LogicalDevice
from metertwin.cosem.server.endpoint import HdlcServerEndpoint, WrapperServer
from metertwin.meters.entry import MeterEntry

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)
PERIOD_S = 900
KEYS = KeyRing(bytes(range(16)), bytes(range(0xD0, 0xE0)))
CLIENTS = (
    Client(16, Role.MANAGER),
    Client(2, Role.MANAGER, Mechanism.LLS),
    Client(1, Role.MANAGER, Mechanism.HLS_GMAC, is_ciphered=True),
)


@dataclass
class SmallMeter:
    """One meter's state; every read of a static attribute is counted."""

    serial: str = "1002003"
    import_wh: int = 1_234_567
    voltage_tenth_v: int = 2304
    limit_w: int = 17_250
    clock: datetime = NOON
    control: ControlState = ControlState.CONNECTED
    follows: bool = True
    reconnects_to: ControlState = ControlState.CONNECTED
    captured_at_s: list[int] = field(default_factory=list)
    captured_wh: list[int] = field(default_factory=list)
    status: list[int] = field(default_factory=list)
    logged: list[tuple[int, int]] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    static_reads_count: int = 0
    lowest_counter: Callable[[], int] = lambda: 0

    def capture(self, at: datetime, energy_wh: int, status: int = 0) -> None:
        self.captured_at_s.append(to_us(at) // 1_000_000)
        self.captured_wh.append(energy_wh)
        self.status.append(status)

    def switch(self, state: ControlState) -> None:
        self.written.append(state.name)
        if self.follows:
            self.control = state

    def set_limit(self, value: Data) -> None:
        self.written.append(f"limit {value.integer()}")
        self.limit_w = value.integer()

    def set_clock(self, value: Data) -> None:
        self.written.append("clock")
        self.clock = decode_datetime(value.octets(), BERLIN).moment

    def firmware(self) -> Data:
        self.static_reads_count += 1
        return octets(b"1.0")

    def profile(self, wanted: RowSelection) -> bytes:
        at_s = np.array(self.captured_at_s, np.int64)
        rows = wanted.rows(at_s)
        return encode_rows(
            [
                Column(Tag.OCTET_STRING, date_times(at_s[rows], -60)),
                Column(Tag.UINT8, np.array(self.status, np.uint8)[rows]),
                Column(Tag.UINT32, np.array(self.captured_wh, np.uint32)[rows]),
            ]
        )

    def log(self, wanted: RowSelection) -> bytes:
        at_s = np.array([at for at, _ in self.logged], np.int64)
        rows = wanted.rows(at_s)
        codes = np.array([code for _, code in self.logged], np.uint8)
        return encode_rows(
            [
                Column(Tag.OCTET_STRING, date_times(at_s[rows], -60)),
                Column(Tag.UINT8, codes[rows]),
            ]
        )


IMPORT = Obis.parse("1-0:1.8.0")
VOLTAGE = Obis.parse("1-0:32.7.0")
POWER = Obis.parse("1-0:1.7.0")
STATUS = Obis.parse("0-0:96.10.1")
CLOCK_COLUMN = CaptureObject(8, Obis(0, 0, 1, 0, 0), 2)


def objects() -> list[object]:
    return [
        DataObject(Obis.parse("0-0:96.1.0"), lambda m: octets(m.serial.encode())),
        DataObject(Obis.parse("0-0:42.0.0"), octets(b"MTW0000000000001")),
        DataObject(Obis.parse("1-0:0.2.0"), SmallMeter.firmware),
        DataObject(
            Obis.parse("0-0:43.1.0"),
            lambda m: uint32(m.lowest_counter()),
            read_by=Role.PUBLIC,
        ),
        DataObject(Obis.parse("0-0:96.13.0"), lambda _: visible("a message")),
        Register(IMPORT, lambda m: uint32(m.import_wh), scaler=0, unit=Unit.WATT_HOUR),
        Register(VOLTAGE, lambda m: uint16(m.voltage_tenth_v), scaler=-1, unit=Unit.VOLT),
        Register(POWER, lambda _: uint32(321), scaler=0, unit=Unit.WATT),
        Clock(
            lambda m: octets(encode_datetime(m.clock, BERLIN)),
            set_time=SmallMeter.set_clock,
            read_by=Role.READER,
        ),
        DisconnectControl(
            lambda m: m.control is ControlState.CONNECTED,
            lambda m: m.control,
            disconnect=lambda m: m.switch(ControlState.DISCONNECTED),
            reconnect=lambda m: m.switch(m.reconnects_to),
        ),
        Limiter(
            AttributeDescriptor(3, POWER, 2),
            lambda m: uint32(m.limit_w),
            lambda m: uint32(m.limit_w),
            uint32(0),
            writes={4: SmallMeter.set_limit},
        ),
        ProfileGeneric(
            Obis.parse("1-0:99.1.0"),
            [CLOCK_COLUMN, CaptureObject(1, STATUS, 2), CaptureObject(3, IMPORT, 2)],
            SmallMeter.profile,
            entries_in_use=lambda m: len(m.captured_at_s),
            profile_entries_count=1000,
            capture_period_s=PERIOD_S,
            zone=BERLIN,
        ),
        ProfileGeneric(
            Obis.parse("0-0:99.98.0"),
            [CLOCK_COLUMN, CaptureObject(1, Obis.parse("0-0:96.11.0"), 2)],
            SmallMeter.log,
            entries_in_use=lambda m: len(m.logged),
            profile_entries_count=100,
            capture_period_s=0,
            zone=BERLIN,
        ),
        PushSetup(
            [
                CaptureObject(1, Obis.parse("0-0:96.1.0"), 2),
                CLOCK_COLUMN,
                CaptureObject(3, IMPORT, 2),
                CaptureObject(3, VOLTAGE, 2),
            ],
            send_destination("127.0.0.1:4059"),
        ),
    ]


MODEL = ObjectModel[SmallMeter](objects(), CLIENTS)  # type: ignore[arg-type]  # written short above
PASSWORD = b"12345678"


class Wire(asyncio.Protocol):
    """A connection of the meter, with a switch for every way in which it can fail."""

    def __init__(self, bench: "Bench") -> None:
        self.bench = bench
        framing = WrapperServer if bench.framing == "wrapper" else HdlcServerEndpoint
        self.endpoint = framing({1: bench.device})
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.bench.connections_count += 1
        self.bench.wires.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.bench.wires.discard(self)

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        fault, self.bench.fault = self.bench.fault, ""
        self.bench.asked_count += 1
        if fault == "silent":
            self.bench.fault = "silent"
            return
        if fault == "reset":
            self.transport.abort()
            return
        if fault == "garbage":
            self.transport.write(b"\x00\x07garbage, not a frame")
            return
        try:
            answer = self.endpoint.receive(data)
        except FrameError:
            self.transport.abort()
            return
        if fault == "cut":  # half an answer, then the end
            self.transport.write(answer[: len(answer) // 2])
            self.transport.close()
            return
        if fault == "nonsense":  # a good frame around an APDU that answers nothing
            self.transport.write(answer[:7] + b"\x02" + b"\xc4\xff")
            return
        if answer:
            self.transport.write(answer)


@dataclass
class Bench:
    """The meter, its socket, and an entry that reaches it."""

    meter: SmallMeter
    device: LogicalDevice[SmallMeter]
    framing: str = "wrapper"
    fault: str = ""
    port: int = 0
    connections_count: int = 0
    asked_count: int = 0
    wires: set[Wire] = field(default_factory=set)

    def entry(self, **changes: object) -> MeterEntry:
        facts: dict[str, object] = {
            "id": "m1",
            "group": "g1",
            "host": "127.0.0.1",
            "port": self.port,
            "framing": self.framing,
            "zone": "Europe/Berlin",
        }
        return msgspec.convert({**facts, **changes}, MeterEntry)

    def ciphered_entry(self) -> MeterEntry:
        return self.entry(
            client_sap=1,
            security="high",
            encryption_key=KEYS.encryption_key.hex(),
            authentication_key=KEYS.authentication_key.hex(),
            system_title="4d54470000000001",
        )


StartBench = Callable[..., Awaitable[Bench]]


@pytest.fixture
async def start_bench() -> AsyncIterator[StartBench]:
    """Start a meter on a free port; ended with the test."""
    servers: list[asyncio.Server] = []
    benches: list[Bench] = []

    async def start(framing: str = "wrapper") -> Bench:
        meter = SmallMeter()
        device = LogicalDevice(
            MODEL, meter, credentials={2: Credentials(PASSWORD), 1: Credentials(keys=KEYS)}
        )
        meter.lowest_counter = lambda: device.gate(1).lowest_accepted
        bench = Bench(meter, device, framing)
        server = await asyncio.get_running_loop().create_server(lambda: Wire(bench), "127.0.0.1", 0)
        bench.port = server.sockets[0].getsockname()[1]
        servers.append(server)
        benches.append(bench)
        return bench

    yield start
    for server in servers:
        server.close()
    for bench in benches:
        for wire in list(bench.wires):
            if wire.transport is not None:
                wire.transport.abort()
    for server in servers:
        await server.wait_closed()


@pytest.fixture
async def bench(start_bench: StartBench) -> Bench:
    """A meter behind the TCP wrapper."""
    return await start_bench()
