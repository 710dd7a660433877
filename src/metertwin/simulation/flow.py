"""One batch of steps as the feeder and the meters see it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metertwin.simulation.demand import Demand
from metertwin.simulation.effects import Effects
from metertwin.simulation.grid import FlowResult, Grid
from metertwin.simulation.households import Households

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class MeterFlows:
    """What flows at each meter, phases in the grid's order.

    Attributes:
        true_w: Net draw of the household, around the meter included, shape (steps, n, 3).
        measured_w: What its meter measures, shape (steps, n, 3).
        measured_var: Likewise.
        voltages_v: Phase to neutral, 0 without supply, shape (steps, n, 3).
        feeder: The feeders.
    """

    true_w: Floats
    measured_w: Floats
    measured_var: Floats
    voltages_v: Floats
    feeder: FlowResult


def solve_flows(
    grid: Grid, homes: Households, demand: Demand, effects: Effects, is_closed: Bools
) -> MeterFlows:
    """Return the flows of a batch.

    Args:
        grid: The feeder's grid and solver.
        homes: The households.
        demand: What they would draw.
        effects: What the scenario does meanwhile.
        is_closed: Whether each breaker is closed, shape (steps, n).
    """
    around = effects.bypassed_ratio[:, None]
    live = effects.is_live[:, None]
    # A bypass goes around the breaker too: that load stays on when the meter disconnects.
    closed = (is_closed & effects.is_live)[:, :, None]
    through_w = (demand.load_w * (1 - around) - demand.generation_w) * closed
    through_var = demand.load_var * (1 - around) * closed
    true_w = through_w + demand.load_w * (around * live)
    true_var = through_var + demand.load_var * (around * live)
    result = _energised(_solve(grid, homes, effects, true_w, true_var), effects)
    voltages_v = result.voltages_v[:, homes.feeder, homes.point] * live
    ratio = effects.registered_ratio[:, None]
    return MeterFlows(true_w, through_w * ratio, through_var * ratio, voltages_v, result)


def _solve(
    grid: Grid, homes: Households, effects: Effects, active_w: Floats, reactive_var: Floats
) -> FlowResult:
    steps, feeders = len(active_w), len(effects.is_feeder_live)
    drawn = np.zeros((2, steps, feeders, grid.point_count, 3))
    drawn[0][:, homes.feeder, homes.point] = active_w
    drawn[1][:, homes.feeder, homes.point] = reactive_var
    return grid.solve(drawn[0], drawn[1], np.tile(effects.source_ratio, (steps, 1)))


def _energised(result: FlowResult, effects: Effects) -> FlowResult:
    """Return the result with feeders that are switched off at 0.

    The solver has no unsupplied feeder; it saw one without loads, whose charging current and
    no-load loss do not exist when the transformer is off.
    """
    live = effects.is_feeder_live
    if live.all():
        return result
    return FlowResult(
        voltages_v=result.voltages_v * live[:, None, None],
        busbar_v=result.busbar_v * live[:, None],
        busbar_w=result.busbar_w * live[:, None],
        busbar_var=result.busbar_var * live[:, None],
        cable_loss_w=result.cable_loss_w * live,
        transformer_loss_w=result.transformer_loss_w * live,
    )
