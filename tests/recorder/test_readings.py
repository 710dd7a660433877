"""From messages to harvests, without a bus."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metertwin.bus.tail import Delivered
from metertwin.bus.wire import encode_readings
from metertwin.core.batch import ReadingBatch
from metertwin.core.clock import ManualClock, from_us
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.obis import Obis
from metertwin.core.twin import LedgerLine
from metertwin.recorder.counters import Counters
from metertwin.recorder.readings import ReadingIntake
from metertwin.store.duckdb import DuckDbStore

PollRound = Callable[..., ReadingBatch]
G1 = GroupId("g1")
ENERGY = Obis(1, 0, 1, 8, 0)
BEGIN, END = from_us(0), from_us(10**13)


def delivered(number: int, octets: bytes, group: str = "g1") -> Delivered:
    return Delivered(number, f"mt.{group}.reading._", octets)


class Intake:
    """A store with an intake in front, as the recorder connects them."""

    def __init__(self, path: Path, clock: ManualClock) -> None:
        self.store = DuckDbStore(path)
        self.counters = Counters()
        self.intake = ReadingIntake(self.store, clock, self.counters)

    def take(self, *messages: Delivered) -> None:
        harvest = self.intake.harvest(messages)
        self.counters.add(harvest, self.store.record(harvest))

    def sequences(self, meter: str) -> list[int]:
        table = self.store.read_range(MeterId(meter), ENERGY, BEGIN, END)
        return list(table["sequence"].to_pylist())


@pytest.fixture
def intake(history_file: Path, clock: ManualClock) -> Intake:
    return Intake(history_file, clock)


def test_rounds_are_stored_and_the_ledger_balances(intake: Intake, poll_round: PollRound) -> None:
    octets = [encode_readings(poll_round(G1, n)) for n in range(4)]
    intake.take(*(delivered(n + 1, octets[n]) for n in range(4)))
    assert intake.sequences("g1-m0") == [1, 3, 5, 7]
    assert intake.store.ledger(G1) == [
        LedgerLine(MeterId(f"g1-m{n}"), received=8, taken=8, duplicate=0, missing=0)
        for n in range(3)
    ]
    assert intake.store.remembered().positions == {"READINGS": 4}


def test_a_redelivered_message_is_counted_and_dropped(
    intake: Intake, poll_round: PollRound
) -> None:
    octets = encode_readings(poll_round(G1, 0))
    intake.take(delivered(1, octets), delivered(2, octets))
    intake.take(delivered(3, octets))
    assert intake.sequences("g1-m0") == [1]
    assert intake.counters.duplicate_count == 12
    assert intake.store.ledger(G1)[0] == LedgerLine(MeterId("g1-m0"), 2, 2, 4, 0)


def test_what_is_missing_is_known_until_it_comes(intake: Intake, poll_round: PollRound) -> None:
    first, second, third = (encode_readings(poll_round(G1, n)) for n in range(3))
    intake.take(delivered(1, first), delivered(2, third))
    assert [line.missing for line in intake.store.ledger(G1)] == [2, 2, 2]
    intake.take(delivered(3, second))
    assert [line.missing for line in intake.store.ledger(G1)] == [0, 0, 0]
    assert intake.sequences("g1-m2") == [1, 3, 5]


def test_alternating_register_blocks_keep_every_reading(
    intake: Intake, poll_round: PollRound
) -> None:
    messages = []
    for number in range(6):
        batch = poll_round(G1, number)
        if number % 2:  # the same quantities in another order make another block
            flipped = np.array(1 - batch.register_index, dtype=np.uint16)
            changes = {"registers": batch.registers[::-1], "register_index": flipped}
            batch = ReadingBatch(
                **{name: getattr(batch, name) for name in ReadingBatch.__slots__} | changes
            )
        messages.append(delivered(number + 1, encode_readings(batch)))
    intake.take(*messages)
    assert intake.sequences("g1-m1") == [1, 3, 5, 7, 9, 11]
    assert intake.counters.duplicate_count == 0


def test_a_lower_epoch_is_stale_also_after_a_restart(
    history_file: Path, clock: ManualClock, intake: Intake, poll_round: PollRound
) -> None:
    intake.take(delivered(1, encode_readings(poll_round(G1, 0, epoch=7))))
    intake.take(delivered(2, encode_readings(poll_round(G1, 1, epoch=6))))
    intake.store.close()
    again = Intake(history_file, clock)
    again.take(delivered(3, encode_readings(poll_round(G1, 1, epoch=6))))
    assert again.sequences("g1-m0") == [1]
    assert (intake.counters.stale_count, again.counters.stale_count) == (6, 6)
    epoch = again.store.remembered().epochs[G1]
    assert (epoch.epoch, epoch.stale_count) == (7, 12)
    assert again.store.ledger(G1)[0].received == 2
    again.store.close()


def _altered(batch: ReadingBatch, **changes: object) -> bytes:
    fields = msgspec.msgpack.decode(encode_readings(batch), type=list[object])
    names = ["version", "group", "epoch", "meters", "first_sequences", "counts", "register_block"]
    for name, value in changes.items():
        fields[names.index(name)] = value
    return msgspec.msgpack.encode(fields)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"version": 9}, "bus.wire_version"),
        ({"group": "g2"}, "bus.wire"),  # not the group of its subject
        ({"epoch": 2**60, "counts": b"\x01"}, "bus.wire"),  # must not make the others stale
        ({"meters": ["m 1", "m2", "m3"]}, "input.id"),
        ({"counts": np.array([1, 1, 1], "<u4").tobytes()}, "bus.wire"),
        ({"first_sequences": np.array([2**60, 1, 1], "<i8").tobytes()}, "bus.wire"),
        ({"register_block": b"\x00" * 12}, "bus.wire"),
    ],
)
def test_a_damaged_message_is_put_aside_and_the_others_go_on(
    intake: Intake, poll_round: PollRound, changes: dict[str, object], code: str
) -> None:
    damaged = _altered(poll_round(G1, 1), **changes)
    intake.take(
        delivered(1, encode_readings(poll_round(G1, 0))),
        delivered(2, damaged),
        delivered(3, encode_readings(poll_round(G1, 1))),
    )
    assert intake.sequences("g1-m0") == [1, 3]
    with intake.store._file.cursor() as cursor:
        kept = cursor.sql("SELECT stream_sequence, octets, code FROM refused").fetchall()
    assert kept == [(2, damaged, code)]


@given(octets=st.binary(max_size=200))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_bytes_stop_the_intake(intake: Intake, octets: bytes) -> None:
    harvest = intake.intake.harvest([delivered(1, octets)])
    assert [message.octets for message in harvest.refused] == [octets]


@given(
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), min_size=1, max_size=4)
)
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_flipped_bytes_stop_nothing(
    intake: Intake, poll_round: PollRound, flips: list[tuple[int, int]]
) -> None:
    octets = bytearray(encode_readings(poll_round(G1, 0)))
    for place, flip in flips:
        octets[place % len(octets)] ^= flip
    intake.take(delivered(1, bytes(octets)))


@given(data=st.data())
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_order_and_repetition_ends_in_the_same_history(
    intake: Intake, poll_round: PollRound, data: st.DataObject
) -> None:
    group = GroupId(f"g{len(intake.store.groups())}")
    numbers = data.draw(
        st.lists(st.integers(0, 5), min_size=1, max_size=20).map(lambda drawn: [*drawn, *range(6)])
    )
    numbers = data.draw(st.permutations(numbers))
    messages = [
        delivered(place + 1, encode_readings(poll_round(group, number)), group)
        for place, number in enumerate(numbers)
    ]
    while messages:
        size = data.draw(st.integers(1, len(messages)))
        intake.take(*messages[:size])
        messages = messages[size:]
    for line in intake.store.ledger(group):
        assert line == LedgerLine(line.meter, 12, 12, 2 * (len(numbers) - 6), 0)
        assert intake.sequences(line.meter) == [1, 3, 5, 7, 9, 11]
