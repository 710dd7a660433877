from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metertwin.core.clock import to_us
from metertwin.core.obis import Obis
from metertwin.cosem.apdu.descriptors import CaptureObject
from metertwin.cosem.data import (
    NULL,
    Data,
    Tag,
    array,
    decode_all,
    encode,
    octets,
    structure,
    uint8,
    uint32,
    visible,
)
from metertwin.cosem.datetime import encode_datetime
from metertwin.cosem.errors import CosemError, DecodeError
from metertwin.cosem.profile import read_profile
from metertwin.cosem.profile_columns import STATUS_UNSPECIFIED, read_profile_columns

BERLIN = ZoneInfo("Europe/Berlin")
CLOCK = CaptureObject(8, Obis(0, 0, 1, 0, 0), 2)
STATUS = CaptureObject(1, Obis(0, 0, 96, 10, 1), 2)
ENERGY = CaptureObject(3, Obis(1, 0, 1, 8, 0), 2)
COLUMNS = (CLOCK, STATUS, ENERGY)


def _day(count: int = 96) -> list[Data]:
    # The day summer time begins in Berlin: local times jump, UTC does not.
    midnight = datetime(2026, 3, 28, 23, tzinfo=UTC)
    return [
        structure(
            octets(encode_datetime(midnight + timedelta(minutes=15 * row), BERLIN)),
            uint8(row % 3),
            uint32(10_000 + 7 * row),
        )
        for row in range(count)
    ]


def test_a_day_across_a_clock_change_reads_as_columns() -> None:
    profile = read_profile_columns(encode(array(*_day())), COLUMNS, 900)
    start_us = to_us(datetime(2026, 3, 28, 23, tzinfo=UTC))
    assert (profile.captured_at_us == start_us + 900_000_000 * np.arange(96)).all()
    # Summer time begins at 01:00 UTC: the eight rows before it have no daylight saving bit.
    assert profile.clock_status.tolist() == [0] * 8 + [0x80] * 88
    assert profile.integers[0] is None
    assert profile.integers[1] is not None
    assert profile.integers[1].tolist() == [row % 3 for row in range(96)]
    assert profile.integers[2] is not None
    assert (profile.integers[2] == 10_000 + 7 * np.arange(96)).all()


def test_rows_with_nulls_read_as_their_filled_rows() -> None:
    rows = _day(5)
    rows[2] = structure(NULL, NULL, uint32(99))
    profile = read_profile_columns(encode(array(*rows)), COLUMNS, 900)
    start_us = to_us(datetime(2026, 3, 28, 23, tzinfo=UTC))
    assert (profile.captured_at_us == start_us + 900_000_000 * np.arange(5)).all()
    assert profile.clock_status.tolist() == [0, 0, STATUS_UNSPECIFIED, 0, 0]
    assert profile.integers[1] is not None
    assert profile.integers[1].tolist() == [0, 1, 1, 0, 1]


def test_an_unspecified_deviation_takes_the_zone() -> None:
    local = bytes.fromhex("07ea0701ff0c0000ff800080")
    buffer = encode(array(*[structure(octets(local), uint32(row)) for row in range(4)]))
    profile = read_profile_columns(buffer, (CLOCK, ENERGY), 0, BERLIN)
    assert set(profile.captured_at_us.tolist()) == {to_us(datetime(2026, 7, 1, 10, tzinfo=UTC))}
    with pytest.raises(DecodeError, match="configure the meter's zone"):
        read_profile_columns(buffer, (CLOCK, ENERGY), 0)


def test_texts_are_no_integers_and_an_empty_buffer_has_no_rows() -> None:
    rows = [structure(visible("A" * row), uint32(row)) for row in range(5)]
    profile = read_profile_columns(encode(array(*rows)), (STATUS, ENERGY), 900)
    assert profile.integers[0] is None
    assert profile.captured_at_us.shape == (0,)
    empty = read_profile_columns(encode(array()), COLUMNS, 900)
    assert empty.captured_at_us.shape == (0,)


def test_an_integer_beyond_64_signed_bits_is_refused() -> None:
    for rows in (5, 1):
        high = array(*[structure(Data(Tag.UINT64, 2**63)) for _ in range(rows)])
        with pytest.raises(DecodeError, match="A column holds 9223372036854775808"):
            read_profile_columns(encode(high), (ENERGY,), 900)


_CELLS = st.one_of(
    st.integers(0, 2**32 - 1).map(uint32),
    st.integers(0, 255).map(uint8),
    st.just(NULL),
    st.binary(max_size=2).map(octets),
)
_TIMES = st.one_of(
    st.datetimes(datetime(1960, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 - bounds are naive by hypothesis' rule
        lambda moment: octets(encode_datetime(moment, BERLIN))
    ),
    st.binary(min_size=12, max_size=12).map(octets),
    st.just(NULL),
)


@given(st.lists(st.tuples(_TIMES, _CELLS), max_size=8), st.booleans())
def test_both_ways_of_reading_agree(
    rows: list[tuple[Data, Data]],
    is_uniform: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    if is_uniform:
        rows = [(time, uint32(index)) for index, (time, _) in enumerate(rows)]
    buffer = encode(array(*[structure(*row) for row in rows]))
    assert decode_all(buffer).elements() == tuple(structure(*row) for row in rows)
    try:
        by_values = read_profile(decode_all(buffer), (CLOCK, ENERGY), 900, BERLIN)
    except CosemError:
        with pytest.raises(CosemError):
            read_profile_columns(buffer, (CLOCK, ENERGY), 900, BERLIN)
        return
    profile = read_profile_columns(buffer, (CLOCK, ENERGY), 900, BERLIN)
    assert profile.captured_at_us.tolist() == [to_us(at) for at in by_values.captured_at]
    values = by_values.values[1]
    if all(type(cell.value) is int for cell in values):
        assert profile.integers[1] is not None
        assert profile.integers[1].tolist() == [cell.value for cell in values]
    else:
        assert profile.integers[1] is None


@given(st.binary(max_size=80))
def test_any_octets_are_columns_or_a_cosem_error(noise: bytes) -> None:
    for buffer in (noise, b"\x01\x03" + noise * 3):
        try:
            read_profile_columns(buffer, COLUMNS, 900)
        except CosemError:
            continue
