from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metertwin.simulation.columns import UWH_PER_WH, Energy
from metertwin.simulation.config import SimulationConfig
from metertwin.simulation.demand import TimeGrid
from metertwin.simulation.metering import Metered, count_energy, energy_uwh
from metertwin.simulation.world import World

MakeWorld = Callable[..., World]
Run = Callable[[World, float], World]


def test_meters_and_losses_make_up_what_the_transformers_supplied(
    make_world: MakeWorld, run: Run
) -> None:
    world = run(make_world(meter_count=60, group_size=30, step_s=300), 86_400)
    truth, homes = world.truth, world.street.homes
    for feeder in range(2):
        consumed = truth.consumed_uwh[homes.feeder == feeder].sum()
        balance_uwh = consumed + truth.cable_loss_uwh[feeder]
        # One rounding of 1e-6 Wh per meter and step at most, and the solver's own tolerance.
        assert balance_uwh == pytest.approx(truth.supplied_uwh[feeder], abs=0.5 * UWH_PER_WH)
    assert (truth.cable_loss_uwh > 0).all()


def test_honest_meters_register_what_was_consumed(make_world: MakeWorld, run: Run) -> None:
    world = run(make_world(), 6 * 3600)
    counted = world.columns.energy_uwh
    net_uwh = counted[Energy.IMPORT] - counted[Energy.EXPORT]
    assert net_uwh[:20].tolist() == world.truth.consumed_uwh.tolist()


def test_a_transformer_meter_registers_what_was_supplied(make_world: MakeWorld, run: Run) -> None:
    world = run(make_world(), 3600)
    counted = world.columns.energy_uwh[:, 20]
    assert counted[Energy.IMPORT] - counted[Energy.EXPORT] == world.truth.supplied_uwh[0]


def test_registers_never_fall_and_tariffs_add_up(make_world: MakeWorld, run: Run) -> None:
    world = make_world(step_s=900)
    before = world.columns.energy_uwh.copy()
    for _ in range(24):
        run(world, 3600)
        now = world.columns.energy_uwh
        assert (now >= before).all()
        before = now.copy()
        assert (now[4:8].sum(axis=0) == now[Energy.IMPORT]).all()
        assert (now[8:12].sum(axis=0) == now[Energy.EXPORT]).all()
    assert (before[4] > 0).any()
    assert (before[5] > 0).any()


def test_the_energy_of_appliances_does_not_depend_on_the_step(
    make_world: MakeWorld, run: Run
) -> None:
    fine = run(make_world(step_s=60), 86_400).truth.consumed_uwh
    coarse = run(make_world(step_s=900), 86_400).truth.consumed_uwh
    # Only the flicker within a quarter of an hour differs; over a day it averages out.
    assert coarse == pytest.approx(fine, rel=0.02, abs=5e7)


def test_the_same_seed_is_the_same_street(make_world: MakeWorld, run: Run) -> None:
    first = run(make_world(seed=7), 1800).columns.energy_uwh
    assert (run(make_world(seed=7), 1800).columns.energy_uwh == first).all()
    assert (run(make_world(seed=8), 1800).columns.energy_uwh != first).any()


@given(
    st.lists(st.integers(1, 900), min_size=1, max_size=30),
    st.floats(-50_000, 50_000, allow_nan=False),
)
@settings(max_examples=50)
def test_no_watt_hour_is_lost_however_an_hour_is_cut(lengths_s: list[int], power_w: float) -> None:
    edges_s = np.cumsum([0, *lengths_s])
    grid = TimeGrid(edges_s[:-1], np.diff(edges_s))
    counted_uwh = int(energy_uwh(np.full(len(lengths_s), power_w), grid).sum())
    exact_wh = power_w * sum(lengths_s) / 3600
    assert counted_uwh / UWH_PER_WH == pytest.approx(exact_wh, abs=len(lengths_s) * 5.1e-7)


def test_import_and_export_are_the_sum_over_the_phases() -> None:
    # 1000 W in on L1, 400 W out on L2, over 900 s: (1000 - 400) W x 0.25 h = 150 Wh imported.
    # Then 600 W out on L3 over 900 s: 150 Wh exported, in tariff 2.
    power_w = np.array([[[1000.0, -400.0, 0.0]], [[0.0, 0.0, -600.0]]])
    measured = Metered(power_w, 0 * power_w, 0 * power_w)
    grid = TimeGrid(np.array([0, 900]), np.array([900, 900]))
    gains = count_energy(measured, grid, np.array([[1], [2]], np.uint8))
    in_wh = (gains.totals_uwh[:, 0] // UWH_PER_WH).tolist()
    assert in_wh == [150, 150, 0, 0, *(150, 0, 0, 0), *(0, 150, 0, 0)]


def test_true_quarters_add_up_to_the_totals(make_world: MakeWorld, run: Run) -> None:
    world = run(make_world(), 4 * 900)
    quarters = world.truth.quarters()
    assert [later - earlier for earlier, later in pairwise(quarters.interval_start_s)] == [900] * 3
    total_wh = world.truth.consumed_uwh / UWH_PER_WH
    assert quarters.consumed_wh.sum(axis=0) == pytest.approx(total_wh, rel=1e-6, abs=1e-3)


def test_ten_thousand_meters_are_a_handful_of_arrays(make_world: MakeWorld) -> None:
    config = SimulationConfig(meter_count=10_000)
    world = make_world(meter_count=config.meter_count, group_size=None)
    assert world.street.feeder_count == 85  # 10,000 / 118 connection points
    assert world.columns.energy_uwh.shape == (12, 10_085)
