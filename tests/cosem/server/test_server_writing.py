"""A meter answers SET and ACTION, whole and in blocks."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metertwin.core.obis import Obis
from metertwin.cosem.apdu.blocks import DataBlock
from metertwin.cosem.apdu.decode import decode_apdu
from metertwin.cosem.apdu.descriptors import (
    AttributeDescriptor,
    MethodDescriptor,
    SelectedAttribute,
)
from metertwin.cosem.apdu.enumerations import (
    ActionResult,
    DataAccessResult,
)
from metertwin.cosem.apdu.set_request import SetRequestWithDatablock, SetRequestWithFirstDatablock
from metertwin.cosem.apdu.set_response import SetResponseDatablock, SetResponseLastDatablock
from metertwin.cosem.client import ClientAssociation
from metertwin.cosem.client_settings import ClientSettings
from metertwin.cosem.data import (
    Data,
    boolean,
    enum,
    int8,
    octets,
    structure,
    uint8,
    uint32,
)
from metertwin.cosem.errors import ServiceError
from metertwin.cosem.loopback import ask
from metertwin.cosem.server.association import ServerAssociation
from metertwin.cosem.server.device import LogicalDevice

Meter = LogicalDevice[SimpleNamespace]
Associate = Callable[..., tuple[ServerAssociation[SimpleNamespace], ClientAssociation]]
ENERGY = AttributeDescriptor(3, Obis.parse("1-0:1.8.0"), 2)
NOTE = AttributeDescriptor(1, Obis.parse("0-0:96.1.9"), 2)
BREAKER = Obis.parse("0-0:96.3.10")
IMAGE = Obis.parse("0-0:44.0.0")


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(note=st.binary(max_size=70_000 // 16))
def test_what_is_set_is_read_back(associate: Associate, note: bytes) -> None:
    server, client = associate(ClientSettings(max_pdu_octets=500))

    ask(server, client.set(NOTE, octets(note)))

    assert ask(server, client.get(NOTE)) == octets(note)


def test_a_set_longer_than_an_apdu_travels_in_blocks(meter: Meter, associate: Associate) -> None:
    server, client = associate()
    client.server_max_pdu_octets = 100  # as if the meter had said so
    note = bytes(range(256)) * 4

    ask(server, client.set(NOTE, octets(note)))
    assert meter.state.note == note
    results = ask(
        server,
        client.set_list(
            [SelectedAttribute(NOTE), SelectedAttribute(ENERGY)], [octets(note[::-1]), uint32(1)]
        ),
    )
    assert results == (DataAccessResult.SUCCESS, DataAccessResult.READ_WRITE_DENIED)
    assert meter.state.note == note[::-1]


def test_a_value_of_the_wrong_type_is_refused_by_the_objects_own_reason(
    associate: Associate,
) -> None:
    server, client = associate()

    with pytest.raises(ServiceError) as refused:
        ask(server, client.set(NOTE, uint8(1)))
    assert refused.value.result is DataAccessResult.TYPE_UNMATCHED


def test_the_breaker_opens_and_closes_by_method(associate: Associate) -> None:
    server, client = associate()
    output = AttributeDescriptor(70, BREAKER, 2)

    ask(server, client.action(MethodDescriptor(70, BREAKER, 1), int8(0)))
    assert ask(server, client.get(output)) == boolean(value=False)
    ask(server, client.action(MethodDescriptor(70, BREAKER, 2), int8(0)))
    assert ask(server, client.get(output)) == boolean(value=True)


def test_firmware_arrives_in_blocks_is_verified_and_activated(
    meter: Meter, associate: Associate
) -> None:
    server, client = associate()
    client.server_max_pdu_octets = 40  # so that the action itself needs blocks
    image = bytes(range(40))

    def invoke(method: int, parameter: Data) -> None:
        ask(server, client.action(MethodDescriptor(18, IMAGE, method), parameter))

    invoke(1, structure(octets(b"fw-2"), uint32(40)))
    for number in (2, 0):
        invoke(2, structure(uint32(number), octets(image[16 * number : 16 * number + 16])))
    assert ask(server, client.get(AttributeDescriptor(18, IMAGE, 3))).value == "101"
    assert ask(server, client.get(AttributeDescriptor(18, IMAGE, 4))) == uint32(1)
    with pytest.raises(ServiceError) as refused:
        invoke(3, int8(0))
    assert refused.value.result is ActionResult.OTHER_REASON

    invoke(1, structure(octets(b"fw-2"), uint32(40)))
    for number in range(3):
        invoke(2, structure(uint32(number), octets(image[16 * number : 16 * number + 16])))
    invoke(3, int8(0))
    invoke(4, int8(0))
    assert meter.state.image.image() == image
    assert ask(server, client.get(AttributeDescriptor(18, IMAGE, 6))) == enum(6)


def test_only_the_passive_calendar_is_written_until_it_is_activated(associate: Associate) -> None:
    server, client = associate()
    calendar = Obis.parse("0-0:13.0.0")

    ask(server, client.set(AttributeDescriptor(20, calendar, 6), octets(b"SUMMER")))
    with pytest.raises(ServiceError, match="READ_WRITE_DENIED"):
        ask(server, client.set(AttributeDescriptor(20, calendar, 2), octets(b"SUMMER")))
    assert ask(server, client.get(AttributeDescriptor(20, calendar, 2))) == octets(b"")
    ask(server, client.action(MethodDescriptor(20, calendar, 1), int8(0)))
    assert ask(server, client.get(AttributeDescriptor(20, calendar, 2))) == octets(b"SUMMER")


def test_a_register_that_overflows_its_type_is_a_hardware_fault(
    meter: Meter, associate: Associate
) -> None:
    meter.state.energy_wh = 2**32
    server, client = associate()

    with pytest.raises(ServiceError) as refused:
        ask(server, client.get(ENERGY))
    assert refused.value.result is DataAccessResult.HARDWARE_FAULT


def test_a_block_out_of_turn_ends_the_transfer_and_writes_nothing(
    meter: Meter, associate: Associate
) -> None:
    server, _ = associate()
    first = SetRequestWithFirstDatablock(0xC1, NOTE, DataBlock(False, 1, b"\x09\x04ab"))  # noqa: FBT003 - is_last
    third = SetRequestWithDatablock(0xC1, DataBlock(True, 3, b"cd"))  # noqa: FBT003 - is_last

    answers = [server.handle(request.encode()) for request in (first, third, third)]

    assert [decode_apdu(answer) for answer in answers if answer is not None] == [
        SetResponseDatablock(0xC1, 1),
        SetResponseLastDatablock(0xC1, DataAccessResult.DATA_BLOCK_NUMBER_INVALID, 3),
        SetResponseLastDatablock(0xC1, DataAccessResult.NO_LONG_SET_IN_PROGRESS, 3),
    ]
    assert meter.state.note == b""


def test_another_question_ends_a_transfer(meter: Meter, associate: Associate) -> None:
    server, client = associate()
    first = SetRequestWithFirstDatablock(0xC1, NOTE, DataBlock(False, 1, b"\x09\x04ab"))  # noqa: FBT003 - is_last
    last = SetRequestWithDatablock(0xC1, DataBlock(True, 2, b"cd"))  # noqa: FBT003 - is_last
    server.handle(first.encode())

    ask(server, client.get(NOTE))

    answer = server.handle(last.encode())
    assert answer is not None
    assert decode_apdu(answer) == SetResponseLastDatablock(
        0xC1, DataAccessResult.NO_LONG_SET_IN_PROGRESS, 2
    )
    assert meter.state.note == b""
