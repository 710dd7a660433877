"""Who gets in, what must be ciphered, and what an eavesdropper's copy is worth."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from metertwin.core.obis import Obis
from metertwin.cosem.apdu.association_request import Aarq
from metertwin.cosem.apdu.decode import decode_apdu
from metertwin.cosem.apdu.descriptors import AttributeDescriptor
from metertwin.cosem.apdu.enumerations import (
    ApplicationContext,
    Conformance,
    Diagnostic,
    ExceptionReason,
    Mechanism,
)
from metertwin.cosem.apdu.get_request import GetRequestNormal
from metertwin.cosem.apdu.initiate import InitiateRequest
from metertwin.cosem.apdu.refusal import ConfirmedServiceError, ExceptionResponse
from metertwin.cosem.channel import Channel, Wrapping
from metertwin.cosem.client import ClientAssociation
from metertwin.cosem.client_settings import ClientSettings
from metertwin.cosem.data import uint32
from metertwin.cosem.errors import AssociationError, SecurityError
from metertwin.cosem.loopback import ask
from metertwin.cosem.security import KeyRing, SecurityControl, SecuritySuite
from metertwin.cosem.server.association import AssociationState, ServerAssociation
from metertwin.cosem.server.device import LogicalDevice

Meter = LogicalDevice[SimpleNamespace]
Associate = Callable[..., tuple[ServerAssociation[SimpleNamespace], ClientAssociation]]
ENERGY = AttributeDescriptor(3, Obis.parse("1-0:1.8.0"), 2)
TITLE = b"HES\x00\x00\x00\x00\x01"
KEYS = KeyRing(bytes(range(16)), bytes(range(16, 32)))
STRONG_KEYS = KeyRing(bytes(range(32)), bytes(32), SecuritySuite.AES_256_ECDSA_P384)
MANAGEMENT_SAP, READING_SAP, PLAIN_HLS_SAP, STRONG_SAP = 1, 2, 4, 5
LLS = ClientSettings(Mechanism.LLS, password=b"12345678")
HLS = ClientSettings(Mechanism.HLS_GMAC)
CIPHERED = ClientSettings(Mechanism.HLS_GMAC, is_ciphered=True)


@pytest.mark.parametrize("wrapping", list(Wrapping))
@pytest.mark.parametrize("dedicated_key", [None, bytes(range(50, 66))])
def test_a_ciphered_client_reads_in_every_style(
    associate: Associate, wrapping: Wrapping, dedicated_key: bytes | None
) -> None:
    settings = ClientSettings(Mechanism.HLS_GMAC, is_ciphered=True, dedicated_key=dedicated_key)
    channel = Channel(KEYS, TITLE, wrapping=wrapping)

    server, client = associate(settings, sap=MANAGEMENT_SAP, channel=channel)

    assert ask(server, client.get(ENERGY)) == uint32(1_234_567)
    ask(server, client.release())
    assert server.state is AssociationState.CLOSED


def test_suite_2_has_keys_of_32_octets(associate: Associate) -> None:
    server, client = associate(CIPHERED, sap=STRONG_SAP, channel=Channel(STRONG_KEYS, TITLE))

    assert ask(server, client.get(ENERGY)) == uint32(1_234_567)


def test_high_level_authentication_works_without_ciphering(associate: Associate) -> None:
    server, client = associate(HLS, sap=PLAIN_HLS_SAP, channel=Channel(KEYS, TITLE))

    assert ask(server, client.get(ENERGY)) == uint32(1_234_567)


def test_the_answer_is_ciphered_and_its_counter_rises(associate: Associate, meter: Meter) -> None:
    server, client = associate(CIPHERED, sap=MANAGEMENT_SAP, channel=Channel(KEYS, TITLE))
    counters = []
    for _ in range(3):
        answer = server.handle(client.get(ENERGY).request)
        assert answer is not None
        assert b"\x00\x12\xd6\x87" not in answer
        # tag CC, length, control 30 (authenticated and encrypted), counter
        assert (answer[0], answer[2]) == (0xCC, 0x30)
        counters.append(int.from_bytes(answer[3:7], "big"))

    assert counters == [counters[0], counters[0] + 1, counters[0] + 2]
    assert meter.invocation_counter == counters[2] + 1


def test_a_replayed_request_is_refused_and_names_the_counter_due(associate: Associate) -> None:
    server, client = associate(CIPHERED, sap=MANAGEMENT_SAP, channel=Channel(KEYS, TITLE))
    request = client.get(ENERGY).request
    server.handle(request)

    answer = server.handle(request)

    assert client.channel is not None
    assert answer is not None
    assert decode_apdu(answer) == ExceptionResponse(
        decode_apdu(answer).state_error,  # type: ignore[union-attr] # compared as a whole
        ExceptionReason.INVOCATION_COUNTER_ERROR,
        client.channel.next_counter,
    )


def test_a_replay_is_refused_in_a_later_association_too(associate: Associate, meter: Meter) -> None:
    _, client = associate(CIPHERED, sap=MANAGEMENT_SAP, channel=Channel(KEYS, TITLE))
    assert client.channel is not None
    used_up = Channel(KEYS, TITLE, next_counter=client.channel.next_counter - 1)

    with pytest.raises(AssociationError) as refused:
        associate(CIPHERED, sap=MANAGEMENT_SAP, channel=used_up, meter=meter)
    assert refused.value.facts["diagnostic"] == Diagnostic.AUTHENTICATION_FAILURE.name


@pytest.mark.parametrize("place", [3, 6, 8, -1])
def test_a_changed_octet_is_not_deciphered(associate: Associate, place: int) -> None:
    server, client = associate(CIPHERED, sap=MANAGEMENT_SAP, channel=Channel(KEYS, TITLE))
    request = bytearray(client.get(ENERGY).request)
    request[place] ^= 1

    answer = server.handle(bytes(request))

    assert answer is not None
    refused = decode_apdu(answer)
    assert isinstance(refused, ExceptionResponse)
    assert refused.reason is ExceptionReason.DECIPHERING_ERROR


def test_a_plain_request_is_refused_where_ciphering_is_due(associate: Associate) -> None:
    server, _ = associate(CIPHERED, sap=MANAGEMENT_SAP, channel=Channel(KEYS, TITLE))

    assert server.handle(GetRequestNormal(0xC1, ENERGY).encode()) == bytes.fromhex("d80101")


@pytest.mark.parametrize(("is_authenticated", "is_encrypted"), [(True, False), (False, True)])
def test_half_a_protection_is_refused_where_both_are_due(
    associate: Associate,
    is_authenticated: bool,  # noqa: FBT001 - a parametrized value
    is_encrypted: bool,  # noqa: FBT001 - as above
) -> None:
    server, client = associate(CIPHERED, sap=MANAGEMENT_SAP, channel=Channel(KEYS, TITLE))
    assert client.channel is not None
    client.channel.control = SecurityControl(
        is_authenticated=is_authenticated, is_encrypted=is_encrypted
    )

    assert server.handle(client.get(ENERGY).request) == bytes.fromhex("d80101")


@pytest.mark.parametrize("control", [0x00, 0x20])
def test_a_stranger_cannot_lock_the_client_out_by_a_high_counter(
    associate: Associate, control: int
) -> None:
    server, client = associate(CIPHERED, sap=MANAGEMENT_SAP, channel=Channel(KEYS, TITLE))
    highest = bytes((control,)) + b"\xff\xff\xff\xff" + GetRequestNormal(0xC1, ENERGY).encode()

    server.handle(bytes((0xC8, len(highest))) + highest)

    assert ask(server, client.get(ENERGY)) == uint32(1_234_567)


def test_an_apdu_under_another_title_is_refused(associate: Associate) -> None:
    channel = Channel(KEYS, TITLE, wrapping=Wrapping.GENERAL)
    server, client = associate(CIPHERED, sap=MANAGEMENT_SAP, channel=channel)
    request = client.get(ENERGY).request

    answer = server.handle(request.replace(TITLE, b"HES\x00\x00\x00\x00\x02"))

    assert answer is not None
    assert decode_apdu(answer).reason is ExceptionReason.DECIPHERING_ERROR  # type: ignore[union-attr] # a refusal


def test_services_wait_until_the_client_has_proved_itself(meter: Meter) -> None:
    server = ServerAssociation(meter, PLAIN_HLS_SAP)
    server.handle(ClientAssociation(HLS, Channel(KEYS, TITLE)).associate().request)

    assert server.state is AssociationState.AWAITING_PROOF
    assert server.handle(GetRequestNormal(0xC1, ENERGY).encode()) == bytes.fromhex("d80101")


def test_a_wrong_proof_closes_the_association(meter: Meter) -> None:
    server = ServerAssociation(meter, PLAIN_HLS_SAP)
    wrong = KeyRing(bytes(16), bytes(16))
    client = ClientAssociation(HLS, Channel(wrong, TITLE))

    with pytest.raises(AssociationError, match="refuses this client's answer"):
        ask(server, client.associate())
    assert server.state is AssociationState.CLOSED


def test_a_meter_with_other_keys_cannot_fool_the_client(meter: Meter) -> None:
    server = ServerAssociation(meter, MANAGEMENT_SAP)
    client = ClientAssociation(CIPHERED, Channel(KeyRing(bytes(16), bytes(16)), TITLE))

    with pytest.raises((AssociationError, SecurityError)):
        ask(server, client.associate())


@pytest.mark.parametrize(
    ("settings", "sap", "channel", "diagnostic"),
    [
        (
            ClientSettings(Mechanism.LLS, password=b"87654321"),
            READING_SAP,
            None,
            "AUTHENTICATION_FAILURE",
        ),
        (ClientSettings(), READING_SAP, None, "AUTHENTICATION_REQUIRED"),
        (HLS, READING_SAP, Channel(KEYS, TITLE), "MECHANISM_NOT_RECOGNIZED"),
        (HLS, MANAGEMENT_SAP, Channel(KEYS, TITLE), "APPLICATION_CONTEXT_NOT_SUPPORTED"),
        (HLS, PLAIN_HLS_SAP, Channel(KEYS, b"short"), "CALLING_AP_TITLE_NOT_RECOGNIZED"),
    ],
)
def test_who_may_not_enter_is_told_why(
    meter: Meter, settings: ClientSettings, sap: int, channel: Channel | None, diagnostic: str
) -> None:
    with pytest.raises(AssociationError) as refused:
        ask(ServerAssociation(meter, sap), ClientAssociation(settings, channel).associate())
    assert refused.value.facts["diagnostic"] == diagnostic


def test_the_right_password_opens(associate: Associate) -> None:
    server, client = associate(LLS, sap=READING_SAP)

    assert ask(server, client.get(ENERGY)) == uint32(1_234_567)


def test_a_meter_without_a_password_lets_nobody_in_by_an_empty_one(meter: Meter) -> None:
    bare = LogicalDevice(meter.model, meter.state)
    aarq = Aarq(
        ApplicationContext.LOGICAL_NAME,
        InitiateRequest(Conformance.GET, 0xFFFF).encode(),
        mechanism=Mechanism.LLS,
        authentication_value=b"",
    )

    answer = ServerAssociation(bare, READING_SAP).handle(aarq.encode())

    assert answer is not None
    assert decode_apdu(answer).diagnostic is Diagnostic.AUTHENTICATION_FAILURE  # type: ignore[union-attr] # an AARE


def test_a_plain_proposal_is_refused_where_ciphering_is_due(meter: Meter) -> None:
    aarq = Aarq(
        ApplicationContext.LOGICAL_NAME_CIPHERED,
        InitiateRequest(Conformance.GET, 0xFFFF).encode(),
        TITLE,
        Mechanism.HLS_GMAC,
        bytes(16),
    )

    answer = ServerAssociation(meter, MANAGEMENT_SAP).handle(aarq.encode())

    assert answer is not None
    assert decode_apdu(answer).diagnostic is Diagnostic.AUTHENTICATION_FAILURE  # type: ignore[union-attr] # an AARE


@pytest.mark.parametrize(
    ("proposal", "value"),
    [
        (InitiateRequest(Conformance.GET, 0xFFFF, dlms_version=5), 1),
        (InitiateRequest(Conformance.READ, 0xFFFF), 2),
        (InitiateRequest(Conformance.GET, 11), 3),
    ],
)
def test_a_proposal_that_leaves_nothing_to_do_is_refused_by_its_reason(
    meter: Meter, proposal: InitiateRequest, value: int
) -> None:
    aarq = Aarq(ApplicationContext.LOGICAL_NAME, proposal.encode())

    answer = ServerAssociation(meter, 16).handle(aarq.encode())

    assert answer is not None
    error = decode_apdu(decode_apdu(answer).user_information)  # type: ignore[union-attr] # an AARE
    assert isinstance(error, ConfirmedServiceError)
    assert error.value == value
