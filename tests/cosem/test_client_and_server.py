"""The client against this package's own server, octets for octets, without a socket."""

from collections.abc import Callable
from typing import TypeVar

import pytest

from metertwin.core.obis import Obis
from metertwin.core.units import Unit
from metertwin.cosem.apdu.descriptors import (
    AttributeDescriptor,
    ByEntry,
    MethodDescriptor,
    SelectedAttribute,
)
from metertwin.cosem.apdu.enumerations import DataAccessResult, Mechanism
from metertwin.cosem.channel import Channel, Wrapping
from metertwin.cosem.classes.client import Client
from metertwin.cosem.classes.definition import Role
from metertwin.cosem.classes.model import ObjectModel
from metertwin.cosem.classes.registers import DataObject, Register
from metertwin.cosem.client import ClientAssociation
from metertwin.cosem.client_settings import ClientSettings
from metertwin.cosem.data import Data, octets, structure, uint32
from metertwin.cosem.errors import AssociationError, SecurityError, ServiceError
from metertwin.cosem.exchange import Exchange
from metertwin.cosem.profile import ScalerUnit
from metertwin.cosem.security import KeyRing, SecuritySuite
from metertwin.cosem.server.association import ServerAssociation
from metertwin.cosem.server.device import Credentials, LogicalDevice

T = TypeVar("T")

CLIENT_TITLE, METER_TITLE = b"HES\x00\x00\x00\x00\x01", b"MTW\x00\x00\x00\x00\x09"
ENERGY = AttributeDescriptor(3, Obis(1, 0, 1, 8, 0), 2)
ENERGY_UNIT = AttributeDescriptor(3, Obis(1, 0, 1, 8, 0), 3)
NOTE = AttributeDescriptor(1, Obis(0, 0, 96, 1, 0), 2)
PLAIN, LOW, SEALED = 16, 2, 1


class Meter:
    """One value that can be written."""

    def __init__(self) -> None:
        self.note: Data = octets(b"")

    def write(self, value: Data) -> None:
        self.note = value

    def reset(self, parameter: Data) -> Data | None:
        self.note = octets(b"reset")
        return parameter


def _device(keys: KeyRing) -> LogicalDevice[Meter]:
    objects = [
        Register[Meter](
            ENERGY.obis, lambda _: uint32(5009), scaler=1, unit=Unit.WATT_HOUR, reset=Meter.reset
        ),
        DataObject[Meter](NOTE.obis, lambda meter: meter.note, write=Meter.write),
    ]
    clients = [
        Client(PLAIN, Role.MANAGER),
        Client(LOW, Role.READER, Mechanism.LLS),
        Client(SEALED, Role.MANAGER, Mechanism.HLS_GMAC, is_ciphered=True),
    ]
    return LogicalDevice(
        ObjectModel(objects, clients),
        Meter(),
        system_title=METER_TITLE,
        credentials={LOW: Credentials(b"12345678"), SEALED: Credentials(b"", keys)},
    )


def drive(exchange: Exchange[T], server: ServerAssociation[Meter]) -> T:
    """Carry octets to and fro until the result is there."""
    request: bytes | None = exchange.request
    while request is not None:
        answer = server.handle(request)
        assert answer is not None
        request = exchange.feed(answer)
    return exchange.result


def _plain(keys: KeyRing) -> tuple[ClientAssociation, int]:
    del keys
    return ClientAssociation(ClientSettings()), PLAIN


def _plain_small(keys: KeyRing) -> tuple[ClientAssociation, int]:
    del keys
    return ClientAssociation(ClientSettings(max_pdu_octets=64)), PLAIN


def _sealed(keys: KeyRing) -> tuple[ClientAssociation, int]:
    settings = ClientSettings(Mechanism.HLS_GMAC, is_ciphered=True, max_pdu_octets=128)
    return ClientAssociation(settings, Channel(keys, CLIENT_TITLE, next_counter=7)), SEALED


def _sealed_general(keys: KeyRing) -> tuple[ClientAssociation, int]:
    settings = ClientSettings(Mechanism.HLS_GMAC, is_ciphered=True)
    channel = Channel(keys, CLIENT_TITLE, next_counter=7, wrapping=Wrapping.GENERAL)
    return ClientAssociation(settings, channel), SEALED


@pytest.mark.parametrize("make", [_plain, _plain_small, _sealed, _sealed_general])
@pytest.mark.parametrize("suite", [SecuritySuite.AES_128, SecuritySuite.AES_256_ECDSA_P384])
def test_a_day_of_services(
    make: Callable[[KeyRing], tuple[ClientAssociation, int]], suite: SecuritySuite
) -> None:
    keys = KeyRing(b"e" * suite.key_octets, b"a" * suite.key_octets, suite)
    client, sap = make(keys)
    device = _device(keys)
    server = ServerAssociation(device, sap)
    drive(client.associate(), server)

    value = drive(client.get(ENERGY), server)
    scaler_unit = ScalerUnit.from_data(drive(client.get(ENERGY_UNIT), server))
    assert scaler_unit.decimal(value) == 50090

    # Longer than any of the PDU sizes, so it travels in blocks there and back.
    long_value = structure(uint32(1), octets(bytes(range(256)) * 300))
    assert drive(client.set(NOTE, long_value), server) is None
    assert device.state.note == long_value
    assert drive(client.get(NOTE), server) == long_value

    listed = [SelectedAttribute(ENERGY), SelectedAttribute(NOTE._replace(attribute=9))]
    results = drive(client.get_list(listed), server)
    assert results[0] == uint32(5009)
    assert isinstance(results[1], DataAccessResult)
    both = [SelectedAttribute(NOTE), SelectedAttribute(ENERGY)]
    written = drive(client.set_list(both, [octets(bytes(70_000)), uint32(1)]), server)
    assert written == (DataAccessResult.SUCCESS, DataAccessResult.READ_WRITE_DENIED)
    assert device.state.note == octets(bytes(70_000))

    reset = MethodDescriptor(3, ENERGY.obis, 1)
    assert drive(client.action(reset, long_value), server) == long_value
    assert device.state.note == octets(b"reset")

    with pytest.raises(ServiceError):
        drive(client.get(ENERGY, ByEntry()), server)
    with pytest.raises(ServiceError):
        drive(client.set(ENERGY, uint32(1)), server)
    assert drive(client.release(), server) is None
    drive(client.associate(), server)
    assert drive(client.get(ENERGY), server) == uint32(5009)


def test_a_wrong_password_and_a_wrong_key_are_refused(green_book_keys: KeyRing) -> None:
    device = _device(green_book_keys)
    low = ClientAssociation(ClientSettings(Mechanism.LLS, password=b"guess"))
    with pytest.raises(AssociationError, match="AUTHENTICATION_FAILURE"):
        drive(low.associate(), ServerAssociation(device, LOW))
    right = ClientAssociation(ClientSettings(Mechanism.LLS, password=b"12345678"))
    drive(right.associate(), ServerAssociation(device, LOW))
    stranger, sap = _sealed(KeyRing(b"x" * 16, b"y" * 16))
    with pytest.raises((AssociationError, SecurityError)):
        drive(stranger.associate(), ServerAssociation(device, sap))
    assert not stranger.is_open


def test_a_dedicated_key_carries_the_services(green_book_keys: KeyRing) -> None:
    settings = ClientSettings(Mechanism.HLS_GMAC, is_ciphered=True, dedicated_key=b"d" * 16)
    channel = Channel(green_book_keys, CLIENT_TITLE, next_counter=1)
    client = ClientAssociation(settings, channel)
    server = ServerAssociation(_device(green_book_keys), SEALED)
    drive(client.associate(), server)
    exchange = client.get(ENERGY)
    assert exchange.request[:1] == b"\xd0"
    assert drive(exchange, server) == uint32(5009)
