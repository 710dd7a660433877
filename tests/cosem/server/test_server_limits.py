"""What a meter does not answer, and that nothing harms it."""

from collections.abc import Callable
from enum import IntEnum
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metertwin.core.obis import Obis
from metertwin.cosem.apdu.decode import decode_apdu
from metertwin.cosem.apdu.descriptors import (
    AttributeDescriptor,
    ByEntry,
    SelectedAttribute,
)
from metertwin.cosem.apdu.enumerations import (
    Conformance,
    DataAccessResult,
    Diagnostic,
    ExceptionReason,
)
from metertwin.cosem.apdu.get_request import GetRequestNormal
from metertwin.cosem.apdu.refusal import ExceptionResponse
from metertwin.cosem.client import ClientAssociation
from metertwin.cosem.client_settings import DEFAULT_CONFORMANCE, ClientSettings
from metertwin.cosem.data import (
    uint32,
)
from metertwin.cosem.errors import AssociationError, ServiceError
from metertwin.cosem.loopback import ask
from metertwin.cosem.server.association import AssociationState, ServerAssociation
from metertwin.cosem.server.device import LogicalDevice

Meter = LogicalDevice[SimpleNamespace]
Associate = Callable[..., tuple[ServerAssociation[SimpleNamespace], ClientAssociation]]
ENERGY = AttributeDescriptor(3, Obis.parse("1-0:1.8.0"), 2)
PROFILE = AttributeDescriptor(7, Obis.parse("1-0:99.1.0"), 2)


def test_a_service_that_was_not_agreed_on_is_not_answered(associate: Associate) -> None:
    server, _ = associate(ClientSettings(conformance=Conformance.SET))

    answer = server.handle(GetRequestNormal(0xC1, ENERGY).encode())

    assert answer is not None
    refused = decode_apdu(answer)
    assert isinstance(refused, ExceptionResponse)
    assert refused.reason is ExceptionReason.SERVICE_NOT_SUPPORTED


def test_a_long_answer_without_block_transfer_is_refused(associate: Associate) -> None:
    without = DEFAULT_CONFORMANCE & ~Conformance.BLOCK_TRANSFER_WITH_GET
    server, client = associate(ClientSettings(conformance=without, max_pdu_octets=200))

    with pytest.raises(ServiceError) as refused:
        ask(server, client.get(PROFILE))
    assert refused.value.result is DataAccessResult.OTHER_REASON


def test_a_list_of_thousands_of_profiles_is_cut_off_and_says_so(associate: Associate) -> None:
    server, client = associate()

    results = ask(server, client.get_list([SelectedAttribute(PROFILE)] * 2000))

    # A profile has 96 rows of 23 octets, 2 of head and 1 of choice: 1,898 are above 4 MiB.
    refused = [number for number, result in enumerate(results) if isinstance(result, IntEnum)]
    assert refused == list(range(1898, 2000))
    assert results[-1] is DataAccessResult.OTHER_REASON


def test_an_unconfirmed_set_is_done_and_not_answered(meter: Meter, associate: Associate) -> None:
    server, _ = associate()

    # set-request-normal, invoke 81 (not confirmed), the note, octet-string 4f4b
    answer = server.handle(bytes.fromhex("c1018100010000600109ff020009024f4b"))

    assert answer is None
    assert meter.state.note == b"OK"


def test_nothing_is_answered_before_the_association_and_after_its_release(
    associate: Associate,
) -> None:
    server, client = associate()
    request = GetRequestNormal(0xC1, ENERGY).encode()
    ask(server, client.release())

    assert server.state is AssociationState.CLOSED
    assert server.handle(request) == bytes.fromhex("d80101")


def test_an_unknown_client_is_rejected(associate: Associate) -> None:
    with pytest.raises(AssociationError) as refused:
        associate(sap=99)
    assert refused.value.facts["diagnostic"] == Diagnostic.NO_REASON_GIVEN.name


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_octets_harm_the_meter(associate: Associate, data: st.DataObject) -> None:
    server, client = associate(ClientSettings(max_pdu_octets=128))
    starts = st.sampled_from([b"", b"\xc0", b"\xc1", b"\xc3", b"\xc8", b"\xdb", b"\x60", b"\x62"])
    valid = GetRequestNormal(0xC1, PROFILE, ByEntry(1, 3)).encode()
    for _ in range(3):
        octets_ = data.draw(starts) + data.draw(st.binary(max_size=60))
        place = data.draw(st.integers(0, len(valid) - 1))
        changed = valid[:place] + bytes((data.draw(st.integers(0, 255)),)) + valid[place + 1 :]
        for attempt in (octets_, changed):
            answer = server.handle(attempt)
            if answer is not None:
                decode_apdu(answer)

    ask(server, client.associate())
    assert ask(server, client.get(ENERGY)) == uint32(1_234_567)
