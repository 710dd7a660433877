from collections.abc import Callable

import numpy as np
import pytest

from metertwin.simulation.columns import UWH_PER_WH, Energy
from metertwin.simulation.event_log import MeterEvent
from metertwin.simulation.meter import Meter, Metering
from metertwin.simulation.world import World

MakeWorld = Callable[..., World]
Run = Callable[[World, float], World]


def net_uwh(world: World) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    counted = world.columns.energy_uwh
    found: np.ndarray[tuple[int], np.dtype[np.int64]] = (
        counted[Energy.IMPORT] - counted[Energy.EXPORT]
    )
    return found


def test_theft_by_factor_shows_only_in_the_difference(make_world: MakeWorld, run: Run) -> None:
    theft = "events: [{kind: theft_factor, meters: [m000003], start: 0, factor: 0.25}]"
    honest, robbed = run(make_world(), 3600), run(make_world(theft), 3600)
    assert (robbed.truth.consumed_uwh == honest.truth.consumed_uwh).all()
    assert (robbed.truth.supplied_uwh == honest.truth.supplied_uwh).all()
    others = np.arange(21) != 2
    assert (net_uwh(robbed)[others] == net_uwh(honest)[others]).all()
    assert net_uwh(robbed)[2] == pytest.approx(0.25 * net_uwh(honest)[2], abs=100)
    assert robbed.columns.voltages_v[2] == pytest.approx(honest.columns.voltages_v[2])


def test_a_bypass_feeds_on_when_the_breaker_is_open(make_world: MakeWorld, run: Run) -> None:
    theft = "events: [{kind: theft_bypass, meters: [m000003], start: 0, share: 0.4}]"
    world = make_world(theft)
    Meter(Metering(world), 2).disconnect()
    honest = run(make_world(), 3600)
    run(world, 3600)
    assert net_uwh(world)[2] == 0
    drawn_uwh = world.truth.consumed_uwh[2]
    assert drawn_uwh == pytest.approx(0.4 * honest.truth.consumed_uwh[2], abs=100)


def test_disconnecting_drops_the_load_and_lifts_the_voltage(
    make_world: MakeWorld, run: Run
) -> None:
    world = run(make_world(shares=None), 60)
    row = int(np.argmax(world.columns.power_w[:20]))
    meter = Meter(Metering(world), row)
    loaded_v = world.columns.voltages_v[row].copy()
    loaded_w = world.columns.power_w[row]
    assert loaded_w > 500
    meter.disconnect()
    counted = net_uwh(world)[row]
    run(world, 60)
    assert world.columns.power_w[row] == 0
    assert net_uwh(world)[row] == counted
    assert world.columns.voltages_v[row, 0] > loaded_v[0]
    meter.reconnect()
    run(world, 60)
    assert world.columns.power_w[row] > 0
    _, codes = world.events.read(row)
    assert codes.tolist() == [MeterEvent.REMOTE_DISCONNECTION, MeterEvent.REMOTE_CONNECTION]


def test_a_limiter_trips_after_a_minute_above_its_threshold(
    make_world: MakeWorld, run: Run
) -> None:
    world = run(make_world(step_s=30), 60)
    row = int(np.argmax(world.columns.power_w[:20]))
    meter = Meter(Metering(world), row)
    meter.set_limit(100)
    run(world, 30)
    states = [meter.is_connected]
    run(world, 30)  # 60 s above: it trips at the end of this step
    states.append(meter.is_connected)
    assert states == [True, False]
    assert meter.control_state.name == "READY_FOR_RECONNECTION"
    run(world, 30)
    assert world.columns.power_w[row] == 0


def test_an_outage_takes_voltage_energy_and_answers_and_is_logged(
    make_world: MakeWorld, run: Run
) -> None:
    outage = "events: [{kind: outage, groups: [feeder-1], start: 600, end: 1500}]"
    world = run(make_world(outage), 1200)
    assert (world.columns.voltages_v == 0).all()
    assert (world.columns.power_w == 0).all()
    assert not Meter(Metering(world), 0).is_answering
    assert world.profiles.entry_count(0) == 0  # 900 s fell into the outage
    counted = net_uwh(world).copy()
    run(world, 300)
    assert (net_uwh(world) == counted).all()
    run(world, 300)
    assert (world.columns.voltages_v[20] > 200).all()
    held = world.profiles.read(0)
    assert held.status.tolist() == [0x80]  # power was down in this quarter
    _, codes = world.events.read(0)
    assert codes.tolist() == [MeterEvent.POWER_DOWN, MeterEvent.POWER_UP]


def test_a_dip_lowers_the_voltage_of_its_feeder_alone(make_world: MakeWorld, run: Run) -> None:
    dip = "events: [{kind: voltage_dip, groups: [feeder-2], start: 60, end: 90, residual: 0.8}]"
    world = run(make_world(dip, meter_count=40), 85)
    busbars_v = world.columns.voltages_v[40:, 0]
    assert busbars_v[1] / busbars_v[0] == pytest.approx(0.8, abs=0.01)
    run(world, 35)
    busbars_v = world.columns.voltages_v[40:, 0]
    assert busbars_v[1] / busbars_v[0] == pytest.approx(1.0, abs=0.01)


def test_a_drifting_clock_captures_its_quarters_early(make_world: MakeWorld, run: Run) -> None:
    drift = "events: [{kind: clock_drift, meters: [m000001], start: 0, rate_ppm: 50000}]"
    world = run(make_world(drift), 900)
    # 900 s x 5 % = 45 s ahead.
    assert world.columns.clock_offset_s[0] == pytest.approx(45.0)
    assert Meter(Metering(world), 0).clock.timestamp() == pytest.approx(world.now_s + 45)
    assert world.profiles.entry_count(0) == 1
    early, exact = world.profiles.read(0), world.profiles.read(1)
    assert early.captured_at_s.tolist() == exact.captured_at_s.tolist() == [world.now_s]
    # It captured at the end of the step in which its clock passed the quarter: 60 s before.
    assert int(early.registers[0, 0]) <= int(world.columns.energy_uwh[0, 0] // UWH_PER_WH)


def test_a_counter_reset_starts_at_zero_and_keeps_the_profile(
    make_world: MakeWorld, run: Run
) -> None:
    reset = "events: [{kind: counter_reset, meters: [m000002], start: 1000}]"
    world = run(make_world(reset), 1000)
    before = int(world.columns.energy_uwh[0, 1])
    run(world, 800)
    after = int(world.columns.energy_uwh[0, 1])
    assert 0 < after < before
    assert world.profiles.entry_count(1) == 2
    assert world.events.read(1)[1].tolist() == [MeterEvent.REGISTER_CLEARED]


def test_a_replaced_meter_has_another_serial_and_no_past(make_world: MakeWorld, run: Run) -> None:
    swap = "events: [{kind: replaced_meter, meters: [m000002], start: 1000}]"
    world = run(make_world(swap), 1000)
    old = Meter(Metering(world), 1).serial
    run(world, 60)
    assert old == "0000000200"
    assert Meter(Metering(world), 1).serial == "0000000201"
    assert world.profiles.entry_count(1) == 0
    assert world.profiles.entry_count(0) == 1


def test_a_silent_meter_measures_on(make_world: MakeWorld, run: Run) -> None:
    silence = "events: [{kind: silent, meters: [m000002], start: 60, end: 120}]"
    world = run(make_world(silence), 90)
    silent, other = Meter(Metering(world), 1), Meter(Metering(world), 0)
    answering = [silent.is_answering, other.is_answering]
    counted = silent.energy_wh(Energy.IMPORT)
    run(world, 900)
    assert [*answering, silent.is_answering] == [False, True, True]
    assert silent.energy_wh(Energy.IMPORT) > counted
