"""The solver against a second one: a backward-forward sweep written here, from the raw file."""

import json
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from power_grid_model import ComponentType

from metertwin.simulation.errors import PowerFlowError
from metertwin.simulation.grid import DATA_FOLDER, Grid

Complexes = NDArray[np.complex128]


def table(data: dict[str, Any], component: str) -> list[dict[str, Any]]:
    names = data["attributes"][component]
    return [dict(zip(names, row, strict=True)) for row in data["data"][component]]


def sweep(demand_va: Complexes, busbar_v: Complexes) -> tuple[NDArray[np.float64], float]:
    """Return voltages at the connection points and the cables' loss in W, by currents alone."""
    data = json.loads((DATA_FOLDER / "grid.json").read_text())
    busbar = table(data, "transformer")[0]["to_node"]
    neighbours: dict[int, list[tuple[int, Complexes]]] = defaultdict(list)
    for line in table(data, "line"):
        z1, z0 = complex(line["r1"], line["x1"]), complex(line["r0"], line["x0"])
        impedance = np.full((3, 3), (z0 - z1) / 3) + np.eye(3) * z1
        neighbours[line["from_node"]].append((line["to_node"], impedance))
        neighbours[line["to_node"]].append((line["from_node"], impedance))
    order, parent = [busbar], {busbar: (busbar, np.zeros((3, 3), complex))}
    for node in order:
        for other, impedance in neighbours[node]:
            if other not in parent:
                parent[other] = (node, impedance)
                order.append(other)
    voltage = dict.fromkeys(order, busbar_v)
    load_nodes = [load["node"] for load in table(data, "asym_load")]
    loss_w = 0.0
    for _ in range(30):
        current = {node: np.zeros(3, complex) for node in order}
        for node, power in zip(load_nodes, demand_va, strict=True):
            current[node] = current[node] + np.conj(power / voltage[node])
        loss_w = 0.0
        for node in reversed(order[1:]):
            above, impedance = parent[node]
            current[above] = current[above] + current[node]
            loss_w += float(np.real(np.conj(current[node]) @ impedance @ current[node]))
        for node in order[1:]:
            above, impedance = parent[node]
            voltage[node] = voltage[above] - impedance @ current[node]
    return np.abs(np.array([voltage[node] for node in load_nodes])), loss_w


def busbar_phasors(
    grid: Grid, active_w: NDArray[np.float64], reactive_var: NDArray[np.float64]
) -> Complexes:
    """Return the sweep's boundary: the busbar's phasors, whose angles `FlowResult` leaves out."""
    update = {"asym_load": {"p_specified": active_w[0], "q_specified": reactive_var[0]}}
    output = grid._model.calculate_power_flow(
        symmetric=False,
        error_tolerance=1e-8,
        update_data=update,
    )
    node = output[ComponentType.node][0, grid._busbar_node]
    found: Complexes = node["u"] * np.exp(1j * node["u_angle"])
    return found


def test_an_independent_sweep_finds_the_same_voltages_and_losses(grid: Grid) -> None:
    rng = np.random.default_rng(3)
    active_w = rng.uniform(-1_000, 3_000, (1, 1, grid.point_count, 3))
    active_w[..., 40, :] = (0, 0, 12_000)  # one house that pulls one phase down
    reactive_var = 0.3 * active_w
    result = grid.solve(active_w, reactive_var, np.ones((1, 1)))
    busbar_v = busbar_phasors(grid, active_w, reactive_var)
    assert np.abs(busbar_v) == pytest.approx(result.busbar_v[0, 0])
    voltages_v, loss_w = sweep((active_w + 1j * reactive_var)[0, 0], busbar_v)
    assert np.abs(result.voltages_v[0, 0] - voltages_v).max() < 0.005
    assert result.cable_loss_w[0, 0] == pytest.approx(loss_w, rel=0.0005)
    assert loss_w > 500  # the feeder is loaded enough for the comparison to mean something


def test_what_leaves_the_transformer_is_what_arrives_and_what_the_cables_lose(grid: Grid) -> None:
    rng = np.random.default_rng(4)
    active_w = rng.uniform(-2_000, 2_500, (5, 3, grid.point_count, 3))
    result = grid.solve(active_w, 0.2 * active_w, np.ones((5, 3)))
    drawn_w = active_w.sum(axis=(2, 3))
    residual_w = result.busbar_w.sum(axis=2) - drawn_w - result.cable_loss_w
    assert np.abs(residual_w).max() < 0.01
    assert (result.cable_loss_w > 0).all()


def test_feeders_of_one_batch_do_not_disturb_each_other(grid: Grid) -> None:
    rng = np.random.default_rng(5)
    active_w = rng.uniform(0, 2_000, (2, 2, grid.point_count, 3))
    together = grid.solve(active_w, 0 * active_w, np.ones((2, 2)))
    alone = grid.solve(active_w[1:, :1], 0 * active_w[1:, :1], np.ones((1, 1)))
    assert together.voltages_v[1, 0] == pytest.approx(alone.voltages_v[0, 0], abs=1e-4)


def test_an_impossible_load_is_a_clear_error(grid: Grid) -> None:
    active_w = np.full((1, 1, grid.point_count, 3), 100_000.0)
    with pytest.raises(PowerFlowError, match=r"highest draw of one is 35400000 W") as caught:
        grid.solve(active_w, active_w, np.ones((1, 1)))
    assert caught.value.code == "simulation.power_flow"
