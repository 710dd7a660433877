"""A meter answers GET: values, refusals, profiles, lists, blocks."""

from collections.abc import Callable
from datetime import timedelta, timezone
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metertwin.core.obis import Obis
from metertwin.cosem.apdu.decode import decode_apdu
from metertwin.cosem.apdu.descriptors import (
    AttributeDescriptor,
    ByEntry,
    ByRange,
    CaptureObject,
    SelectedAttribute,
)
from metertwin.cosem.apdu.enumerations import (
    DataAccessResult,
)
from metertwin.cosem.apdu.get_request import GetRequestNext, GetRequestNormal
from metertwin.cosem.apdu.get_response import GetResponseWithDatablock
from metertwin.cosem.classes.profile import CLOCK_COLUMN
from metertwin.cosem.client import ClientAssociation
from metertwin.cosem.client_settings import ClientSettings
from metertwin.cosem.data import (
    Data,
    Tag,
    array,
    enum,
    int8,
    octets,
    structure,
    uint16,
    uint32,
)
from metertwin.cosem.datetime import encode_datetime
from metertwin.cosem.errors import ServiceError
from metertwin.cosem.loopback import ask
from metertwin.cosem.server.association import ServerAssociation
from metertwin.cosem.server.device import LogicalDevice

Meter = LogicalDevice[SimpleNamespace]
Associate = Callable[..., tuple[ServerAssociation[SimpleNamespace], ClientAssociation]]
ZONE = timezone(timedelta(hours=1))  # the meter's, as in conftest
ENERGY = AttributeDescriptor(3, Obis.parse("1-0:1.8.0"), 2)
NOTE = AttributeDescriptor(1, Obis.parse("0-0:96.1.9"), 2)
PROFILE = AttributeDescriptor(7, Obis.parse("1-0:99.1.0"), 2)
BREAKER = Obis.parse("0-0:96.3.10")
WORKSHOP_SAP, PUBLIC_SAP = 3, 16  # as in conftest


def test_a_register_answers_with_the_octets_of_the_standard(associate: Associate) -> None:
    server, _ = associate()

    # get-request-normal, invoke C1, class 3, 1-0:1.8.0*255, attribute 2, no selection
    answer = server.handle(bytes.fromhex("c001c100030100010800ff0200"))

    # get-response-normal, invoke C1, data, double-long-unsigned 1,234,567 = 0x0012d687
    assert answer == bytes.fromhex("c401c100060012d687")


def test_every_meter_of_a_model_answers_from_its_own_state(
    meter: Meter, associate: Associate
) -> None:
    other = LogicalDevice(meter.model, SimpleNamespace(**vars(meter.state)))
    other.state.energy_wh = 42
    associations = [associate(), associate(meter=other)]

    read = [ask(server, client.get(ENERGY)) for server, client in associations]

    assert read == [uint32(1_234_567), uint32(42)]


def test_scaler_and_unit_are_read_beside_the_value(associate: Associate) -> None:
    server, client = associate()
    volts = Obis.parse("1-0:32.7.0")

    assert ask(server, client.get(AttributeDescriptor(3, volts, 2))) == uint16(2304)
    scaler_unit = ask(server, client.get(AttributeDescriptor(3, volts, 3)))
    assert scaler_unit == structure(int8(-1), enum(35))


@pytest.mark.parametrize(
    ("descriptor", "result"),
    [
        (AttributeDescriptor(3, Obis.parse("1-0:9.8.0"), 2), DataAccessResult.OBJECT_UNDEFINED),
        (ENERGY._replace(class_id=4), DataAccessResult.OBJECT_CLASS_INCONSISTENT),
        (ENERGY._replace(attribute=9), DataAccessResult.READ_WRITE_DENIED),
        (AttributeDescriptor(15, Obis(0, 0, 40, 0, 0), 7), DataAccessResult.READ_WRITE_DENIED),
    ],
)
def test_what_cannot_be_read_is_refused_by_reason(
    associate: Associate, descriptor: AttributeDescriptor, result: DataAccessResult
) -> None:
    server, client = associate()

    with pytest.raises(ServiceError) as refused:
        ask(server, client.get(descriptor))
    assert refused.value.result is result


def test_the_public_client_reads_name_and_clock_and_nothing_else(associate: Associate) -> None:
    server, client = associate(sap=PUBLIC_SAP)

    name = ask(server, client.get(AttributeDescriptor(1, Obis.parse("0-0:42.0.0"), 2)))
    assert name == octets(b"MTW0000000001")
    clock = ask(server, client.get(AttributeDescriptor(8, Obis(0, 0, 1, 0, 0), 2)))
    # 2026-03-29 01:00 is a Sunday; an hour before UTC, so deviation -60 = FFC4
    assert clock == octets(bytes.fromhex("07ea031d0701000000ffc400"))
    with pytest.raises(ServiceError, match="READ_WRITE_DENIED"):
        ask(server, client.get(ENERGY))
    listed = ask(server, client.get(AttributeDescriptor(15, Obis(0, 0, 40, 0, 0), 2)))
    assert [item.elements()[0].value for item in listed.elements()] == [15, 1, 8]


def test_the_object_list_says_what_may_be_done(associate: Associate) -> None:
    server, client = associate()
    listed = ask(server, client.get(AttributeDescriptor(15, Obis(0, 0, 40, 0, 0), 2)))
    rights = {
        (item.elements()[0].value, item.elements()[2].value): item.elements()[3].elements()
        for item in listed.elements()
    }

    attributes, methods = rights[70, BREAKER.to_bytes()]
    assert attributes == array(
        *[structure(int8(n), enum(1), Data(Tag.NULL, None)) for n in (1, 2, 3, 4)]
    )
    assert methods == array(structure(int8(1), enum(1)), structure(int8(2), enum(1)))
    note, _ = rights[1, NOTE.obis.to_bytes()]
    assert note.elements()[1] == structure(int8(2), enum(3), Data(Tag.NULL, None))
    profile, _ = rights[7, PROFILE.obis.to_bytes()]
    assert profile.elements()[1] == structure(int8(2), enum(1), array(int8(1), int8(2)))


def test_an_association_names_its_partners(associate: Associate) -> None:
    server, client = associate()

    partners = ask(server, client.get(AttributeDescriptor(15, Obis(0, 0, 40, 0, 0), 3)))

    assert partners == structure(int8(WORKSHOP_SAP), uint16(1))


def test_a_list_answers_each_attribute_by_itself(associate: Associate) -> None:
    server, client = associate()
    unknown = ENERGY._replace(obis=Obis.parse("1-0:9.8.0"))
    by_entry = SelectedAttribute(PROFILE, ByEntry(1, 1, 3, 3))

    results = ask(
        server, client.get_list([SelectedAttribute(ENERGY), SelectedAttribute(unknown), by_entry])
    )

    assert results == (
        uint32(1_234_567),
        DataAccessResult.OBJECT_UNDEFINED,
        array(structure(uint32(1_200_000))),
    )


def test_a_profile_is_read_by_a_range_with_both_ends_included(
    meter: Meter, associate: Associate
) -> None:
    server, client = associate()
    first = meter.state.now - timedelta(minutes=45)

    selection = ByRange(
        CLOCK_COLUMN, octets(encode_datetime(first)), octets(encode_datetime(meter.state.now))
    )
    rows = ask(server, client.get(PROFILE, selection)).elements()

    # 45 minutes and both ends: four quarter hours, the last four of 96
    assert [row.elements()[2].value for row in rows] == [
        1_200_000 + 13 * n for n in (92, 93, 94, 95)
    ]
    assert rows[0].elements()[0] == octets(encode_datetime(first, ZONE))


def test_a_range_may_ask_for_some_columns(meter: Meter, associate: Associate) -> None:
    server, client = associate()
    bound = octets(encode_datetime(meter.state.now, ZONE))
    columns = (CaptureObject(3, ENERGY.obis, 2), CLOCK_COLUMN)

    rows = ask(server, client.get(PROFILE, ByRange(CLOCK_COLUMN, bound, bound, columns)))

    assert rows == array(structure(uint32(1_200_000 + 13 * 95), bound))


@pytest.mark.parametrize(
    ("entries", "numbers"),
    [
        (ByEntry(1, 2), [0, 1]),
        (ByEntry(95, 0), [94, 95]),
        (ByEntry(97, 0), []),
        (ByEntry(5, 4), []),
    ],
)
def test_a_profile_is_read_by_entries(
    associate: Associate, entries: ByEntry, numbers: list[int]
) -> None:
    server, client = associate()

    rows = ask(server, client.get(PROFILE, entries)).elements()

    assert [row.elements()[2].value for row in rows] == [1_200_000 + 13 * n for n in numbers]


@pytest.mark.parametrize(
    "selection",
    [
        ByRange(CaptureObject(3, ENERGY.obis, 2), uint32(0), uint32(9)),
        ByRange(CLOCK_COLUMN, uint32(0), uint32(9)),
        ByRange(CLOCK_COLUMN, octets(b"\xff" * 12), octets(b"\xff" * 12)),
        ByEntry(1, 0, 9, 12),
    ],
)
def test_a_selection_that_makes_no_sense_is_refused(
    associate: Associate, selection: ByRange | ByEntry
) -> None:
    server, client = associate()

    with pytest.raises(ServiceError) as refused:
        ask(server, client.get(PROFILE, selection))
    assert refused.value.result is DataAccessResult.TYPE_UNMATCHED


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(max_pdu_octets=st.integers(32, 4000))
def test_a_long_profile_arrives_whole_in_blocks_of_any_size(
    associate: Associate, max_pdu_octets: int
) -> None:
    server, client = associate(ClientSettings(max_pdu_octets=max_pdu_octets))
    whole, whole_client = associate()

    in_blocks = ask(server, client.get(PROFILE))

    assert in_blocks == ask(whole, whole_client.get(PROFILE))
    assert len(in_blocks.elements()) == 96


@pytest.mark.parametrize(
    ("max_pdu_octets", "block_count"),
    # 2 octets of array head and 96 rows of 23: 2,210 octets in blocks of the PDU less 12
    [(64, 43), (200, 12), (1000, 3)],
)
def test_no_block_exceeds_what_the_client_takes(
    associate: Associate, max_pdu_octets: int, block_count: int
) -> None:
    server, _ = associate(ClientSettings(max_pdu_octets=max_pdu_octets))
    answer = server.handle(GetRequestNormal(0xC1, PROFILE).encode())
    lengths = []
    while answer is not None:
        lengths.append(len(answer))
        block = decode_apdu(answer)
        assert isinstance(block, GetResponseWithDatablock)
        if block.is_last:
            break
        answer = server.handle(GetRequestNext(0xC1, block.block_number).encode())

    assert max_pdu_octets - 2 <= max(lengths) <= max_pdu_octets
    assert len(lengths) == block_count


def test_a_wrong_block_number_ends_the_transfer(associate: Associate) -> None:
    server, _ = associate(ClientSettings(max_pdu_octets=200))
    server.handle(GetRequestNormal(0xC1, PROFILE).encode())

    answers = [server.handle(GetRequestNext(0xC1, 7).encode()) for _ in range(2)]

    assert [decode_apdu(answer).result for answer in answers] == [  # type: ignore[arg-type,union-attr] # both answer, with blocks
        DataAccessResult.DATA_BLOCK_NUMBER_INVALID,
        DataAccessResult.NO_LONG_GET_IN_PROGRESS,
    ]
