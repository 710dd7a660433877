import struct

import pytest
from dlms_cosem.utils import parse_as_dlms_data
from hypothesis import given
from hypothesis import strategies as st

from metertwin.cosem.data import (
    MAX_DEPTH,
    Data,
    Tag,
    array,
    bit_string,
    decode,
    decode_all,
    encode,
    int8,
    octets,
    structure,
    uint8,
    uint16,
    uint32,
    visible,
)
from metertwin.cosem.errors import DecodeError, EncodeError, UnexpectedTypeError


def test_every_value_reads_back(values: st.SearchStrategy[Data]) -> None:
    @given(values)
    def law(data: Data) -> None:
        assert decode_all(encode(data)) == data

    law()


@given(st.binary(max_size=300))
def test_any_octets_are_a_value_or_a_decode_error(noise: bytes) -> None:
    try:
        data, end = decode(noise)
    except DecodeError:
        return
    assert 0 < end <= len(noise)
    assert decode_all(encode(data)) == data or "nan" in repr(data)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=10), st.integers(0, 2**32 - 1))
def test_an_independent_library_reads_our_octets(parts: list[bytes], number: int) -> None:
    data = structure(*[octets(part) for part in parts], uint32(number))
    assert parse_as_dlms_data(encode(data)) == [*parts, number]


def test_octets_calculated_by_hand() -> None:
    # 02 04: structure of 4; 12 0008: uint16 8; 09 06 ...: six octets; 0f ff: int8 -1;
    # 04 09 a080: nine bits 101000001, padded with seven zeros.
    row = structure(
        uint16(8), octets(bytes.fromhex("0000010000ff")), int8(-1), bit_string("101000001")
    )
    assert encode(row).hex() == "020412000809060000010000ff0fff0409a080"


def test_a_string_of_128_octets_has_the_long_length_field() -> None:
    assert encode(octets(bytes(127)))[:3].hex() == "097f00"
    assert encode(octets(bytes(128)))[:4].hex() == "09818000"
    assert encode(octets(bytes(300)))[:5].hex() == "0982012c00"


def test_a_compact_array_reads_as_the_array_it_means() -> None:
    # 13: compact array; 02 02 12 06: of structures of uint16 and uint32; 0c: 12 octets follow.
    packed = bytes.fromhex("13020212060c00010000000a000200000014")
    assert decode_all(packed) == array(
        structure(uint16(1), uint32(10)), structure(uint16(2), uint32(20))
    )


def test_a_compact_array_of_strings_and_inner_arrays() -> None:
    # 02 02: structure of 2; 0a: visible string; 01 0002 11: array of 2 uint8.
    packed = bytes.fromhex("1302020a01000211050241420708")
    assert decode_all(packed) == array(structure(visible("AB"), array(uint8(7), uint8(8))))


@pytest.mark.parametrize(
    ("noise", "reason"),
    [
        ("", "needs more than the 0 octets"),
        ("05000000", "needs more than the 4 octets"),
        ("0905aabb", "announces 5 octets; 2 are left"),
        ("0c01ff", "is not UTF-8"),
        ("0184ffffffff", "announces 4294967295 elements"),
        ("0985000000000100", "1 to 4 are allowed"),
        ("0980", "1 to 4 are allowed"),
        ("07", "Tag 7 at offset 0 is no COSEM data type"),
        ("0410ff", "announces 16 bits; 8 are left"),
        ("1300050000000000", "is not a type that takes octets"),
        ("130200050000000000", "is not a type that takes octets"),
        ("1306050000000000", "needs more"),
        ("0000", "1 octets follow the value"),
    ],
)
def test_malformed_octets_say_what_is_wrong(noise: str, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        decode_all(bytes.fromhex(noise))


def test_nesting_ends() -> None:
    deepest = b"\x02\x01" * MAX_DEPTH + b"\x00"
    assert encode(decode_all(deepest)) == deepest
    with pytest.raises(DecodeError, match="nesting ends at 32"):
        decode_all(b"\x02\x01" * (MAX_DEPTH + 1) + b"\x00")
    with pytest.raises(DecodeError):
        decode_all(b"\x13" + b"\x02\x01" * (MAX_DEPTH + 1) + b"\x11\x01\x00")
    too_deep = Data(Tag.NULL, None)
    for _ in range(MAX_DEPTH + 1):
        too_deep = structure(too_deep)
    with pytest.raises(EncodeError, match="nested at most 32"):
        encode(too_deep)


@pytest.mark.parametrize(
    "data",
    [
        uint8(256),
        int8(-129),
        uint32(-1),
        Data(Tag.UINT16, "7"),
        Data(Tag.OCTET_STRING, "text"),
        Data(Tag.FLOAT32, 1e300),
        visible("€"),
        bit_string("012"),
        Data(Tag.DATE_TIME, bytes(11)),
        Data(Tag.STRUCTURE, 5),
        Data(Tag.NULL, 0),
    ],
)
def test_values_that_do_not_fit_their_tag_are_refused(data: Data) -> None:
    with pytest.raises(EncodeError):
        encode(data)


def test_readers_refuse_another_type() -> None:
    assert uint8(5).integer() == 5
    assert octets(b"a").octets() == b"a"
    assert visible("a").text() == "a"
    assert array(uint8(1)).elements() == (uint8(1),)
    for read in (octets(b"").integer, uint8(1).octets, bit_string("1").text, uint8(1).elements):
        with pytest.raises(UnexpectedTypeError, match="stands where"):
            read()
    with pytest.raises(UnexpectedTypeError):
        Data(Tag.BOOLEAN, value=True).integer()


def test_a_float_keeps_its_bits() -> None:
    assert encode(Data(Tag.FLOAT32, 1.5)) == b"\x17" + struct.pack(">f", 1.5)
