"""The bundled low-voltage grid: 118 connection points of a German village, and its power flow.

All feeders of a simulation are this grid, each loaded differently, so one batch of the solver
carries every feeder and several steps at once. The calculation is per phase: a house on one phase
pulls that phase down, the neutral's return path lifts the others.
"""

import csv
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from power_grid_model import (
    CalculationMethod,
    ComponentAttributeFilterOptions,
    ComponentType,
    PowerGridModel,
)
from power_grid_model.errors import (  # type: ignore[attr-defined] # documented, but no __all__
    PowerGridBatchError,
)
from power_grid_model.utils import json_deserialize_from_file

from metertwin.simulation.errors import PowerFlowError

Floats = NDArray[np.float64]

DATA_FOLDER = Path(__file__).parent / "data"
NOMINAL_V = 230.94010767585033
"""Phase to neutral of a 400 V grid: 400 / sqrt(3)."""
# Larger than any mismatch that shows in a register of whole Wh, reached in two iterations.
_TOLERANCE_PU = 1e-8
_OUTPUT: dict[ComponentType, set[str] | list[str] | ComponentAttributeFilterOptions | None] = {
    ComponentType.node: ["u"],
    ComponentType.line: ["p_from", "p_to"],
    ComponentType.transformer: ["p_from", "p_to", "q_to"],
}


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection point: where a meter can hang, and what SimBench says hangs there.

    Attributes:
        rated_w: Largest active power of its profile, in W.
        rated_var: Largest reactive power, in var.
        profile: Name of its profile's shape.
    """

    load_id: int
    name: str
    rated_w: float
    rated_var: float
    profile: str


@dataclass(frozen=True, slots=True, eq=False)
class FlowResult:
    """One power flow per step and feeder.

    Attributes:
        voltages_v: Phase to neutral at each connection point, shape (steps, feeders, points, 3).
        busbar_v: Phase to neutral behind the transformer, shape (steps, feeders, 3).
        busbar_w: Active power out of the transformer into the feeder, shape (steps, feeders, 3).
        busbar_var: Reactive power likewise.
        cable_loss_w: Lost in the cables, shape (steps, feeders).
        transformer_loss_w: Lost in the transformer, shape (steps, feeders).
    """

    voltages_v: Floats
    busbar_v: Floats
    busbar_w: Floats
    busbar_var: Floats
    cable_loss_w: Floats
    transformer_loss_w: Floats


class Grid:
    """The grid and its solver.

    Args:
        folder: Where grid.json and connections.csv are.
    """

    def __init__(self, folder: Path = DATA_FOLDER) -> None:
        self._data = json_deserialize_from_file(folder / "grid.json")
        self._model = PowerGridModel(self._data)
        self.connections = _read_connections(folder / "connections.csv")
        loads = self._data[ComponentType.asym_load]
        self._load_nodes = np.asarray(loads["node"], np.int64)
        self._busbar_node = int(self._data[ComponentType.transformer]["to_node"][0])

    @property
    def point_count(self) -> int:
        """Connection points of one feeder."""
        return len(self.connections)

    @cached_property
    def source_pu(self) -> float:
        """Voltage of the medium-voltage grid, as a ratio of its rating."""
        return float(self._data[ComponentType.source]["u_ref"][0])

    def solve(self, active_w: Floats, reactive_var: Floats, source_ratio: Floats) -> FlowResult:
        """Return the state of every feeder at every step.

        Args:
            active_w: Drawn at each point and phase, shape (steps, feeders, points, 3).
            reactive_var: Likewise, inductive positive.
            source_ratio: Medium voltage relative to normal, shape (steps, feeders), above 0.

        Raises:
            PowerFlowError: A feeder has no solution.
        """
        steps, feeders, points, _ = active_w.shape
        batch = steps * feeders
        update = {
            ComponentType.asym_load: {
                "p_specified": np.ascontiguousarray(active_w.reshape(batch, points, 3)),
                "q_specified": np.ascontiguousarray(reactive_var.reshape(batch, points, 3)),
            },
            ComponentType.source: {"u_ref": (self.source_pu * source_ratio).reshape(batch, 1)},
        }
        try:
            output = self._model.calculate_power_flow(
                symmetric=False,
                error_tolerance=_TOLERANCE_PU,
                max_iterations=100,
                calculation_method=CalculationMethod.iterative_current,
                update_data=update,
                output_component_types=_OUTPUT,
                threading=-1,  # more threads would take the cores of the meters that answer
            )
        except PowerGridBatchError as error:
            peak_w = float(active_w.sum(axis=(2, 3)).max())
            raise PowerFlowError(
                f"A feeder has no power flow; the highest draw of one is {peak_w:.0f} W. "
                "Lower the shares of electric vehicles and heat pumps, or the profiles.",
                peak_w=peak_w,
            ) from error
        nodes_v = np.asarray(output[ComponentType.node]["u"]).reshape(steps, feeders, -1, 3)
        trafo = {
            name: np.asarray(output[ComponentType.transformer][name])[:, 0]
            for name in ("p_from", "p_to", "q_to")
        }
        lines = output[ComponentType.line]
        shape = (steps, feeders, 3)
        return FlowResult(
            voltages_v=nodes_v[:, :, self._load_nodes],
            busbar_v=nodes_v[:, :, self._busbar_node],
            busbar_w=-trafo["p_to"].reshape(shape),
            busbar_var=-trafo["q_to"].reshape(shape),
            cable_loss_w=(lines["p_from"] + lines["p_to"]).sum(axis=(1, 2)).reshape(steps, feeders),
            transformer_loss_w=(trafo["p_from"] + trafo["p_to"])
            .sum(axis=1)
            .reshape(steps, feeders),
        )


def _read_connections(path: Path) -> tuple[Connection, ...]:
    with path.open(newline="", encoding="utf-8") as file:
        return tuple(
            Connection(
                load_id=int(row["load_id"]),
                name=row["name"],
                rated_w=float(row["rated_w"]),
                rated_var=float(row["rated_var"]),
                profile=row["profile"],
            )
            for row in csv.DictReader(file)
        )
