"""A group keeps the newest value of each register, counts exactly, and survives as bytes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metertwin.bus.tail import Delivered
from metertwin.bus.wire import WireVersionError, encode_readings
from metertwin.core.batch import ReadingBatch
from metertwin.core.clock import ManualClock
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.twin import TwinStatus
from metertwin.core.units import Unit
from metertwin.twins.apps.host import AppHost
from metertwin.twins.checkpoint import (
    Checkpoint,
    CheckpointError,
    encode_checkpoint,
    restore_checkpoint,
)
from metertwin.twins.follow import apply_delivered
from metertwin.twins.group import TwinGroup, UnknownTwinError
from metertwin.twins.settings import GroupSettings
from metertwin.twins.view import IMPORT_ENERGY, IMPORT_POWER, TwinView

MakeBatch = Callable[..., ReadingBatch]
IMPORT, POWER, PROFILE = 0, 1, 2
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def group_of(*meters: str) -> TwinGroup:
    ids = tuple(MeterId(meter) for meter in meters)
    return TwinGroup(GroupSettings(id=GroupId("g1"), meters=ids, freshness_s=900.0))


def no_apps(group: TwinGroup) -> AppHost:
    return AppHost(group, ManualClock(NOON))


def restore(octets: bytes) -> TwinGroup:
    group = group_of()
    restore_checkpoint(group, no_apps(group), Checkpoint(octets, {}))
    return group


def integer_of(group: TwinGroup, meter: str, obis: Obis) -> int:
    view = TwinView(group, ManualClock(NOON))
    cell = view.find(group.row(MeterId(meter)), obis)
    assert cell is not None
    return view.value(cell).integer


def test_the_newest_reading_of_each_register_is_reported(
    clock: ManualClock, make_batch: MakeBatch
) -> None:
    group = group_of()
    group.apply(
        [
            make_batch(
                ("a", 1, [(IMPORT, 100, 0), (IMPORT, 101, 60), (POWER, 7, 60)]),
                ("b", 1, [(POWER, 9, 0)]),
            )
        ]
    )
    assert integer_of(group, "a", IMPORT_ENERGY) == 101
    assert integer_of(group, "a", IMPORT_POWER) == 7
    assert integer_of(group, "b", IMPORT_POWER) == 9
    assert TwinView(group, clock).find(group.row(MeterId("b")), IMPORT_ENERGY) is None


def test_a_clock_set_back_does_not_freeze_the_twin(
    clock: ManualClock, make_batch: MakeBatch
) -> None:
    group = group_of()
    group.apply([make_batch(("a", 1, [(POWER, 500, 3600)]))])  # the meter's clock was an hour ahead
    group.apply([make_batch(("a", 2, [(POWER, 300, 60)]))])
    assert integer_of(group, "a", IMPORT_POWER) == 300


def test_an_old_interval_read_again_does_not_replace_a_newer_one(
    clock: ManualClock, make_batch: MakeBatch
) -> None:
    group = group_of()
    group.apply([make_batch(("a", 1, [(PROFILE, 20, 1800)]))])
    group.apply([make_batch(("a", 2, [(PROFILE, 10, 900)]))])
    reported = TwinView(group, clock).reported(0)
    assert reported["1-0:1.8.0*255@900s"].value == Decimal(20)
    assert group.ledger_line(0).taken == 2


def test_messages_in_the_wrong_order_leave_the_newest_value(
    clock: ManualClock, make_batch: MakeBatch
) -> None:
    group = group_of()
    group.apply([make_batch(("a", 3, [(POWER, 30, 30)]))])
    line = group.ledger_line(0)
    assert (line.received, line.taken, line.missing) == (3, 1, 2)
    group.apply([make_batch(("a", 1, [(POWER, 10, 10), (POWER, 20, 20)]))])
    line = group.ledger_line(0)
    assert (line.received, line.taken, line.missing, line.duplicate) == (3, 3, 0, 0)
    assert integer_of(group, "a", IMPORT_POWER) == 30


def test_a_falling_register_is_found_and_a_falling_power_is_not(
    clock: ManualClock, make_batch: MakeBatch
) -> None:
    group = group_of()
    assert group.apply([make_batch(("a", 1, [(IMPORT, 900, 0), (POWER, 50, 0)]))]) == []
    (fallen,) = group.apply([make_batch(("a", 3, [(IMPORT, 3, 60), (POWER, 40, 60)]))])
    assert fallen.before_integers.tolist() == [900]
    assert fallen.after_integers.tolist() == [3]


def test_readings_of_a_superseded_gateway_are_refused_and_counted(make_batch: MakeBatch) -> None:
    group = group_of()
    messages = [
        Delivered(number, "mt.g1.reading._", encode_readings(make_batch(*runs, epoch=epoch)))
        for number, epoch, *runs in (
            (1, 5, ("a", 1, [(POWER, 1, 0)])),
            (2, 4, ("a", 2, [(POWER, 2, 1), (POWER, 3, 2)])),
            (3, 5, ("a", 2, [(POWER, 4, 3)])),
        )
    ]
    apply_delivered([group], messages)
    assert integer_of(group, "a", IMPORT_POWER) == 4
    assert group.stale_count == 2
    assert (group.ledger_line(0).taken, group.stream_sequence) == (2, 3)


def test_alternating_polls_and_profiles_leave_no_hole_on_the_way(make_batch: MakeBatch) -> None:
    group = group_of()
    poll = [make_batch(("a", first, [(POWER, first, first)])) for first in (1, 3)]
    profile = make_batch(("a", 2, [(PROFILE, 5, 900)]))
    group.apply([*poll, profile])
    line = group.ledger_line(0)
    assert (line.received, line.taken, line.missing, group.ledger.holes) == (3, 3, 0, {})


def test_status_follows_when_the_meter_was_last_heard(
    clock: ManualClock, make_batch: MakeBatch
) -> None:
    group = group_of("a", "b")
    group.apply([make_batch(("a", 1, [(POWER, 1, -10)]))])
    view = TwinView(group, clock)
    assert [view.status(0), view.status(1)] == [TwinStatus.IN_STEP, TwinStatus.WAITING]
    assert view.age_s(0) == 10.0
    clock.current += timedelta(seconds=901)
    assert view.status(0) is TwinStatus.STALE
    assert view.in_step_count() == 0


def test_a_summary_has_the_newest_numbers_and_what_is_unknown_as_nothing(
    clock: ManualClock, make_batch: MakeBatch
) -> None:
    group = group_of("a", "b")
    group.apply([make_batch(("a", 1, [(IMPORT, 123456, -60), (POWER, 7, -5)]))])
    first, second = TwinView(group, clock).summaries([0, 1])
    assert (first.power_import_w, first.energy_import_wh, first.age_s) == (7.0, 123456.0, 5.0)
    assert (first.voltage_v, first.is_connected, first.status) == (None, None, TwinStatus.IN_STEP)
    assert (second.status, second.age_s, second.power_import_w) == (TwinStatus.WAITING, None, None)


def test_an_unknown_meter_is_named(clock: ManualClock) -> None:
    with pytest.raises(UnknownTwinError, match=r"no twin of meter x9; it has 1 twins"):
        group_of("a").row(MeterId("x9"))


def test_a_checkpoint_restores_everything(clock: ManualClock, make_batch: MakeBatch) -> None:
    group = group_of("z")
    group.apply([make_batch(("a", 1, [(IMPORT, 5, 0)]), ("b", 4, [(POWER, -3, 2)]))])
    group.stream_sequence = 77
    restored = group_of("b", "c")  # other meters configured since, other rows
    restore_checkpoint(restored, no_apps(restored), encode_checkpoint(group, no_apps(group)))
    assert restored.stream_sequence == 77
    for meter in ("a", "b"):
        before, after = group.row(MeterId(meter)), restored.row(MeterId(meter))
        assert group.ledger_line(before) == restored.ledger_line(after)
        assert TwinView(group, clock).reported(before) == TwinView(restored, clock).reported(after)
    restored.apply([make_batch(("b", 2, [(POWER, 1, 1)]))])
    assert restored.ledger_line(restored.row(MeterId("b"))).missing == 2  # 1 and 3 of 1..4


def test_a_damaged_checkpoint_says_so(clock: ManualClock) -> None:
    group = group_of("a")
    octets = encode_checkpoint(group, no_apps(group)).octets
    with pytest.raises(CheckpointError, match="damaged"):
        restore(octets[:-3])
    other = msgspec.msgpack.encode([9, *msgspec.msgpack.decode(octets)[1:]])
    with pytest.raises(WireVersionError, match=r"version 9, this program speaks version 3"):
        restore(other)


@pytest.mark.parametrize(("version", "later_fields_count"), [(1, 2), (2, 1)])
def test_a_checkpoint_of_an_earlier_version_is_read(
    clock: ManualClock, make_batch: MakeBatch, version: int, later_fields_count: int
) -> None:
    group = group_of("a")
    group.apply([make_batch(("a", 1, [(IMPORT, 5, 0)]))])
    octets = encode_checkpoint(group, no_apps(group)).octets
    fields = msgspec.msgpack.decode(octets)[1:-later_fields_count]
    restored = restore(msgspec.msgpack.encode([version, *fields]))
    assert restored.ledger_lines() == group.ledger_lines()
    assert TwinView(restored, clock).reported(0) == TwinView(group, clock).reported(0)


@given(st.binary(max_size=300))
def test_any_bytes_as_a_checkpoint_end_in_a_documented_error(octets: bytes) -> None:
    with pytest.raises((CheckpointError, WireVersionError)):
        restore(octets)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.lists(
                st.tuples(
                    st.sampled_from([IMPORT, POWER, PROFILE]),
                    st.integers(-(2**40), 2**40),
                    st.integers(-5, 5),
                ),
                min_size=1,
                max_size=5,
            ),
        ),
        max_size=8,
    )
)
def test_columns_agree_with_a_plain_dictionary(
    clock: ManualClock, make_batch: MakeBatch, runs: list[tuple[str, list[tuple[int, int, int]]]]
) -> None:
    group, next_sequence = group_of(), dict.fromkeys("abc", 1)
    model: dict[tuple[str, int], tuple[int, int]] = {}
    for meter, rows in runs:
        first = next_sequence[meter]
        group.apply([make_batch((meter, first, rows))])
        next_sequence[meter] = first + len(rows)
        for register, integer, captured_s in rows:
            rank = captured_s if register == PROFILE else 0
            if rank >= model.get((meter, register), (-99, 0))[0]:
                model[meter, register] = (rank, integer)
    columns = group.columns
    assert {
        (meter, register): int(columns.integers[register, group.row(MeterId(meter))])
        for meter, register in model
    } == {key: integer for key, (_, integer) in model.items()}
    assert int(group.ledger.taken.sum()) == sum(len(rows) for _, rows in runs)


def test_a_twin_of_thirty_registers_costs_less_than_two_kilobytes(clock: ManualClock) -> None:
    group = group_of(*(f"m{n:05d}" for n in range(10_000)))
    group.columns.add_registers(
        [Register(IMPORT_ENERGY, Unit.WATT_HOUR, scaler) for scaler in range(30)]
    )
    assert group.columns.size_bytes / len(group.columns) < 2_000
