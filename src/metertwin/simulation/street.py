"""Who is where: ids, groups and rows, the households behind them and what befalls them."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from metertwin.core.ids import GroupId, MeterId
from metertwin.simulation.config import SimulationConfig
from metertwin.simulation.grid import Grid
from metertwin.simulation.households import Households, Shares, settle
from metertwin.simulation.measured import MeasuredProfiles, read_profiles
from metertwin.simulation.scenario import Scenario
from metertwin.simulation.scenario_file import Names, read_scenario
from metertwin.simulation.shapes import Shapes, read_shapes

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Street:
    """The street before anything happens.

    Attributes:
        homes: The households.
        shapes: Shapes their demand follows.
        measured: Profiles from a file, if one was given.
        scenario: What will happen.
        meter_ids: Of every row, households first, then transformer meters.
        group_ids: Of every feeder.
        feeder: Feeder of every row, shape (meters,).
        phase_order: Grid phase at the terminals of every row, shape (meters, 3).
        is_three_phase: Of every row, shape (meters,).
    """

    homes: Households
    shapes: Shapes
    measured: MeasuredProfiles | None
    scenario: Scenario
    meter_ids: tuple[MeterId, ...]
    group_ids: tuple[GroupId, ...]
    feeder: Ints
    phase_order: Ints
    is_three_phase: NDArray[np.bool_]

    @property
    def meter_count(self) -> int:
        """All meters, those of the transformers included."""
        return len(self.meter_ids)

    @property
    def feeder_count(self) -> int:
        """Feeders."""
        return len(self.group_ids)


def build_street(config: SimulationConfig, grid: Grid, start_s: int) -> Street:
    """Settle the street.

    Args:
        config: What to simulate.
        grid: The feeders' grid.
        start_s: Start of the simulation, s since 1970 UTC.

    Raises:
        SimulationConfigError: A value of the configuration makes no sense.
        ProfileFileError: The profile file is wrong.
        ScenarioError: The scenario file is wrong.
    """
    config.check(grid.point_count)
    measured = None if config.profile_file is None else read_profiles(config.profile_file)
    nothing_more = Shares(pv_ratio=0.0, ev_ratio=0.0, heat_pump_ratio=0.0)
    shares = config.shares or (Shares() if measured is None else nothing_more)
    shapes = read_shapes()
    group_size = config.group_size or grid.point_count
    homes = settle(
        config.meter_count,
        group_size,
        grid.connections,
        shapes=shapes,
        shares=shares,
        seed=config.seed,
    )
    feeder_count = int(homes.feeder[-1]) + 1
    transformer_count = feeder_count if config.has_transformer_meters else 0
    meter_ids = [MeterId(f"m{number:06d}") for number in range(1, homes.count + 1)]
    meter_ids += [MeterId(f"t{number:06d}") for number in range(1, transformer_count + 1)]
    group_ids = tuple(GroupId(f"feeder-{number}") for number in range(1, feeder_count + 1))
    names = Names(
        {name: row for row, name in enumerate(meter_ids[: homes.count])},
        {name: number for number, name in enumerate(group_ids)},
        datetime.fromtimestamp(start_s, UTC),
    )
    at_transformers = np.arange(transformer_count)
    return Street(
        homes=homes,
        shapes=shapes,
        measured=measured,
        scenario=Scenario()
        if config.scenario_file is None
        else read_scenario(config.scenario_file, names),
        meter_ids=tuple(meter_ids),
        group_ids=group_ids,
        feeder=np.concatenate([homes.feeder, at_transformers]),
        phase_order=np.concatenate(
            [homes.phase_order, np.tile(np.arange(3), (transformer_count, 1))]
        ),
        is_three_phase=np.concatenate([homes.is_three_phase, np.ones(transformer_count, np.bool_)]),
    )
