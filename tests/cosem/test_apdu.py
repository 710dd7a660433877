from collections.abc import Callable
from typing import Any

import pytest
from dlms_cosem.protocol import xdlms
from hypothesis import given
from hypothesis import strategies as st

from metertwin.core.obis import Obis
from metertwin.cosem.apdu import action_request as act
from metertwin.cosem.apdu import get_request as get
from metertwin.cosem.apdu import set_request as put
from metertwin.cosem.apdu.action_response import (
    ActionOutcome,
    ActionResponseNextPblock,
    ActionResponseNormal,
    ActionResponseWithList,
    ActionResponseWithPblock,
)
from metertwin.cosem.apdu.blocks import DataBlock
from metertwin.cosem.apdu.ciphered import (
    GeneralDedCiphered,
    GeneralGloCiphered,
    ServiceCiphered,
    ded_tag,
    glo_tag,
)
from metertwin.cosem.apdu.decode import Apdu, decode_apdu
from metertwin.cosem.apdu.descriptors import (
    AttributeDescriptor,
    ByEntry,
    ByRange,
    CaptureObject,
    MethodDescriptor,
    SelectedAttribute,
)
from metertwin.cosem.apdu.enumerations import (
    ActionResult,
    ApduTag,
    DataAccessResult,
    ExceptionReason,
    StateError,
)
from metertwin.cosem.apdu.get_response import (
    GetResponseNormal,
    GetResponseWithDatablock,
    GetResponseWithList,
)
from metertwin.cosem.apdu.notification import DataNotification, EventNotificationRequest
from metertwin.cosem.apdu.refusal import ExceptionResponse
from metertwin.cosem.apdu.set_response import (
    SetResponseDatablock,
    SetResponseLastDatablock,
    SetResponseLastDatablockWithList,
    SetResponseNormal,
    SetResponseWithList,
)
from metertwin.cosem.data import Data
from metertwin.cosem.errors import CosemError, DecodeError, EncodeError

CLOCK = AttributeDescriptor(8, Obis(0, 0, 1, 0, 0), 2)


def test_published_apdus_read_as_their_source_says(
    golden: Callable[[str], list[dict[str, Any]]],
) -> None:
    for case in golden("apdus"):
        apdu = decode_apdu(bytes.fromhex(case["octets"]))
        assert repr(apdu) == case["reads"], case["name"]
        assert apdu.encode().hex() == case["octets"], case["name"]


def _apdus(value: st.SearchStrategy[Data]) -> st.SearchStrategy[Apdu]:
    octet = st.integers(0, 255)
    number = st.integers(0, 2**32 - 1)
    raw = st.binary(max_size=300)
    obis = st.builds(Obis, octet, octet, octet, octet, octet, octet)
    class_id, index = st.integers(0, 65535), st.integers(-128, 127)
    attribute = st.builds(AttributeDescriptor, class_id, obis, index)
    method = st.builds(MethodDescriptor, class_id, obis, index)
    column = st.builds(CaptureObject, class_id, obis, index, class_id)
    columns = st.lists(column, max_size=3).map(tuple)
    entry, place = number, st.integers(0, 65535)
    selection = st.one_of(
        st.none(),
        st.builds(ByRange, column, value, value, columns),
        st.builds(ByEntry, entry, entry, place, place),
    )
    selected = st.builds(SelectedAttribute, attribute, selection)
    block = st.builds(DataBlock, st.booleans(), number, raw)
    access, result = st.sampled_from(DataAccessResult), st.sampled_from(ActionResult)
    got = st.one_of(value, access)
    outcome = st.builds(ActionOutcome, result, st.one_of(st.none(), got))
    some, many = st.lists(selected, max_size=4).map(tuple), st.lists(value, max_size=4).map(tuple)
    methods, accesses = st.lists(method, max_size=4).map(tuple), st.lists(access).map(tuple)
    return st.one_of(
        st.builds(get.GetRequestNormal, octet, attribute, selection),
        st.builds(get.GetRequestNext, octet, number),
        st.builds(get.GetRequestWithList, octet, some),
        st.builds(GetResponseNormal, octet, got),
        st.builds(GetResponseWithDatablock, octet, st.booleans(), number, st.one_of(raw, access)),
        st.builds(GetResponseWithList, octet, st.lists(got, max_size=4).map(tuple)),
        st.builds(put.SetRequestNormal, octet, attribute, value, selection),
        st.builds(put.SetRequestWithFirstDatablock, octet, attribute, block, selection),
        st.builds(put.SetRequestWithDatablock, octet, block),
        st.builds(put.SetRequestWithList, octet, some, many),
        st.builds(put.SetRequestWithListAndFirstDatablock, octet, some, block),
        st.builds(SetResponseNormal, octet, access),
        st.builds(SetResponseDatablock, octet, number),
        st.builds(SetResponseLastDatablock, octet, access, number),
        st.builds(SetResponseLastDatablockWithList, octet, accesses, number),
        st.builds(SetResponseWithList, octet, accesses),
        st.builds(act.ActionRequestNormal, octet, method, st.one_of(st.none(), value)),
        st.builds(act.ActionRequestNextPblock, octet, number),
        st.builds(act.ActionRequestWithList, octet, methods, many),
        st.builds(act.ActionRequestWithFirstPblock, octet, method, block),
        st.builds(act.ActionRequestWithListAndFirstPblock, octet, methods, block),
        st.builds(act.ActionRequestWithPblock, octet, block),
        st.builds(ActionResponseNormal, octet, outcome),
        st.builds(ActionResponseWithPblock, octet, block),
        st.builds(ActionResponseWithList, octet, st.lists(outcome, max_size=4).map(tuple)),
        st.builds(ActionResponseNextPblock, octet, number),
        st.builds(DataNotification, number, raw, value),
        st.builds(EventNotificationRequest, st.one_of(st.none(), raw), attribute, value),
        st.builds(GeneralGloCiphered, raw, raw),
        st.builds(GeneralDedCiphered, raw, raw),
        st.builds(ServiceCiphered, st.just(ApduTag.GLO_GET_REQUEST), raw),
    )


def test_every_apdu_reads_back(values: st.SearchStrategy[Data]) -> None:
    @given(_apdus(values))
    def law(apdu: Apdu) -> None:
        assert decode_apdu(apdu.encode()) == apdu

    law()


@given(st.sampled_from([*ApduTag, 0xFF]), st.integers(0, 7), st.binary(max_size=120), st.booleans())
def test_any_octets_are_an_apdu_or_a_cosem_error(
    tag: int,
    choice: int,
    noise: bytes,
    has_choice: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    octets = bytes((tag,)) + (bytes((choice,)) if has_choice else b"") + noise
    try:
        apdu = decode_apdu(octets)
    except CosemError:
        return
    assert decode_apdu(apdu.encode()) == apdu or "nan" in repr(apdu)


@given(st.integers(0, 15), st.integers(1, 71), st.integers(0, 255), st.integers(1, 9))
def test_an_independent_library_reads_our_get_request(
    invoke: int, class_id: int, group: int, attribute: int
) -> None:
    request = get.GetRequestNormal(
        0xC0 | invoke, AttributeDescriptor(8, Obis(0, 0, group, class_id, 0), attribute)
    )
    read = xdlms.GetRequestNormal.from_bytes(request.encode())
    assert read.invoke_id_and_priority.invoke_id == invoke
    assert read.cosem_attribute.attribute == attribute
    assert read.cosem_attribute.instance.c == group
    assert read.cosem_attribute.instance.d == class_id


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        ("", "1 octets are due at offset 0"),
        ("ff", "tag FF is not known"),
        ("c004c1", "Choice 4 of APDU C0 is not 1 to 3"),
        ("c001c100080000010000ff02", "1 octets are due"),
        ("c001c100080000010000ff0202", "Choice 2 at offset 12"),
        ("c001c100080000010000ff02010300", "neither 1, by range, nor 2"),
        ("c001c100080000010000ff020000", "1 octets follow the APDU"),
        ("c401c10107", "7 at offset 4 is no DataAccessResult"),
        ("c003c1ff", "announces"),
        ("c003c105", "announces 5 elements; 0 octets"),
        ("01000000065e1f0400007e1f04b0", "conformance block is due at offset 5"),
        ("6000", "no application context name"),
        ("600ba109060760857405080109", "9 is no ApplicationContext"),
        ("6100", "no application context name or no result"),
        ("0e010901", None),
        ("d80301", "3 at offset 1 is no StateError"),
    ],
)
def test_malformed_apdus_say_what_is_wrong(octets: str, reason: str | None) -> None:
    if reason is None:
        assert decode_apdu(bytes.fromhex(octets)).encode().hex() == octets
        return
    with pytest.raises(DecodeError, match=reason):
        decode_apdu(bytes.fromhex(octets))


def test_numbers_that_do_not_fit_are_refused() -> None:
    for apdu in (
        get.GetRequestNormal(256, CLOCK),
        get.GetRequestNormal(1, AttributeDescriptor(70000, CLOCK.obis, 2)),
        get.GetRequestNormal(1, AttributeDescriptor(8, Obis(0, 0, 1, 0, 0, 300), 2)),
        get.GetRequestNext(1, 2**32),
        DataNotification(-1, b"", Data(0, None)),  # type: ignore[arg-type] # refused before the tag
    ):
        with pytest.raises(EncodeError):
            apdu.encode()


def test_an_exception_response_carries_the_counter_wanted() -> None:
    wanted = ExceptionResponse(
        StateError.SERVICE_NOT_ALLOWED, ExceptionReason.INVOCATION_COUNTER_ERROR, 7
    )
    assert wanted.encode().hex() == "d8010600000007"
    assert decode_apdu(wanted.encode()) == wanted


def test_ciphered_tags_are_those_of_the_standard() -> None:
    assert glo_tag(0xC0) == 0xC8
    assert glo_tag(0xC7) == 0xCF
    assert glo_tag(0x01) == 0x21
    assert glo_tag(0x08) == 0x28
    assert ded_tag(0xC4) == 0xD4
    with pytest.raises(ValueError, match="is not a valid ApduTag"):
        glo_tag(0x60)
