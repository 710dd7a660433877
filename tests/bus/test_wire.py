"""Readings on the wire: exact both ways, refused when damaged."""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metertwin.bus.wire import (
    ReadingMessage,
    WireError,
    WireVersionError,
    block_of_registers,
    decode_message,
    decode_readings,
    encode_readings,
    join_messages,
    registers_from_block,
)
from metertwin.core.batch import BatchShapeError, ReadingBatch
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.units import Unit

MakeBatch = Callable[..., ReadingBatch]
COLUMNS = (
    "first_sequences",
    "counts",
    "register_index",
    "integers",
    "captured_at_us",
    "received_at_us",
    "quality",
    "origin",
)


def test_a_register_is_twelve_bytes_in_the_order_of_the_docstring() -> None:
    # 1-0:1.8.0*255, Wh = 30 = 0x1e, scaler -1 = 0xff, 900 s = 0x0384 little-endian.
    block = block_of_registers([Register(Obis(1, 0, 1, 8, 0, 255), Unit.WATT_HOUR, -1, 900)])
    assert block == bytes.fromhex("0100010800ff 1e ff 84030000")


def test_a_batch_arrives_as_it_left(make_batch: MakeBatch) -> None:
    left = make_batch([3, 1, 5], first_sequence=41)
    came = decode_readings(encode_readings(left))
    assert (came.group, came.epoch, came.meters) == (left.group, left.epoch, left.meters)
    assert tuple(came.registers) == tuple(left.registers)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(came, name), getattr(left, name))


def test_joined_messages_are_their_batches_end_to_end(make_batch: MakeBatch) -> None:
    parts = [make_batch([2], 1), make_batch([1, 3], 3), make_batch([], 1)]
    joined = join_messages([decode_message(encode_readings(part)) for part in parts])
    assert joined.meters == ["m0", "m0", "m1"]
    for name in COLUMNS:
        whole = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(getattr(joined, name), whole)


def test_two_damaged_messages_do_not_make_a_whole_one(make_batch: MakeBatch) -> None:
    short, long = (decode_message(encode_readings(make_batch([2]))) for _ in range(2))
    short = msgspec.structs.replace(short, integers=short.integers[:8])
    long = msgspec.structs.replace(long, integers=long.integers + b"\0" * 8)
    with pytest.raises(WireError, match="announces 1 runs and 2 readings, but its columns"):
        join_messages([short, long])


def test_counts_of_two_messages_cannot_make_up_for_each_other(make_batch: MakeBatch) -> None:
    messages = [decode_message(encode_readings(make_batch([2]))) for _ in range(2)]
    wrong = [
        msgspec.structs.replace(message, counts=np.uint32(count).tobytes())
        for message, count in zip(messages, (1, 3), strict=True)
    ]
    with pytest.raises(WireError, match="has 2 readings, its runs announce another number"):
        join_messages(wrong)


@pytest.mark.parametrize("other", [{"group": "g2"}, {"epoch": 4}])
def test_messages_of_two_origins_are_not_joined(
    make_batch: MakeBatch, other: dict[str, Any]
) -> None:
    messages = [make_batch([1]), make_batch([1], **other)]
    with pytest.raises(WireError, match="cannot be one batch"):
        join_messages([decode_message(encode_readings(each)) for each in messages])


def test_another_version_is_refused_naming_both(make_batch: MakeBatch) -> None:
    fields = msgspec.msgpack.decode(encode_readings(make_batch([1])))
    with pytest.raises(WireVersionError, match="has version 2, this program speaks version 1"):
        decode_readings(msgspec.msgpack.encode([2, *fields[1:]]))
    # A later version may have any shape behind its number.
    with pytest.raises(WireVersionError, match="version 9"):
        decode_readings(msgspec.msgpack.encode([9, {"columns": 3}]))


def test_an_unknown_unit_is_refused(make_batch: MakeBatch) -> None:
    block = bytearray(block_of_registers(make_batch([1]).registers))
    block[6] = 99
    with pytest.raises(WireError, match="Unit code 99 is not known"):
        registers_from_block(bytes(block))


@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_batch_or_the_documented_error(octets: bytes) -> None:
    try:
        decode_readings(octets)
    except (WireError, BatchShapeError) as error:
        assert str(error).endswith(".")  # noqa: PT017 - any other error must get through


@given(
    st.builds(
        ReadingMessage,
        version=st.just(1),
        group=st.text(max_size=4),
        epoch=st.integers(-(2**63), 2**63 - 1),
        meters=st.lists(st.text(max_size=3), max_size=2),
        first_sequences=st.binary(max_size=17),
        counts=st.binary(max_size=9),
        register_block=st.binary(max_size=25),
        register_index=st.binary(max_size=5),
        integers=st.binary(max_size=17),
        captured_at_us=st.binary(max_size=17),
        received_at_us=st.binary(max_size=17),
        quality=st.binary(max_size=3),
        origin=st.binary(max_size=3),
    )
)
def test_any_columns_end_in_a_batch_or_the_documented_error(message: ReadingMessage) -> None:
    octets = msgspec.msgpack.encode(message)
    try:
        batch = decode_readings(octets)
    except (WireError, BatchShapeError):
        return
    batch.check()


@given(st.data())
def test_a_damaged_byte_ends_in_a_batch_or_the_documented_error(
    make_batch: MakeBatch, data: st.DataObject
) -> None:
    octets = bytearray(encode_readings(make_batch([2, 1])))
    octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode_readings(bytes(octets)).check()
    except (WireError, BatchShapeError) as error:
        assert error.code.startswith(("bus.", "input."))  # noqa: PT017 - as above
