"""Interval tables on the wire: exact both ways, small, refused when damaged or a bomb."""

import contextlib
import tracemalloc
import zlib
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from metertwin.bus.intervals import (
    MAX_CELLS,
    MAX_PAGE_CELLS,
    TABLE_VERSION,
    TableSizeError,
    meters_per_page,
    pack_table,
    unpack_table,
)
from metertwin.bus.wire import WireError, WireVersionError
from metertwin.core.ids import MeterId
from metertwin.core.interval_table import IntervalTable, KnownSpans
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.units import Unit

ENERGY = Register(Obis(1, 0, 1, 8, 0), Unit.WATT_HOUR, -1, 900)
QUARTER_US = 900_000_000
_FIELDS = [
    "version",
    "meters",
    "register_block",
    "start_us",
    "interval_count",
    "gain_bytes",
    "gain",
    "is_known",
    "quality",
    "origin",
    "span_count",
    "spans",
]


@st.composite
def tables(draw: st.DrawFn) -> IntervalTable:
    """Draw tables of 0 to 4 meters and 0 to 9 intervals, with spans."""
    shape = (draw(st.integers(0, 4)), draw(st.integers(0, 9)))
    dtype = draw(st.sampled_from([np.int8, np.int16, np.int32, np.int64]))
    count = draw(st.integers(0, 3)) if shape[0] * shape[1] > 2 else 0
    first = draw(arrays.arrays(np.int64, count, elements=st.integers(0, max(shape[1] - 1, 0))))
    return IntervalTable(
        meters=[MeterId(f"m{n}") for n in range(shape[0])],
        register=ENERGY._replace(scaler=draw(st.integers(-128, 127))),
        start_us=draw(st.integers(-(10**6), 10**7)) * QUARTER_US,
        gain=draw(arrays.arrays(dtype, shape)),
        is_known=draw(arrays.arrays(np.bool_, shape)),
        quality=draw(arrays.arrays(np.uint8, shape)),
        origin=draw(arrays.arrays(np.uint8, shape, elements=st.integers(0, 3))),
        spans=KnownSpans(
            row=draw(arrays.arrays(np.int64, count, elements=st.integers(0, max(shape[0] - 1, 0)))),
            first_index=first,
            interval_count=shape[1] - first,
            gain=draw(arrays.arrays(np.int64, count)),
        ),
    )


def a_table() -> IntervalTable:
    """Two meters, three quarter hours: the second meter's last two are known together only."""
    return IntervalTable(
        meters=[MeterId("m1"), MeterId("m2")],
        register=ENERGY,
        start_us=4 * QUARTER_US,
        gain=np.array([[250, 70_000, 3], [1, 0, 0]]),
        is_known=np.array([[True, True, True], [True, False, False]]),
        quality=np.array([[0, 16, 0], [0, 128, 128]], np.uint8),
        origin=np.array([[0, 0, 1], [0, 0, 0]], np.uint8),
        spans=KnownSpans(*(np.array([n]) for n in (1, 1, 2, 600))),
    )


def assert_same(one: IntervalTable, other: IntervalTable) -> None:
    assert list(one.meters) == list(other.meters)
    assert (one.register, one.start_us) == (other.register, other.start_us)
    for name in ("gain", "is_known", "quality", "origin"):
        before, after = getattr(one, name), getattr(other, name)
        assert before.dtype == after.dtype
        np.testing.assert_array_equal(before, after)
    for name in ("row", "first_index", "interval_count", "gain"):
        np.testing.assert_array_equal(getattr(one.spans, name), getattr(other.spans, name))


def fields_of(octets: bytes) -> dict[str, object]:
    return dict(zip(_FIELDS, msgspec.msgpack.decode(octets), strict=True))


def with_fields(octets: bytes, **changed: object) -> bytes:
    return msgspec.msgpack.encode(list((fields_of(octets) | changed).values()))


@given(tables())
def test_a_table_comes_back_exactly(table: IntervalTable) -> None:
    assert_same(unpack_table(pack_table(table)), table)


def test_the_gains_of_a_table_travel_lowest_bytes_first() -> None:
    # 250 = FA 00 00, 70000 = 0x011170 = 70 11 01, 3 = 03 00 00, then 1, 0, 0.
    gain = zlib.decompress(fields_of(pack_table(a_table()))["gain"])  # type: ignore[arg-type]
    assert gain[:18].hex(" ") == "fa 70 03 01 00 00 00 11 00 00 00 00 00 01 00 00 00 00"
    assert gain[18:] == bytes(5 * 6)
    # 111 100 and two bits to spare
    known = zlib.decompress(fields_of(pack_table(a_table()))["is_known"])  # type: ignore[arg-type]
    assert known == bytes([0b11110000])


def test_a_month_of_a_street_is_small() -> None:
    gains = np.random.default_rng(3).integers(0, 1_000, (100, 2_976))
    shape = gains.shape
    flags = np.ones(shape, dtype=bool)
    none = np.zeros(shape, np.uint8)
    table = IntervalTable(
        [MeterId(f"m{n}") for n in range(100)], ENERGY, 0, gains, flags, none, none,
        KnownSpans.none(),
    )  # fmt: skip
    # A gain below 1000 is log2(1000) = 10 bits of noise; nothing needs fewer than 1.25 B.
    assert 1.25 * gains.size < len(pack_table(table)) < 1.6 * gains.size


def test_the_largest_page_fits_into_a_message_whatever_its_gains_are() -> None:
    gains = np.random.default_rng(4).integers(-(2**31), 2**31, (1, MAX_PAGE_CELLS), np.int32)
    noise = np.random.default_rng(5).integers(0, 256, gains.shape, np.uint8)
    table = IntervalTable(
        [MeterId("m")], ENERGY, 0, gains, noise > 127, noise, noise % np.uint8(4), KnownSpans.none()
    )  # fmt: skip
    assert len(pack_table(table)) < 8 * 1024**2
    assert meters_per_page(35_040) == 28  # 28 x 35,040 = 981,120; 29 would be 1,016,160
    assert meters_per_page(MAX_PAGE_CELLS + 1) == 0


@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_a_wire_error(octets: bytes) -> None:
    with contextlib.suppress(WireError):
        unpack_table(octets)


@given(tables(), st.data())
@settings(max_examples=300)
def test_a_damaged_table_is_a_table_or_a_wire_error(
    table: IntervalTable, data: st.DataObject
) -> None:
    octets = bytearray(pack_table(table))
    for _ in range(data.draw(st.integers(1, 3))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(WireError):
        pack_table(unpack_table(bytes(octets)))


_VALUES = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.binary(max_size=40),
    st.binary(max_size=40).map(zlib.compress),
    st.lists(st.text(max_size=4), max_size=3),
)


@given(st.dictionaries(st.sampled_from(_FIELDS), _VALUES, min_size=1, max_size=3))
@settings(max_examples=300)
def test_a_table_that_lies_is_a_table_or_a_wire_error(lies: dict[str, object]) -> None:
    with contextlib.suppress(WireError):
        unpack_table(with_fields(pack_table(a_table()), **lies))


@pytest.mark.parametrize(
    ("lies", "said"),
    [
        ({"gain": zlib.compress(bytes(10**8))}, "gain has not the 48 bytes"),
        ({"spans": zlib.compress(bytes(10**8))}, "spans has not the 32 bytes"),
        ({"interval_count": 2**40}, f"{2**40} intervals each is not possible"),
        ({"interval_count": -1}, "-1 intervals each is not possible"),
        ({"interval_count": 4}, "has not the 8 bytes"),
        ({"gain_bytes": 3}, "gains of 3 bytes"),
        ({"span_count": 7}, "announces 7 spans"),
        ({"origin": zlib.compress(bytes([0, 0, 4, 0, 0, 0]))}, "origin 4; known are 0 to 3"),
        ({"meters": ["m1", "m.2"]}, r"Meter id 'm.2' is not usable"),
        ({"register_block": b""}, "is of 0 registers"),
        ({"start_us": 1}, "starts at 1 us with a period of 900 s"),
        ({"start_us": 2**62}, "further than times do"),
        ({"quality": b"not zlib"}, "quality cannot be decompressed"),
        ({"is_known": zlib.compress(b"\xf0") + b"more"}, "is_known has not the 1 bytes"),
    ],
)
def test_what_a_table_says_against_itself_is_refused(lies: dict[str, object], said: str) -> None:
    with pytest.raises(WireError, match=said):
        unpack_table(with_fields(pack_table(a_table()), **lies))


def test_a_decompression_bomb_takes_no_memory() -> None:
    bomb = with_fields(pack_table(a_table()), gain=zlib.compress(bytes(10**8)))  # to 97 kB
    tracemalloc.start()
    try:
        with pytest.raises(WireError, match="gain has not the 48 bytes"):
            unpack_table(bomb)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("span", [(2, 0, 1), (0, 3, 1), (0, 0, 4), (0, 0, 0), (0, 1, 2**63 - 1)])
def test_a_span_outside_of_its_table_is_refused(span: tuple[int, int, int]) -> None:
    spans = np.array([*span, 5], "<i8").tobytes()
    with pytest.raises(WireError, match="span outside of its meters or intervals"):
        unpack_table(with_fields(pack_table(a_table()), spans=zlib.compress(spans)))


def test_another_version_is_refused_with_both_named() -> None:
    for octets in (
        with_fields(pack_table(a_table()), version=TABLE_VERSION + 1),
        msgspec.msgpack.encode([TABLE_VERSION + 1, "another form"]),
    ):
        with pytest.raises(WireVersionError, match="has version 2, this program speaks version 1"):
            unpack_table(octets)


def test_a_table_too_large_to_travel_is_not_packed() -> None:
    flags = np.zeros((2, MAX_CELLS // 2 + 1), np.uint8)
    large = replace(
        a_table(), gain=flags.view(np.int8), is_known=flags.view(bool), quality=flags, origin=flags
    )
    with pytest.raises(TableSizeError, match="2 meters with 4000001 intervals each"):
        pack_table(large)
