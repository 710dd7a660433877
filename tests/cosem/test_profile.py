from datetime import UTC, datetime
from decimal import Decimal

import pytest

from metertwin.core.errors import InvalidInputError
from metertwin.core.obis import Obis
from metertwin.core.units import Unit
from metertwin.cosem.apdu.descriptors import CaptureObject
from metertwin.cosem.data import (
    NULL,
    array,
    decode_all,
    enum,
    int8,
    octets,
    structure,
    uint8,
    uint32,
)
from metertwin.cosem.datetime import ClockStatus, encode_datetime
from metertwin.cosem.errors import DecodeError, UnexpectedTypeError
from metertwin.cosem.profile import ScalerUnit, read_profile

COLUMNS = (
    CaptureObject(8, Obis(0, 0, 1, 0, 0), 2),
    CaptureObject(1, Obis(0, 0, 96, 10, 1), 2),
    CaptureObject(3, Obis(1, 0, 1, 8, 0), 2),
    CaptureObject(3, Obis(1, 0, 2, 8, 0), 2),
)
# A buffer recorded from a meter, as published in the tests of u9n/dlms-cosem: four hourly rows, the
# time only in the first.
RECORDED = (
    "0104"
    "0204" "090c07e30c1f0217000000ffc400" "1106" "06000005ed" "0600000654"
    "0204" "00" "1106" "06000005ed" "0600000654"
    "0204" "00" "1106" "06000005ed" "0600000654"
    "0204" "00" "1106" "06000005ed" "0600000654"
)  # fmt: skip


def test_a_recorded_buffer_reads_as_columns() -> None:
    rows = read_profile(decode_all(bytes.fromhex(RECORDED)), COLUMNS, 3600)
    # 2019-12-31 23:00 at UTC+1 is 22:00 UTC; each null is one capture period later.
    assert rows.captured_at == (
        datetime(2019, 12, 31, 22, tzinfo=UTC),
        datetime(2019, 12, 31, 23, tzinfo=UTC),
        datetime(2020, 1, 1, 0, tzinfo=UTC),
        datetime(2020, 1, 1, 1, tzinfo=UTC),
    )
    assert rows.clock_status == (ClockStatus.NONE, None, None, None)
    assert rows.values[1] == (uint8(6),) * 4
    assert rows.values[2] == (uint32(0x5ED),) * 4
    assert rows.values[3] == (uint32(0x654),) * 4


def test_null_repeats_the_value_above() -> None:
    at = octets(encode_datetime(datetime(2026, 3, 29, 0, 45, tzinfo=UTC)))
    buffer = array(structure(at, uint32(10)), structure(NULL, NULL), structure(NULL, uint32(12)))
    rows = read_profile(buffer, (COLUMNS[0], COLUMNS[2]), 900)
    assert rows.values[1] == (uint32(10), uint32(10), uint32(12))
    assert rows.captured_at[-1] == datetime(2026, 3, 29, 1, 15, tzinfo=UTC)


def test_an_empty_buffer_has_all_columns_and_no_rows() -> None:
    rows = read_profile(array(), COLUMNS, 900)
    assert rows.values == ((), (), (), ())
    assert rows.captured_at == ()


def test_what_cannot_be_told_is_refused() -> None:
    time = octets(encode_datetime(datetime(2026, 1, 1, tzinfo=UTC)))
    two = (COLUMNS[0], COLUMNS[2])
    with pytest.raises(DecodeError, match="Row 1 of the profile has 1 elements; 2 columns"):
        read_profile(array(structure(time, uint32(1)), structure(NULL)), two, 900)
    with pytest.raises(DecodeError, match=r"first row leaves out 1-0:1\.8\.0\*255, attribute 2"):
        read_profile(array(structure(time, NULL)), two, 900)
    with pytest.raises(DecodeError, match="Row 0 of the profile has no time"):
        read_profile(array(structure(NULL, uint32(1))), two, 900)
    with pytest.raises(DecodeError, match=r"Row 1 .* capture period of 0 s"):
        read_profile(array(structure(time, uint32(1)), structure(NULL, uint32(1))), two, 0)


def test_a_register_is_an_exact_decimal() -> None:
    scaler_unit = ScalerUnit.from_data(structure(int8(-2), enum(35)))
    assert scaler_unit == (-2, Unit.VOLT)
    assert scaler_unit.decimal(uint32(23042)) == Decimal("230.42")
    with pytest.raises(UnexpectedTypeError):
        scaler_unit.decimal(octets(b"1"))
    with pytest.raises(DecodeError, match="has 2 elements, here are 1"):
        ScalerUnit.from_data(structure(int8(0)))
    with pytest.raises(InvalidInputError, match="Unit code 200"):
        ScalerUnit.from_data(structure(int8(0), enum(200)))
