"""Units by their code, and decimals that lose nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metertwin.core.errors import InvalidInputError
from metertwin.core.units import SCALER_MAX, SCALER_MIN, Unit, scaled, unit_from_code


@pytest.mark.parametrize(
    ("code", "symbol"),
    [(27, "W"), (28, "VA"), (29, "var"), (30, "Wh"), (32, "varh"), (33, "A"), (35, "V"), (255, "")],
)
def test_codes_have_the_symbols_of_the_unit_enumeration(code: int, symbol: str) -> None:
    assert unit_from_code(code).symbol == symbol


@pytest.mark.parametrize("unit", Unit)
def test_every_unit_has_a_symbol_and_comes_back_from_its_code(unit: Unit) -> None:
    assert unit_from_code(unit.value) is unit
    assert unit.symbol or unit is Unit.NONE


def test_an_unknown_code_names_the_known_ones() -> None:
    with pytest.raises(InvalidInputError) as caught:
        unit_from_code(200)
    assert str(caught.value).startswith("Unit code 200 is not known; known are 7, 8, 9, 13, 27,")
    assert caught.value.facts == {"unit_code": 200}


@pytest.mark.parametrize(
    ("integer", "scaler", "printed"),
    [
        (2304, -1, "230.4"),
        (12, 3, "12000"),
        (12, 1, "120"),
        (-7, 0, "-7"),
        (0, -3, "0.000"),
        (1, 2, "100"),
        (2**63 - 1, -3, "9223372036854775.807"),
    ],
)
def test_integer_and_scaler_print_as_the_meter_would(
    integer: int, scaler: int, printed: str
) -> None:
    assert str(scaled(integer, scaler)) == printed


@given(st.integers(-(2**63), 2**63 - 1), st.integers(SCALER_MIN, SCALER_MAX))
def test_the_decimal_is_exact(integer: int, scaler: int) -> None:
    # Oracle in whole numbers: value x 10^128 must be integer x 10^(128 + scaler).
    numerator, denominator = scaled(integer, scaler).as_integer_ratio()
    assert numerator * 10**128 == integer * 10 ** (128 + scaler) * denominator
