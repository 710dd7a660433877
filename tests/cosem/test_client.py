from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metertwin.core.errors import InvalidInputError
from metertwin.core.obis import Obis
from metertwin.cosem.apdu.association_request import Aarq
from metertwin.cosem.apdu.decode import decode_apdu
from metertwin.cosem.apdu.descriptors import AttributeDescriptor, MethodDescriptor
from metertwin.cosem.apdu.enumerations import Conformance, DataAccessResult, Mechanism
from metertwin.cosem.apdu.get_response import GetResponseNormal, GetResponseWithDatablock
from metertwin.cosem.apdu.initiate import InitiateResponse
from metertwin.cosem.apdu.notification import DataNotification, is_push
from metertwin.cosem.channel import Channel
from metertwin.cosem.client import ClientAssociation
from metertwin.cosem.client_settings import ClientSettings
from metertwin.cosem.data import octets, uint32
from metertwin.cosem.errors import (
    AssociationError,
    CosemError,
    DecodeError,
    ExceptionAnswerError,
    ProtocolError,
    SecurityError,
    ServiceError,
)
from metertwin.cosem.security import KeyRing

CLIENT = bytes.fromhex("4d4d4d0000000001")
SERVER = bytes.fromhex("4d4d4d0000bc614e")
ENERGY = AttributeDescriptor(3, Obis(1, 0, 1, 8, 0), 2)
AARE_ACCEPTED = bytes.fromhex(
    "6129a109060760857405080101a203020100a305a103020100be10040e0800065f1f040000501f01f40007"
)
AARE_REJECTED = bytes.fromhex(
    "6129a109060760857405080101a203020101a305a103020102be10040e0800065f1f040000501f01f40007"
)
# The published pass 2 of an HLS, with the server's title added (a4 0a 04 08 ..., 12 octets more).
AARE_HLS = bytes.fromhex(
    "614ea109060760857405080101a203020100a305a10302010ea40a04084d4d4d0000bc614e"
    "88020780890760857405080205aa0a8008503677524a323146be10040e0800065f1f040000501f01f40007"
)


@pytest.fixture
def association() -> ClientAssociation:
    opened = ClientAssociation(ClientSettings())
    assert opened.associate().feed(AARE_ACCEPTED) is None
    return opened


def _hls(keys: KeyRing, challenge: bytes = b"K56iVagY") -> ClientAssociation:
    channel = Channel(keys, CLIENT, next_counter=1)
    return ClientAssociation(
        ClientSettings(Mechanism.HLS_GMAC), channel, challenge=lambda _count: challenge
    )


def test_an_association_agrees_on_what_both_can() -> None:
    association = ClientAssociation(ClientSettings(Mechanism.LLS, password=b"12345678"))
    exchange = association.associate()
    request = decode_apdu(exchange.request)
    assert isinstance(request, Aarq)
    assert request.authentication_value == b"12345678"
    with pytest.raises(ProtocolError, match="not over"):
        _ = exchange.result
    assert exchange.feed(AARE_ACCEPTED) is None
    assert isinstance(exchange.result, InitiateResponse)
    assert association.server_max_pdu_octets == 500
    assert Conformance.GET in association.conformance
    assert Conformance.MULTIPLE_REFERENCES not in association.conformance
    with pytest.raises(AssociationError, match="MULTIPLE_REFERENCES"):
        association.get_list([])
    with pytest.raises(ProtocolError, match="exchange is over"):
        exchange.feed(AARE_ACCEPTED)


def test_a_rejected_association_stays_closed() -> None:
    association = ClientAssociation(ClientSettings())
    with pytest.raises(AssociationError, match="APPLICATION_CONTEXT_NOT_SUPPORTED"):
        association.associate().feed(AARE_REJECTED)
    with pytest.raises(AssociationError, match="not open"):
        association.get(ENERGY)


def test_hls_gmac_passes_3_and_4_are_the_published_ones(green_book_keys: KeyRing) -> None:
    association = _hls(green_book_keys)
    exchange = association.associate()
    pass_3 = exchange.feed(AARE_HLS)
    assert pass_3 is not None
    assert pass_3.hex() == ("c301c1000f0000280000ff0101091110000000011a52fe7dd3e72748973c1e28")
    pass_4 = bytes.fromhex("c701c100010009111001234567fe1466afb3dbcd4f9389e2b7")
    assert exchange.feed(pass_4) is None
    assert association.is_open


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("c701c100010009111001234567fe1466afb3dbcd4f9389e2b8", SecurityError),
        ("c701c1000100090110", SecurityError),
        ("c701c10000", SecurityError),
        ("c701c10300", AssociationError),
        ("c701c20000", ProtocolError),
        ("d80101", ExceptionAnswerError),
    ],
)
def test_a_meter_that_cannot_prove_itself_is_refused(
    answer: str, error: type[CosemError], green_book_keys: KeyRing
) -> None:
    association = _hls(green_book_keys)
    exchange = association.associate()
    exchange.feed(AARE_HLS)
    with pytest.raises(error):
        exchange.feed(bytes.fromhex(answer))
    assert not association.is_open


def test_a_mirrored_challenge_is_refused(green_book_keys: KeyRing) -> None:
    exchange = _hls(green_book_keys, challenge=b"P6wRJ21F").associate()
    with pytest.raises(SecurityError, match="own challenge back"):
        exchange.feed(AARE_HLS)


def test_get_returns_the_value_or_the_refusal(association: ClientAssociation) -> None:
    exchange = association.get(ENERGY)
    assert exchange.request.hex() == "c001c100030100010800ff0200"
    assert exchange.feed(bytes.fromhex("c401c1000600001391")) is None
    assert exchange.result == uint32(5009)
    refused = association.get(ENERGY)
    with pytest.raises(ServiceError, match=r"attribute 2 of 1-0:1\.8\.0\*255.*DENIED") as caught:
        refused.feed(bytes.fromhex("c401c20103"))
    assert caught.value.result is DataAccessResult.READ_WRITE_DENIED
    with pytest.raises(ProtocolError):
        _ = refused.result


def test_get_octets_leaves_the_value_as_it_came(association: ClientAssociation) -> None:
    exchange = association.get_octets(ENERGY)
    # 07 is no data type; nobody has looked yet.
    assert exchange.feed(bytes.fromhex("c401c1000700ff")) is None
    assert exchange.result == bytes.fromhex("0700ff")
    blocks = association.get_octets(ENERGY)
    following = blocks.feed(bytes.fromhex("c402c2000000000100020600"))
    assert following == bytes.fromhex("c002c200000001")
    assert blocks.feed(bytes.fromhex("c402c201000000020003001391")) is None
    assert blocks.result == bytes.fromhex("0600001391")
    with pytest.raises(ServiceError, match="OBJECT_UNDEFINED"):
        association.get_octets(ENERGY).feed(bytes.fromhex("c401c30104"))
    with pytest.raises(ProtocolError, match="invoke id 3, the question 4"):
        association.get_octets(ENERGY).feed(bytes.fromhex("c401c3000600001391"))


def test_get_gathers_blocks(association: ClientAssociation) -> None:
    exchange = association.get(ENERGY)
    # The value 06 00001391 in two blocks of 2 and 3 octets.
    following = exchange.feed(bytes.fromhex("c402c1000000000100020600"))
    assert following == bytes.fromhex("c002c100000001")
    assert exchange.feed(bytes.fromhex("c402c101000000020003001391")) is None
    assert exchange.result == uint32(5009)


@pytest.mark.parametrize(
    ("answer", "error", "reason"),
    [
        ("c402c101000000020003001391", ProtocolError, "Block 2 came where 1 is due"),
        ("c402c10100000001010f", ServiceError, "LONG_GET_ABORTED"),
        ("c402c101000000010003060000", DecodeError, "needs more"),
        ("c501c100", ProtocolError, "SetResponseNormal is no answer"),
        ("c401c0000600001391", ProtocolError, "invoke id 0, the question 1"),
        ("0e050401", ExceptionAnswerError, "READ, DEFINITION 1"),
        ("c401", DecodeError, "are due"),
    ],
)
def test_answers_that_do_not_fit_say_why(
    answer: str, error: type[CosemError], reason: str, association: ClientAssociation
) -> None:
    exchange = association.get(ENERGY)
    with pytest.raises(error, match=reason):
        exchange.feed(bytes.fromhex(answer))
    assert exchange.is_done


def test_set_cuts_a_long_value_into_blocks(association: ClientAssociation) -> None:
    value = octets(bytes(range(256)) * 4)
    exchange = association.set(ENERGY, value)
    request: bytes | None = exchange.request
    gathered = b""
    number = 1
    while request is not None:
        assert len(request) <= association.server_max_pdu_octets
        block = getattr(decode_apdu(request), "block")  # noqa: B009 - either kind of request has it
        assert block.number == number
        gathered += block.octets
        reply = f"c503c100{number:08x}" if block.is_last else f"c502c1{number:08x}"
        request = exchange.feed(bytes.fromhex(reply))
        number += 1
    assert gathered.hex() == "09820400" + bytes(range(256)).hex() * 4
    assert number - 1 == 3


def test_action_blocks_travel_both_ways(association: ClientAssociation) -> None:
    exchange = association.action(MethodDescriptor(18, Obis(0, 0, 44, 0, 0), 2), octets(bytes(700)))
    assert exchange.request[:2].hex() == "c304"
    second = exchange.feed(bytes.fromhex("c704c100000001"))
    assert second is not None
    assert second[:2].hex() == "c306"
    # The outcome 00 01 00 06 00001391 (success, returned value) in two blocks.
    confirmed = exchange.feed(bytes.fromhex("c702c1000000000103000100"))
    assert confirmed == bytes.fromhex("c302c100000001")
    assert exchange.feed(bytes.fromhex("c702c10100000002050600001391")) is None
    assert exchange.result == uint32(5009)


def test_release_closes(association: ClientAssociation) -> None:
    exchange = association.release()
    assert exchange.request.hex() == "6203800100"
    assert exchange.feed(bytes.fromhex("6303800100")) is None
    with pytest.raises(AssociationError):
        association.get(ENERGY)


def _ciphered(keys: KeyRing) -> tuple[ClientAssociation, Channel]:
    meter = Channel(keys, SERVER, CLIENT, next_counter=90)
    association = ClientAssociation(
        ClientSettings(is_ciphered=True), Channel(keys, CLIENT, SERVER, next_counter=1)
    )
    initiated = meter.seal(InitiateResponse(Conformance.GET, 0).encode())
    aare = bytes.fromhex("a109060760857405080103a203020100a305a103020100a40a0408") + SERVER
    aare += bytes((0xBE, len(initiated) + 2, 0x04, len(initiated))) + initiated
    exchange = association.associate()
    request = decode_apdu(exchange.request)
    assert isinstance(request, Aarq)
    assert meter.open(request.user_information)[:1] == b"\x01"
    assert exchange.feed(bytes((0x61, len(aare))) + aare) is None
    return association, meter


def test_a_ciphered_association_takes_only_ciphered_answers(green_book_keys: KeyRing) -> None:
    association, meter = _ciphered(green_book_keys)
    answer = GetResponseNormal(0xC1, uint32(5009)).encode()
    exchange = association.get(ENERGY)
    assert meter.open(exchange.request)[:1] == b"\xc0"
    sealed = meter.seal(answer)
    assert exchange.feed(sealed) is None
    assert exchange.result == uint32(5009)
    raw = association.get_octets(ENERGY)
    assert raw.feed(meter.seal(GetResponseNormal(0xC2, uint32(5009)).encode())) is None
    assert raw.result == bytes.fromhex("0600001391")
    with pytest.raises(SecurityError, match="without the ciphering"):
        association.get_octets(ENERGY).feed(answer)
    with pytest.raises(SecurityError, match="below"):
        association.get(ENERGY).feed(sealed)
    with pytest.raises(SecurityError, match="without the ciphering"):
        association.get(ENERGY).feed(answer)
    with pytest.raises(ExceptionAnswerError, match="DECIPHERING_ERROR"):
        association.get(ENERGY).feed(bytes.fromhex("d80105"))


def test_a_plain_initiate_response_does_not_open_a_ciphered_association(
    green_book_keys: KeyRing,
) -> None:
    association = ClientAssociation(
        ClientSettings(is_ciphered=True), Channel(green_book_keys, CLIENT, SERVER)
    )
    with pytest.raises(SecurityError, match="InitiateResponse came without"):
        association.associate().feed(AARE_ACCEPTED)
    assert not association.is_open


def test_pushes_are_told_from_answers(association: ClientAssociation) -> None:
    push = DataNotification(1, b"", uint32(5))
    assert is_push(push.encode())
    assert not is_push(bytes.fromhex("c401c1000600001391"))
    assert association.receive_push(push.encode()) == push
    with pytest.raises(ProtocolError, match="is no answer"):
        association.receive_push(bytes.fromhex("c401c1000600001391"))


def test_settings_that_cannot_work_are_refused(green_book_keys: KeyRing) -> None:
    with pytest.raises(InvalidInputError, match="HLS_SHA256 is not supported"):
        ClientAssociation(ClientSettings(Mechanism.HLS_SHA256))
    with pytest.raises(InvalidInputError, match="give a channel"):
        ClientAssociation(ClientSettings(Mechanism.HLS_GMAC))
    with pytest.raises(InvalidInputError, match="A key has 5 octets"):
        ClientAssociation(
            ClientSettings(is_ciphered=True, dedicated_key=b"short"),
            Channel(green_book_keys, CLIENT),
        )


def test_an_exchange_whose_next_request_cannot_be_sealed_is_over(
    green_book_keys: KeyRing,
) -> None:
    association, meter = _ciphered(green_book_keys)
    exchange = association.get(ENERGY)
    assert association.channel is not None
    association.channel.next_counter = 2**32
    block = GetResponseWithDatablock(0xC1, is_last=False, block_number=1, result=b"\x06")
    with pytest.raises(SecurityError, match="Renew the keys"):
        exchange.feed(meter.seal(block.encode()))
    assert exchange.is_done


def test_any_answer_ends_in_a_result_a_request_or_a_cosem_error(
    golden: Callable[[str], list[dict[str, str]]],
) -> None:
    published = [bytes.fromhex(case["octets"]) for case in golden("apdus")]

    @given(st.sampled_from(published), st.integers(0), st.binary(max_size=3))
    def law(answer: bytes, place: int, splice: bytes) -> None:
        association = ClientAssociation(ClientSettings())
        association.associate().feed(AARE_ACCEPTED)
        cut = place % (len(answer) + 1)
        exchange = association.get(ENERGY)
        try:
            following = exchange.feed(answer[:cut] + splice + answer[cut + len(splice) :])
        except CosemError:
            assert exchange.is_done
        else:
            assert exchange.is_done is (following is None)

    law()
