"""Columns of exact decimals beside arithmetic on decimals, small and beyond 64 bits."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metertwin.apps.tariff.rating.fixed import Fixed, shared
from metertwin.core.money import Rounding, RoundingMode

INTEGERS = st.one_of(st.integers(-(10**4), 10**4), st.integers(-(10**25), 10**25))
DECIMALS = st.builds(lambda n, d: Decimal(f"{n}E-{d}"), INTEGERS, st.integers(0, 9))
COLUMNS = st.lists(DECIMALS, min_size=1, max_size=4)


@given(COLUMNS, COLUMNS, DECIMALS)
def test_sums_and_products_are_exact(
    first: list[Decimal], second: list[Decimal], factor: Decimal
) -> None:
    count = min(len(first), len(second))
    first, second = first[:count], second[:count]
    a, b = Fixed.of(first), Fixed.of(second)
    with localcontext() as context:
        context.prec = 200
        pairs = list(zip(first, second, strict=True))
        assert (a + b).rows() == [x + y for x, y in pairs]
        assert (a - b).rows() == [x - y for x, y in pairs]
        assert a.times(factor).rows() == [x * factor for x in first]
        assert a.times_each(b).rows() == [x * y for x, y in pairs]
        assert a.at_most(b).rows() == [min(x, y) for x, y in pairs]
        assert a.at_least(b).rows() == [max(x, y) for x, y in pairs]
        assert a.positive().rows() == [max(x, Decimal(0)) for x in first]


@given(COLUMNS, st.sampled_from(RoundingMode), st.integers(0, 6))
def test_rounding_is_that_of_decimals(
    values: list[Decimal], mode: RoundingMode, digits: int
) -> None:
    rounding = Rounding(digits, mode)
    with localcontext() as context:
        context.prec = 200
        assert Fixed.of(values).rounded(rounding).rows() == [rounding.rounded(v) for v in values]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (RoundingMode.HALF_UP, ["0.13", "-0.13", "0.12", "0.14"]),
        (RoundingMode.HALF_EVEN, ["0.12", "-0.12", "0.12", "0.14"]),
        (RoundingMode.DOWN, ["0.12", "-0.12", "0.12", "0.13"]),
        (RoundingMode.UP, ["0.13", "-0.13", "0.13", "0.14"]),
    ],
)
def test_halves_go_where_the_tariff_says(mode: RoundingMode, expected: list[str]) -> None:
    values = [Decimal(text) for text in ("0.125", "-0.125", "0.1201", "0.135")]
    assert Fixed.of(values).rounded(Rounding(2, mode)).rows() == [Decimal(t) for t in expected]


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**13), st.integers(0, 3))
def test_a_share_is_rounded_half_up_and_never_overflows(
    part: int, rest: int, width: int, digits: int
) -> None:
    whole = part + rest
    column = shared(
        Fixed(np.array([part]), 3), Fixed(np.array([width]), 0), Fixed(np.array([whole]), 3), digits
    )
    scaled_width = width * 10**digits
    expected = (2 * part * scaled_width + whole) // (2 * whole) if whole else 0
    assert int(column.integers[0]) == expected


def test_a_column_leaves_64_bits_only_when_it_must() -> None:
    small = Fixed.of([Decimal(3), Decimal(-4)])
    assert small.times(Decimal("0.25")).integers.dtype == np.int64
    large = Fixed.of([Decimal(2**62)])
    assert (large + large).integers.dtype == object
    assert (large + large).row(0) == 2**63


def test_a_width_finer_than_the_share_is_rounded_once() -> None:
    # 1/3 of 0.49 is 0.1633..., which is 0 in whole numbers; 2/3 of 0.76 is 0.5066..., which is 1.
    part, whole = Fixed(np.array([1, 2]), 0), Fixed(np.array([3, 3]), 0)
    width = Fixed.of([Decimal("0.49"), Decimal("0.76")])
    assert shared(part, width, whole, 0).rows() == [0, 1]
