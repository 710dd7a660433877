"""From flows to what meters count: increments in integers of 1e-6 Wh, and the values of the moment.

A transformer meter is one more row per feeder: it hangs on the busbar and measures all that goes
into the feeder, so that somebody can compare it with the sum of the households.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metertwin.simulation.columns import UWH_PER_WH, Columns, Energy
from metertwin.simulation.demand import TimeGrid
from metertwin.simulation.flow import MeterFlows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Metered:
    """What every meter measures, households first, phases in the grid's order.

    Attributes:
        power_w: Shape (steps, meters, 3).
        reactive_var: Shape (steps, meters, 3).
        voltages_v: Shape (steps, meters, 3).
    """

    power_w: Floats
    reactive_var: Floats
    voltages_v: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Gains:
    """What the counters gain over a batch.

    Attributes:
        running_uwh: Gain of the first four counters from the batch's start to the end of each
            step, shape (4, steps, meters); see `Energy`.
        totals_uwh: Gain of all counters, shape (12, meters).
    """

    running_uwh: Ints
    totals_uwh: Ints


def metered(flows: MeterFlows, *, with_transformers: bool) -> Metered:
    """Return what the meters measure."""
    if not with_transformers:
        return Metered(flows.measured_w, flows.measured_var, flows.voltages_v)
    feeder = flows.feeder
    return Metered(
        np.concatenate([flows.measured_w, feeder.busbar_w], axis=1),
        np.concatenate([flows.measured_var, feeder.busbar_var], axis=1),
        np.concatenate([flows.voltages_v, feeder.busbar_v], axis=1),
    )


def energy_uwh(power_w: Floats, grid: TimeGrid) -> Ints:
    """Return the energy of each step, rounded to 1e-6 Wh; steps are the first axis."""
    hours = (grid.lengths_s / 3600).reshape(-1, *[1] * (power_w.ndim - 1))
    rounded: Ints = np.rint(power_w * hours * UWH_PER_WH).astype(np.int64)
    return rounded


def count_energy(measured: Metered, grid: TimeGrid, tariffs: NDArray[np.uint8]) -> Gains:
    """Return what the counters gain.

    Import and export are split by the sum of the phases, so a house that feeds in on one phase and
    draws as much on another counts nothing, as German and Dutch meters do.

    Args:
        measured: What the meters measure.
        grid: The steps.
        tariffs: Tariff in force, 1 to 4, shape (steps, meters).
    """
    active = energy_uwh(measured.power_w.sum(axis=2), grid)
    reactive = energy_uwh(measured.reactive_var.sum(axis=2), grid)
    each = np.stack(
        [
            np.maximum(active, 0),
            np.maximum(-active, 0),
            np.maximum(reactive, 0),
            np.maximum(-reactive, 0),
        ]
    )
    running = each.cumsum(axis=1)
    totals = np.zeros((len(Energy), each.shape[2]), np.int64)
    totals[:4] = running[:, -1]
    # Nearly every batch lies within one tariff of all meters, whose gain is then the total.
    lowest, highest = int(tariffs.min()), int(tariffs.max())
    for total, first in (
        (Energy.IMPORT, Energy.IMPORT_TARIFF_1),
        (Energy.EXPORT, Energy.EXPORT_TARIFF_1),
    ):
        rest = totals[total].copy()
        for tariff in range(lowest, highest):
            row = first + tariff - 1
            totals[row] = (each[total] * (tariffs == tariff)).sum(axis=0)
            rest -= totals[row]
        totals[first + highest - 1] = rest
    return Gains(running, totals)


def show_latest(columns: Columns, measured: Metered, phase_order: Ints) -> None:
    """Put the last step's values onto the meters' terminals.

    Args:
        columns: Where they go.
        measured: What the meters measure.
        phase_order: Grid phase at terminals L1 to L3, shape (meters, 3).
    """
    power_w, reactive_var = measured.power_w[-1], measured.reactive_var[-1]
    voltages_v = measured.voltages_v[-1]
    apparent_va = np.hypot(power_w, reactive_var)
    currents_a = np.divide(
        apparent_va, voltages_v, out=np.zeros_like(apparent_va), where=voltages_v > 0
    )
    columns.voltages_v[:] = np.take_along_axis(voltages_v, phase_order, axis=1)
    columns.currents_a[:] = np.take_along_axis(currents_a, phase_order, axis=1)
    columns.power_w[:] = power_w.sum(axis=1)
    columns.reactive_var[:] = reactive_var.sum(axis=1)
