"""OBIS codes: both printed forms, the six octets, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metertwin.core.obis import Obis, ObisError, parse_cached

group = st.integers(0, 255)
codes = st.builds(Obis, group, group, group, group, group, group)


@given(codes)
def test_printed_form_reads_back(obis: Obis) -> None:
    assert Obis.parse(str(obis)) == obis


@given(codes)
def test_logical_name_reads_back_from_text_and_octets(obis: Obis) -> None:
    assert Obis.parse(".".join(str(value) for value in obis)) == obis
    assert Obis.from_bytes(obis.to_bytes()) == obis


@given(codes)
def test_the_cached_parser_agrees(obis: Obis) -> None:
    assert parse_cached(str(obis)) == Obis.parse(str(obis))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1-0:1.8.0*255", (1, 0, 1, 8, 0, 255)),
        ("1-0:1.8.0&12", (1, 0, 1, 8, 0, 12)),
        ("0-1:96.1.0", (0, 1, 96, 1, 0, 255)),
        ("2.8.1", (1, 0, 2, 8, 1, 255)),
        ("32.7", (1, 0, 32, 7, 255, 255)),
        ("0-0:1.0.0*0", (0, 0, 1, 0, 0, 0)),
        ("1.2.3.4.5.6", (1, 2, 3, 4, 5, 6)),
    ],
)
def test_left_out_groups_take_the_electricity_meters_values(
    text: str, expected: tuple[int, ...]
) -> None:
    assert Obis.parse(text) == expected


@pytest.mark.parametrize("text", ["", "1", "1-0:1", "1.8.0*", "a-0:1.8.0", "1.8.0 ", "\u0661.8.0"])
def test_other_text_is_named_in_the_error(text: str) -> None:
    with pytest.raises(ObisError) as caught:
        Obis.parse(text)
    assert str(caught.value) == (
        f"{text!r} is not an OBIS code; write A-B:C.D.E*F, for example 1-0:1.8.0*255."
    )
    assert caught.value.code == "input.obis"
    assert caught.value.facts == {"text": text}


def test_a_group_above_255_is_refused_with_its_value() -> None:
    with pytest.raises(ObisError, match=r"^OBIS code 1-0:1\.8\.256 has a group of 256; each"):
        Obis.parse("1-0:1.8.256")


def test_octets_of_another_length_are_refused() -> None:
    with pytest.raises(ObisError, match=r"^A logical name has 6 octets, here are 5\.$"):
        Obis.from_bytes(b"\x01\x00\x01\x08\x00")


@given(st.text(max_size=60))
def test_any_text_is_a_code_or_the_documented_error(text: str) -> None:
    try:
        obis = Obis.parse(text)
    except ObisError:
        return
    assert Obis.parse(str(obis)) == obis
