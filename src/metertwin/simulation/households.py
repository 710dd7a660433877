"""Who lives behind the meters: which shape, which phases, who has solar, a car, a heat pump."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metertwin.simulation.grid import Connection
from metertwin.simulation.shapes import Shapes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SINGLE_PHASE_EV_W = 3_700.0
_THREE_PHASE_EV_W = 11_000.0


@dataclass(frozen=True, slots=True)
class Shares:
    """How many of the households have what, each 0 to 1.

    Attributes:
        three_phase_ratio: Connected on three phases rather than one.
        pv_ratio: With a photovoltaic plant.
        ev_ratio: With an electric vehicle charged at home.
        heat_pump_ratio: Heated by a heat pump.
    """

    three_phase_ratio: float = 0.7
    pv_ratio: float = 0.2
    ev_ratio: float = 0.15
    heat_pump_ratio: float = 0.15


@dataclass(frozen=True, slots=True, eq=False)
class Households:
    """One row per meter.

    Attributes:
        feeder: Number of its feeder, shape (n,).
        point: Its connection point there, shape (n,).
        is_three_phase: Shape (n,).
        phase_order: Grid phase at the meter's terminals L1, L2, L3, shape (n, 3).
        load_share: How its load spreads over the grid's phases, rows sum to 1, shape (n, 3).
        even_share: Likewise for what is balanced over the phases it has.
        rated_w: Peak of the base load, in W, shape (n,); 0 where measured profiles replace it.
        rated_var: Peak of its reactive part, in var.
        shape_w: Column of its shape.
        shape_var: Column of its reactive shape.
        shift_steps: Quarters of an hour it lives later than its shape.
        pv_peak_w: 0 without a plant.
        pv_shape: Column of the plant's shape.
        ev_w: Power of the wall box, 0 without one.
        heat_pump_w: Power of the compressor, 0 without one.
    """

    feeder: Ints
    point: Ints
    is_three_phase: NDArray[np.bool_]
    phase_order: Ints
    load_share: Floats
    even_share: Floats
    rated_w: Floats
    rated_var: Floats
    shape_w: Ints
    shape_var: Ints
    shift_steps: Ints
    pv_peak_w: Floats
    pv_shape: Ints
    ev_w: Floats
    heat_pump_w: Floats

    @property
    def count(self) -> int:
        """Households."""
        return len(self.feeder)


def settle(
    meter_count: int,
    group_size: int,
    connections: tuple[Connection, ...],
    *,
    shapes: Shapes,
    shares: Shares,
    seed: int,
) -> Households:
    """Return households for `meter_count` meters, `group_size` on each feeder.

    The same seed settles the same street; the first meters of a larger street are those of the
    smaller one.
    """
    rng = np.random.default_rng(seed)
    feeder_count = -(-meter_count // group_size)
    rows = [
        _one_feeder(number, group_size, connections, shapes=shapes, shares=shares, rng=rng)
        for number in range(feeder_count)
    ]
    columns = {name: np.concatenate([row[name] for row in rows])[:meter_count] for name in rows[0]}
    return Households(**columns)


def _one_feeder(
    number: int,
    size: int,
    connections: tuple[Connection, ...],
    *,
    shapes: Shapes,
    shares: Shares,
    rng: np.random.Generator,
) -> dict[str, NDArray[np.generic]]:
    # A small group spreads over the whole feeder instead of crowding at its head.
    points = np.sort(rng.permutation(len(connections))[:size])
    here = [connections[point] for point in points]
    three_phase = rng.random(size) < shares.three_phase_ratio
    phase_order = (rng.integers(0, 3, size)[:, None] + np.arange(3)) % 3
    single = np.eye(3)[phase_order[:, 0]]
    uneven = rng.dirichlet((4.0, 4.0, 4.0), size)
    even = np.where(three_phase[:, None], 1.0 / 3.0, single)
    size_factor = rng.lognormal(-0.045, 0.3, size)
    pv_peak_w = rng.uniform(3_000, 10_000, size) * (rng.random(size) < shares.pv_ratio)
    ev_w = np.where(three_phase, _THREE_PHASE_EV_W, _SINGLE_PHASE_EV_W)
    return {
        "feeder": np.full(size, number),
        "point": points,
        "is_three_phase": three_phase,
        "phase_order": phase_order,
        "load_share": np.where(three_phase[:, None], uneven, single),
        "even_share": even,
        "rated_w": np.array([item.rated_w for item in here]) * size_factor,
        "rated_var": np.array([item.rated_var for item in here]) * size_factor,
        "shape_w": np.array([shapes.column(f"{item.profile}_w") for item in here]),
        "shape_var": np.array([shapes.column(f"{item.profile}_var") for item in here]),
        # Whole weeks and up to an hour: neighbours share a shape, not a kettle.
        "shift_steps": rng.integers(-3, 4, size) * 7 * 96 + rng.integers(-4, 5, size),
        "pv_peak_w": np.where(three_phase, pv_peak_w, np.minimum(pv_peak_w, 4_600.0)),
        "pv_shape": rng.choice(np.array(shapes.generation), size),
        "ev_w": ev_w * (rng.random(size) < shares.ev_ratio),
        "heat_pump_w": rng.uniform(1_800, 3_500, size)
        * (rng.random(size) < shares.heat_pump_ratio),
    }
