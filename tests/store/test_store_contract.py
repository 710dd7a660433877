"""What every history store promises."""

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metertwin.core.batch import ReadingBatch
from metertwin.core.clock import from_us
from metertwin.core.command import Command, CommandKind, CommandOutcome, CommandStatus
from metertwin.core.errors import InvalidInputError, NotFoundError
from metertwin.core.event import Event, EventSource
from metertwin.core.ids import CommandId, GroupId, IdError, MeterId
from metertwin.core.ledger import Ledger
from metertwin.core.obis import Obis
from metertwin.core.twin import LedgerLine
from metertwin.store.errors import LimitError
from metertwin.store.harvest import GroupEpoch, Harvest, LedgerRows, Recorded, RefusedMessage
from metertwin.store.port import HistoryStore, ResampleHow
from metertwin.store.series import SeriesLabel

OpenStore = Callable[[], HistoryStore]
MakeBatch = Callable[..., ReadingBatch]
M1, M2, G1 = MeterId("m1"), MeterId("m2"), GroupId("g1")
ENERGY, VOLTAGE = Obis(1, 0, 1, 8, 0), Obis(1, 0, 32, 7, 0)
BEGIN, END = from_us(0), from_us(10**12)


def at(second: int) -> datetime:
    return from_us(second * 1_000_000)


def integers(store: HistoryStore, meter: MeterId = M1, obis: Obis = ENERGY) -> list[int]:
    return list(store.read_range(meter, obis, BEGIN, END)["integer"].to_pylist())


def record(store: HistoryStore, batch: ReadingBatch) -> Recorded:
    return store.record(Harvest([(batch, None)]))


def test_a_reading_comes_back_with_everything_it_said(
    store: HistoryStore, make_batch: MakeBatch
) -> None:
    record(store, make_batch([("m1", 60, 1234, 7, 0)]))
    table = store.read_range(M1, ENERGY, BEGIN, END)
    assert table.to_pylist() == [
        {
            "captured_at_us": 60_000_000,
            "integer": 1234,
            "quality": 0,
            "origin": 0,
            "received_at_us": 62_000_000,
            "sequence": 7,
        }
    ]
    assert SeriesLabel.read_from(table) == SeriesLabel("m1", "1-0:1.8.0*255", "Wh", 0, 0)


def test_the_start_belongs_to_a_range_and_the_end_does_not(
    store: HistoryStore, make_batch: MakeBatch
) -> None:
    record(store, make_batch([("m1", s, s, s, 0) for s in (10, 20, 30)]))
    assert store.read_range(M1, ENERGY, at(10), at(30))["integer"].to_pylist() == [10, 20]


def test_what_is_said_again_is_counted_and_not_doubled(
    store: HistoryStore, make_batch: MakeBatch
) -> None:
    record(store, make_batch([("m1", 10, 5, 1, 0)]))
    assert record(store, make_batch([("m1", 10, 5, 2, 0)])) == Recorded(repeated_count=1)
    assert integers(store) == [5]


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_of_two_values_the_one_with_the_higher_number_stands(
    store: HistoryStore, make_batch: MakeBatch, order: tuple[int, int]
) -> None:
    value = {1: 500, 2: 400}  # the later number has the lower value: max() would be wrong
    counts = [record(store, make_batch([("m1", 10, value[n], n, 0)])) for n in order]
    assert integers(store) == [400]
    assert counts == [Recorded(stored_count=1), Recorded(corrected_count=1)]


def test_a_late_reading_takes_its_place_in_time(store: HistoryStore, make_batch: MakeBatch) -> None:
    record(store, make_batch([("m1", 10, 1, 1, 0), ("m1", 30, 3, 2, 0)]))
    assert record(store, make_batch([("m1", 20, 2, 3, 0)])) == Recorded(stored_count=1)
    assert integers(store) == [1, 2, 3]


def test_a_masked_reading_is_not_stored(store: HistoryStore, make_batch: MakeBatch) -> None:
    batch = make_batch([("m1", 10, 1, 1, 0), ("m1", 20, 2, 2, 0), ("m1", 30, 3, 3, 0)])
    recorded = store.record(Harvest([(batch, np.array([True, False, True]))]))
    assert recorded == Recorded(stored_count=2)
    assert integers(store) == [1, 3]


Rows = st.lists(
    st.tuples(
        st.sampled_from(["m1", "m2"]),
        st.integers(1, 6),  # captured_at in s: few, so that keys meet
        st.integers(0, 2),  # value: few, so that repetitions and corrections both occur
        st.just(0),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=25,
)


@given(rows=Rows, data=st.data())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_order_and_grouping_gives_the_same_table_as_a_dictionary(
    store: HistoryStore,
    make_batch: MakeBatch,
    rows: list[tuple[str, int, int, int, int]],
    data: st.DataObject,
) -> None:
    # Each example has meters of its own, so that one file serves all examples.
    mark = len(store.ledger())
    numbered = [
        (f"{meter}-{mark}", captured, value, number, register)
        for number, (meter, captured, value, _, register) in enumerate(rows, start=1)
    ]
    delivered = data.draw(st.permutations(numbered))
    counts = Recorded()
    while delivered:
        size = data.draw(st.integers(1, len(delivered)))
        part, delivered = delivered[:size], delivered[size:]
        got = record(store, make_batch(part))
        counts = Recorded(
            counts.stored_count + got.stored_count,
            counts.repeated_count + got.repeated_count,
            counts.corrected_count + got.corrected_count,
        )
    model: dict[tuple[str, int, int], tuple[int, int]] = {}
    for meter, captured, value, number, register in numbered:
        model[meter, register, captured] = (value, number)  # ascending numbers: the highest stays
    for meter, register in {(key[0], key[1]) for key in model}:
        table = store.read_range(MeterId(meter), (ENERGY, VOLTAGE)[register], BEGIN, END)
        found = {
            captured // 1_000_000: (value, number)
            for captured, value, number in zip(
                *(table[n].to_pylist() for n in ("captured_at_us", "integer", "sequence")),
                strict=True,
            )
        }
        expected = {k[2]: v for k, v in model.items() if k[:2] == (meter, register)}
        assert found == expected
        assert len(table) == len(expected)
    assert counts.stored_count == len(model)
    assert counts.stored_count + counts.repeated_count + counts.corrected_count == len(numbered)


def test_positions_ledger_and_epochs_survive_with_the_rows(
    open_store: OpenStore, make_batch: MakeBatch
) -> None:
    store = open_store()
    batch = make_batch([("m1", 10, 1, 1, 0), ("m2", 10, 1, 3, 0), ("m1", 20, 2, 1, 0)])
    ids = store.meter_ids(G1, batch.meters)
    ledger = Ledger.sized(2)
    kept = ledger.admit(ids, batch.first_sequences, batch.counts.astype(np.int64))
    store.record(
        Harvest(
            [(batch, kept)],
            LedgerRows.of(ledger, ids),
            epochs=[GroupEpoch(G1, 9, 4)],
            positions={"READINGS": 12},
        )
    )
    remembered = open_store().remembered()
    assert remembered.positions == {"READINGS": 12}
    assert remembered.epochs == {G1: GroupEpoch(G1, 9, 4)}
    assert remembered.ledger.holes == {1: [(1, 2)]}
    assert remembered.ledger.received.tolist() == [1, 3]
    lines = [LedgerLine(M1, 1, 1, 1, 0), LedgerLine(M2, 3, 1, 0, 2)]
    assert open_store().ledger(G1) == lines


def test_a_filled_hole_is_gone_after_reopening(
    open_store: OpenStore, make_batch: MakeBatch
) -> None:
    store = open_store()
    ledger = Ledger.sized(1)
    for number in (2, 1):
        batch = make_batch([("m1", number, 1, number, 0)])
        ids = store.meter_ids(G1, batch.meters)
        kept = ledger.admit(ids, batch.first_sequences, batch.counts.astype(np.int64))
        store.record(Harvest([(batch, kept)], LedgerRows.of(ledger, ids)))
        store = open_store()
    assert store.remembered().ledger.holes == {}
    assert store.ledger() == [LedgerLine(M1, 2, 2, 0, 0)]


def test_reopening_keeps_what_is_a_repetition(open_store: OpenStore, make_batch: MakeBatch) -> None:
    record(open_store(), make_batch([("m1", 10, 5, 1, 0)]))
    store = open_store()
    assert record(store, make_batch([("m1", 10, 5, 2, 0)])) == Recorded(repeated_count=1)


def test_ids_count_from_zero_without_a_gap_and_stay(
    open_store: OpenStore, make_batch: MakeBatch
) -> None:
    store = open_store()
    assert store.meter_ids(G1, [M1, M2, M1]).tolist() == [0, 1, 0]
    record(store, make_batch([("m2", 1, 1, 1, 0)]))
    assert open_store().meter_ids(G1, [M2, M1, MeterId("m3")]).tolist() == [1, 0, 2]


def test_a_meter_that_changes_its_group_takes_its_history_along(
    open_store: OpenStore, make_batch: MakeBatch
) -> None:
    store = open_store()
    record(store, make_batch([("m1", 1, 1, 1, 0), ("m2", 1, 1, 1, 0)]))
    record(store, make_batch([("m1", 2, 2, 2, 0)], group="g2"))
    store = open_store()
    assert [line.meter for line in store.ledger(GroupId("g2"))] == [M1]
    assert [line.meter for line in store.ledger(G1)] == [M2]
    assert integers(store) == [1, 2]


def test_a_name_that_is_no_id_changes_nothing(store: HistoryStore) -> None:
    with pytest.raises(IdError, match=r"'m 1' is not usable"):
        store.meter_ids(G1, [M1, MeterId("m 1")])
    assert store.meter_ids(G1, [M2]).tolist() == [0]


def test_latest_before_a_time_includes_it(store: HistoryStore, make_batch: MakeBatch) -> None:
    record(store, make_batch([("m1", s, s * 2, s, 0) for s in (10, 20)]))
    assert store.latest_before(M1, ENERGY, at(20))["integer"].to_pylist() == [40]
    assert store.latest_before(M1, ENERGY, at(19))["integer"].to_pylist() == [20]
    assert len(store.latest_before(M1, ENERGY, at(9))) == 0


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        # windows [0, 10): 1 -> 7, 5 -> 3; [10, 20): none; [20, 30): 20 -> -4, 21 -> -5, 29 -> -5
        (ResampleHow.LAST, {0: 3, 20: -5}),
        (ResampleHow.MIN, {0: 3, 20: -5}),
        (ResampleHow.MAX, {0: 7, 20: -4}),
        (ResampleHow.MEAN, {0: 5000, 20: -4667}),  # (7+3)/2; -14/3 = -4.6667 in thousandths
    ],
)
def test_resampling_by_hand(
    store: HistoryStore, make_batch: MakeBatch, how: ResampleHow, expected: dict[int, int]
) -> None:
    said = [(1, 7), (5, 3), (20, -4), (21, -5), (29, -5)]
    record(store, make_batch([("m1", s, v, n, 1) for n, (s, v) in enumerate(said, start=1)]))
    table = store.resample(M1, VOLTAGE, at(0), at(30), every_s=10, how=how)
    seconds = [us // 1_000_000 for us in table["interval_start_us"].to_pylist()]
    assert dict(zip(seconds, table["integer"].to_pylist(), strict=True)) == expected
    assert table["reading_count"].to_pylist() == [2, 3]
    label = SeriesLabel.read_from(table)
    assert label is not None
    assert label.scaler == (-4 if how is ResampleHow.MEAN else -1)


def test_gains_add_up_over_missing_readings_and_mark_a_reset(
    store: HistoryStore, make_batch: MakeBatch
) -> None:
    # 0 -> 100, 10 -> 103, 20 missing, 30 -> 110, 40 -> 2 (reset), 50 -> 6
    said = [(0, 100), (10, 103), (30, 110), (40, 2), (50, 6)]
    record(store, make_batch([("m1", s, v, n, 0) for n, (s, v) in enumerate(said, start=1)]))
    table = store.resample(M1, ENERGY, at(0), at(50), every_s=10, how=ResampleHow.GAIN)
    rows = [
        (
            row["interval_start_us"] // 10**6,
            row["integer"],
            row["quality"],
            row["since_us"] // 10**6,
        )
        for row in table.to_pylist()
    ]
    assert rows == [(0, 3, 0, 0), (20, 7, 0, 10), (30, -108, 16, 30), (40, 4, 0, 40)]


@given(
    values=st.lists(st.integers(0, 2**40), min_size=2, max_size=20),
    every_s=st.integers(1, 40),
    start=st.integers(0, 30),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_gains_of_all_windows_sum_to_the_gain_of_the_whole(
    open_store: OpenStore, make_batch: MakeBatch, values: list[int], every_s: int, start: int
) -> None:
    store = open_store()
    meter = f"m{len(store.ledger())}"
    said = [(meter, 7 * n, value, n + 1, 0) for n, value in enumerate(values)]
    record(store, make_batch(said))
    end = 7 * len(values)
    start = min(start, end - 1)
    length = (end - start + every_s - 1) // every_s * every_s
    table = store.resample(
        MeterId(meter), ENERGY, at(start), at(start + length), every_s=every_s, how=ResampleHow.GAIN
    )
    assert sum(table["integer"].to_pylist()) == values[-1] - values[start // 7]


def test_registers_say_what_there_is(store: HistoryStore, make_batch: MakeBatch) -> None:
    record(store, make_batch([("m1", 5, 1, 1, 0), ("m1", 6, 2305, 2, 1), ("m1", 9, 2, 3, 0)]))
    assert store.registers(M1).to_pylist() == [
        {
            "obis": "1-0:1.8.0*255", "unit": "Wh", "scaler": 0, "period_s": 0,
            "reading_count": 2, "first_us": 5_000_000, "last_us": 9_000_000,
        },
        {
            "obis": "1-0:32.7.0*255", "unit": "V", "scaler": -1, "period_s": 0,
            "reading_count": 1, "first_us": 6_000_000, "last_us": 6_000_000,
        },
    ]  # fmt: skip


def test_events_commands_and_outcomes_are_stored_once(
    open_store: OpenStore, make_batch: MakeBatch
) -> None:
    event = Event(M1, EventSource.METER, 2, "power_up", at(5), at(6), "after 3 s")
    command = Command(
        CommandId("c1"), M1, G1, CommandKind.SET_LIMIT, "ops", at(7), at(70), {"limit_w": 3000}, 4
    )
    outcomes = [
        CommandOutcome(CommandId("c1"), M1, CommandStatus.ACCEPTED, at(8)),
        CommandOutcome(CommandId("c1"), M1, CommandStatus.EFFECTED, at(9), "ok"),
    ]
    harvest = Harvest(
        events=[(G1, event), (G1, event)],
        commands=[command],
        outcomes=[(G1, outcome) for outcome in outcomes],
    )
    open_store().record(harvest)
    store = open_store()
    store.record(harvest)
    assert store.events(M1, BEGIN, END).to_pylist() == [
        {
            "meter": "m1", "source": "meter", "code": 2, "name": "power_up",
            "captured_at_us": 5_000_000, "received_at_us": 6_000_000, "detail": "after 3 s",
        }
    ]  # fmt: skip
    audit = store.commands(G1).to_pylist()
    assert [(row["status"], row["at_us"], row["reason"]) for row in audit] == [
        ("accepted", 8_000_000, ""),
        ("effected", 9_000_000, "ok"),
    ]
    assert audit[0]["arguments"] == '{"limit_w":3000}'


def test_a_command_without_an_answer_is_in_the_audit(store: HistoryStore) -> None:
    command = Command(CommandId("c1"), M1, G1, CommandKind.RECONNECT, "ops", at(7), at(70))
    store.record(Harvest(commands=[command]))
    assert store.commands(M1)["status"].to_pylist() == [None]


def test_a_refused_message_is_counted(store: HistoryStore) -> None:
    refused = RefusedMessage("READINGS", 3, "mt.g1.reading._", b"\x00", "bus.wire", "cut", at(1))
    store.record(Harvest(refused=[refused], positions={"READINGS": 3}))
    assert store.refused_count() == 1


def test_the_limits_say_what_to_do(store: HistoryStore, make_batch: MakeBatch) -> None:
    record(store, make_batch([("m1", s, s, s, 0) for s in (1, 2, 3)]))
    with pytest.raises(
        LimitError, match=r"3 readings of 1-0:1\.8\.0.*the limit is 2; ask for a short"
    ):
        store.read_range(M1, ENERGY, BEGIN, END, limit=2)
    with pytest.raises(LimitError, match="ask for 1 to 200000"):
        store.events(M1, BEGIN, END, limit=0)
    with pytest.raises(LimitError, match="more than 200000 windows of 1 s"):
        store.resample(M1, ENERGY, BEGIN, END, every_s=1, how=ResampleHow.LAST)
    with pytest.raises(InvalidInputError, match="the end must be later"):
        store.read_range(M1, ENERGY, at(5), at(5))
    with pytest.raises(InvalidInputError, match="A window of 0 s"):
        store.resample(M1, ENERGY, BEGIN, END, every_s=0, how=ResampleHow.LAST)


def test_what_is_not_there_is_said_with_what_is(store: HistoryStore, make_batch: MakeBatch) -> None:
    record(store, make_batch([("m1", 1, 1, 1, 0)]))
    with pytest.raises(NotFoundError, match="Meter m2 has no history here; 1 other"):
        store.read_range(M2, ENERGY, BEGIN, END)
    with pytest.raises(NotFoundError, match=r"no history of 1-0:32.7.0\*255; it has 1-0:1.8.0"):
        store.read_range(M1, VOLTAGE, BEGIN, END)
    with pytest.raises(NotFoundError, match="Neither a meter nor a group named m9"):
        store.events(MeterId("m9"), BEGIN, datetime(2030, 1, 1, tzinfo=UTC))
