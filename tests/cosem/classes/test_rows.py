"""Rows of a profile encoded by columns are the rows encoded value by value."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metertwin.cosem.classes.profile import RowSelection
from metertwin.cosem.classes.rows import Column, date_times, encode_rows
from metertwin.cosem.data import Data, Tag, array, decode_all, octets, structure, uint32
from metertwin.cosem.datetime import decode_datetime, encode_datetime
from metertwin.cosem.errors import EncodeError

_SECONDS = st.integers(0, int(datetime(2099, 12, 31, tzinfo=UTC).timestamp()))


@given(st.lists(_SECONDS, max_size=300), st.integers(-720, 720))
def test_date_times_are_those_of_the_one_by_one_codec(
    seconds: list[int], deviation_min: int
) -> None:
    zone = timezone(timedelta(minutes=-deviation_min))

    encoded = date_times(np.array(seconds, np.int64), deviation_min)

    for row, second in zip(encoded, seconds, strict=True):
        moment = datetime.fromtimestamp(second, UTC)
        assert row.tobytes() == encode_datetime(moment, zone)
        assert decode_datetime(row.tobytes()).moment == moment


def test_each_row_may_have_its_own_deviation_and_status() -> None:
    # 2026-10-25 00:30 and 01:30 UTC: 02:30 summer time, then 02:30 again an hour later
    seconds = np.array([1_792_888_200, 1_792_891_800])

    encoded = date_times(seconds, np.array([-120, -60], np.int16), np.array([0x80, 0], np.uint8))

    assert [row.tobytes().hex() for row in encoded] == [
        "07ea0a1907021e0000ff8880",
        "07ea0a1907021e0000ffc400",
    ]


@given(
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(-(2**63), 2**63 - 1)), max_size=300)
)
def test_rows_are_those_of_the_one_by_one_codec(rows: list[tuple[int, int]]) -> None:
    columns = [
        Column(Tag.UINT32, np.array([row[0] for row in rows], np.int64)),
        Column(Tag.INT64, np.array([row[1] for row in rows], np.int64)),
        Column(Tag.OCTET_STRING, np.zeros((len(rows), 2), np.uint8)),
    ]

    assert decode_all(encode_rows(columns)) == array(
        *[structure(uint32(a), Data(Tag.INT64, b), octets(bytes(2))) for a, b in rows]
    )


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (Column(Tag.UINT8, np.array([256])), "does not fit UINT8"),
        (Column(Tag.UINT32, np.array([-1])), "does not fit UINT32"),
        (Column(Tag.UINT32, np.array([1.5])), "float64 cannot be encoded by rows"),
        (Column(Tag.UINT32, np.array([1, 2])), "has 2 rows, the first has 1"),
    ],
)
def test_a_column_that_cannot_be_sent_is_refused(column: Column, message: str) -> None:
    with pytest.raises(EncodeError, match=message):
        encode_rows([Column(Tag.UINT8, np.array([1])), column])


@given(
    st.lists(st.integers(0, 50), unique=True).map(sorted),
    st.none() | st.integers(0, 50),
    st.none() | st.integers(0, 50),
)
def test_a_range_selects_what_lies_between_its_ends(
    times: list[int], from_s: int | None, to_s: int | None
) -> None:
    column = np.array(times, np.int64)
    low, high = 0 if from_s is None else from_s, 99 if to_s is None else to_s

    chosen = column[RowSelection(from_s, to_s).rows(column)]

    assert chosen.tolist() == [t for t in times if low <= t <= high]
