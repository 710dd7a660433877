"""Answers keep every digit on their way out."""

from decimal import Decimal

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metertwin.store.formats import (
    exact_values,
    from_arrow_ipc,
    to_arrow_ipc,
    to_csv,
    to_json_columns,
)
from metertwin.store.series import SeriesLabel

INT64 = st.integers(-(2**63), 2**63 - 1)


def series(integers: list[int], scaler: int, unit: str = "V") -> pa.Table:
    label = SeriesLabel("m1", "1-0:32.7.0*255", unit, scaler, 0)
    times = [1_774_746_000_000_000 + n * 500_000 for n in range(len(integers))]
    table = {
        "captured_at_us": pa.array(times, pa.int64()),
        "integer": pa.array(integers, pa.int64()),
        "quality": pa.array([16] * len(integers), pa.uint8()),
        "origin": pa.array([3] * len(integers), pa.uint8()),
    }
    return label.write_to(pa.table(table))


@pytest.mark.parametrize(
    ("integer", "scaler", "written"),
    [(2304, -1, "230.4"), (-5, -3, "-0.005"), (7, 0, "7"), (12, 3, "12000"), (5, -8, "0.00000005")],
)
def test_values_are_written_out(integer: int, scaler: int, written: str) -> None:
    assert exact_values(series([integer], scaler)).to_pylist() == [written]


@given(integers=st.lists(INT64, min_size=1, max_size=5), scaler=st.integers(-20, 20))
def test_no_digit_is_lost(integers: list[int], scaler: int) -> None:
    values = exact_values(series(integers, scaler)).to_pylist()
    assert [Decimal(value) for value in values] == [Decimal(n).scaleb(scaler) for n in integers]
    assert not any("E" in value for value in values)


def test_csv_is_readable_by_people_and_programs() -> None:
    # 1774746000 s is 2026-03-29 01:00:00 UTC, the moment Central Europe's clocks change
    assert to_csv(series([2304, 2305], -1)).decode().splitlines() == [
        '"captured_at","integer","quality","origin","value","unit"',
        "2026-03-29T01:00:00+00:00,2304,16,simulated,230.4,V",
        "2026-03-29T01:00:00.500000+00:00,2305,16,simulated,230.5,V",
    ]


def test_json_has_columns_values_and_what_they_are() -> None:
    document = msgspec.json.decode(msgspec.json.encode(to_json_columns(series([2304], -1))))
    assert document == {
        "columns": {
            "captured_at_us": [1_774_746_000_000_000],
            "integer": [2304],
            "quality": [16],
            "origin": [3],
            "value": ["230.4"],
        },
        "meter": "m1",
        "obis": "1-0:32.7.0*255",
        "unit": "V",
        "scaler": -1,
        "period_s": 0,
    }


def test_a_table_that_is_no_series_has_no_values() -> None:
    table = pa.table({"at_us": pa.array([0, None], pa.int64()), "name": ["a", 'b "c"']})
    assert msgspec.to_builtins(to_json_columns(table)) == {
        "columns": {"at_us": [0, None], "name": ["a", 'b "c"']}
    }
    rows = to_csv(table).decode().splitlines()
    assert rows == ['"at","name"', '"1970-01-01T00:00:00+00:00","a"', ',"b ""c"""']


def test_arrow_keeps_the_label() -> None:
    table = from_arrow_ipc(to_arrow_ipc(series([1, 2, 3], -1)))
    assert table.equals(series([1, 2, 3], -1))
    assert SeriesLabel.read_from(table) == SeriesLabel("m1", "1-0:32.7.0*255", "V", -1, 0)
