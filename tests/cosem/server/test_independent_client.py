"""dlms-cosem 21.3.2, an independent client, reads the meter over TCP on this machine."""

import socketserver
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Protocol

import pytest
import serial  # type: ignore[import-untyped] # it ships no types
from dlms_cosem import cosem, dlms_data, enumerations, utils
from dlms_cosem.clients.dlms_client import DataResultError, DlmsClient
from dlms_cosem.clients.hdlc_transport import SerialHdlcTransport
from dlms_cosem.cosem.capture_object import CaptureObject
from dlms_cosem.cosem.selective_access import RangeDescriptor
from dlms_cosem.exceptions import DlmsClientException
from dlms_cosem.parsers import AssociationObjectListParser
from dlms_cosem.time import datetime_from_bytes

from metertwin.cosem.server.device import LogicalDevice
from metertwin.cosem.server.endpoint import HdlcServerEndpoint, WrapperServer

Meter = LogicalDevice[SimpleNamespace]
INTERFACE = enumerations.CosemInterface
MECHANISM = enumerations.AuthenticationMechanism
ENERGY = cosem.CosemAttribute(INTERFACE.REGISTER, cosem.Obis(1, 0, 1, 8, 0), 2)
PROFILE = cosem.CosemAttribute(INTERFACE.PROFILE_GENERIC, cosem.Obis(1, 0, 99, 1, 0), 2)
CLOCK = cosem.CosemAttribute(INTERFACE.CLOCK, cosem.Obis(0, 0, 1, 0, 0), 2)
KEYS = {"encryption_key": bytes(range(16)), "authentication_key": bytes(range(16, 32))}


class Endpoint(Protocol):
    def receive(self, octets: bytes) -> bytes: ...


class Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        endpoint: Endpoint = self.server.new_endpoint()  # type: ignore[attr-defined] # set below
        while octets := self.request.recv(65536):
            self.request.sendall(endpoint.receive(octets))


@pytest.fixture
def listen() -> Iterator[Callable[[Callable[[], Endpoint]], int]]:
    """Return a function that serves endpoints on a free port of this machine."""
    servers: list[tuple[socketserver.ThreadingTCPServer, threading.Thread]] = []

    def start(new_endpoint: Callable[[], Endpoint]) -> int:
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection)
        server.new_endpoint = new_endpoint  # type: ignore[attr-defined] # read by Connection
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
        return int(server.server_address[1])

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def over_tcp(
    meter: Meter, listen: Callable[[Callable[[], Endpoint]], int]
) -> Iterator[Callable[..., Any]]:
    """Return a function that connects and associates the independent client over the wrapper."""
    port = listen(lambda: WrapperServer({1: meter}))
    clients: list[Any] = []

    def connect(sap: int, **options: object) -> object:
        client = DlmsClient.with_tcp_transport("127.0.0.1", port, sap, 1, **options)
        client.connect()
        clients.append(client)
        client.associate()
        return client

    yield connect
    for client in clients:
        client.disconnect()


@pytest.fixture
def over_hdlc(
    meter: Meter, listen: Callable[[Callable[[], Endpoint]], int]
) -> Iterator[Callable[..., Any]]:
    """Return a function that connects and associates the independent client over HDLC."""
    port = listen(lambda: HdlcServerEndpoint({1: meter}, physical_address=17))
    lines: list[Any] = []

    def connect(sap: int, **options: object) -> object:
        line = serial.serial_for_url(f"socket://127.0.0.1:{port}", timeout=5)
        lines.append(line)
        transport = SerialHdlcTransport(
            client_logical_address=sap,
            server_logical_address=1,
            server_physical_address=17,
            serial_port="",
            serial=line,
        )
        client = DlmsClient(sap, 1, transport, **options)
        client.connect()
        client.associate()
        return client

    yield connect
    for line in lines:
        line.close()


@pytest.fixture(params=["over_tcp", "over_hdlc"])
def connect(request: pytest.FixtureRequest) -> Callable[..., Any]:
    chosen: Callable[..., Any] = request.getfixturevalue(request.param)
    return chosen


def read(client: Any, attribute: Any, selection: Any = None) -> Any:  # noqa: ANN401 - untyped library
    return utils.parse_as_dlms_data(client.get(attribute, selection))


def test_without_security(connect: Callable[..., Any]) -> None:
    client = connect(3)

    assert read(client, ENERGY) == 1_234_567
    assert client.release_association().reason is enumerations.ReleaseResponseReason.NORMAL


def test_with_a_password(connect: Callable[..., Any]) -> None:
    client = connect(2, authentication_method=MECHANISM.LLS, password=b"12345678")

    assert read(client, ENERGY) == 1_234_567


def test_with_high_level_authentication_and_ciphering(connect: Callable[..., Any]) -> None:
    client = connect(1, authentication_method=MECHANISM.HLS_GMAC, **KEYS)

    assert read(client, ENERGY) == 1_234_567
    assert len(read(client, PROFILE)) == 96
    assert client.release_association().reason is enumerations.ReleaseResponseReason.NORMAL


def test_a_wrong_password_is_refused(connect: Callable[..., Any]) -> None:
    with pytest.raises(DlmsClientException, match="AUTHENTICATION_FAIL"):
        connect(2, authentication_method=MECHANISM.LLS, password=b"87654321")


def test_a_load_profile_by_range(connect: Callable[..., Any], meter: Meter) -> None:
    client = connect(3)
    end = meter.state.now

    rows = read(
        client, PROFILE, RangeDescriptor(CaptureObject(CLOCK), end - timedelta(hours=1), end)
    )

    times = [datetime_from_bytes(bytes(row[0]))[0] for row in rows]
    assert times == [end - timedelta(minutes=15 * n) for n in (4, 3, 2, 1, 0)]
    assert [row[2] for row in rows] == [1_200_000 + 13 * n for n in (91, 92, 93, 94, 95)]


def test_a_load_profile_in_blocks(connect: Callable[..., Any]) -> None:
    client = connect(3, max_pdu_size=300)

    rows = read(client, PROFILE)

    assert [row[2] for row in rows] == [1_200_000 + 13 * n for n in range(96)]


def test_the_clock_is_the_time_it_says(connect: Callable[..., Any]) -> None:
    moment, status = datetime_from_bytes(bytes(read(connect(16), CLOCK)))

    assert moment == datetime(2026, 3, 29, tzinfo=UTC)
    assert status is None or not status.invalid


def test_the_object_list_is_understood(connect: Callable[..., Any]) -> None:
    listed = connect(3).get(
        cosem.CosemAttribute(INTERFACE.ASSOCIATION_LN, cosem.Obis(0, 0, 40, 0, 0), 2)
    )

    items = AssociationObjectListParser.parse_bytes(listed)

    assert (INTERFACE.REGISTER, ENERGY.instance) in [
        (item.interface, item.logical_name) for item in items
    ]
    assert len(items) == 10


def test_a_refusal_is_understood(connect: Callable[..., Any]) -> None:
    unknown = cosem.CosemAttribute(INTERFACE.REGISTER, cosem.Obis(1, 0, 9, 8, 0), 2)

    with pytest.raises(DataResultError, match="OBJECT_UNDEFINED"):
        connect(3).get(unknown)


def test_it_writes_and_opens_the_breaker(connect: Callable[..., Any], meter: Meter) -> None:
    client = connect(3)
    note = cosem.CosemAttribute(INTERFACE.DATA, cosem.Obis(0, 0, 96, 1, 9), 2)
    breaker = cosem.CosemMethod(INTERFACE.DISCONNECT_CONTROL, cosem.Obis(0, 0, 96, 3, 10), 1)

    # 120 octets: the client writes no longer lengths, and HDLC already needs two segments
    written = client.set(note, dlms_data.OctetStringData(b"0123456789" * 12).to_bytes())
    client.action(breaker, dlms_data.IntegerData(0).to_bytes())

    assert written.result is enumerations.DataAccessResult.SUCCESS
    assert meter.state.note == b"0123456789" * 12
    assert meter.state.is_connected is False
