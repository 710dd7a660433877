"""What every household draws and feeds in, averaged over each step of a time grid.

The appliances are exact over a step of any length: a charging session or a compressor cycle that
covers half a step counts half. So the energy of a day does not depend on how it is cut.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metertwin.simulation.households import Households
from metertwin.simulation.measured import MeasuredProfiles
from metertwin.simulation.noise import uniform
from metertwin.simulation.shapes import STEP_S, Shapes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_DAY_S = 86_400
_YEAR_S = 365.2425 * _DAY_S
_FLICKER_SLOT_S = 60
_FLICKER_RATIO = 0.3
_CYCLE_S = 2_400.0
_HEATS_BELOW_CELSIUS = 15.0
_DESIGN_SPAN_CELSIUS = 27.0
_COMPRESSOR_VAR_PER_W = 0.4
_STREAM_FLICKER, _STREAM_DRIVES, _STREAM_ARRIVAL, _STREAM_NEED, _STREAM_CYCLE = range(5)


@dataclass(frozen=True, slots=True)
class TimeGrid:
    """Steps that follow each other; none crosses a quarter of an hour.

    Attributes:
        starts_s: Start of each step in s since 1970 UTC, shape (steps,).
        lengths_s: Length of each, above 0, shape (steps,).
    """

    starts_s: Ints
    lengths_s: Ints

    @property
    def ends_s(self) -> Ints:
        """End of each step."""
        return self.starts_s + self.lengths_s


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """Mean power of each step on the grid's phases.

    Attributes:
        load_w: Drawn, 0 or more, shape (steps, n, 3).
        load_var: Reactive, inductive positive, shape (steps, n, 3).
        generation_w: Fed in, 0 or more, shape (steps, n, 3).
    """

    load_w: Floats
    load_var: Floats
    generation_w: Floats


class DemandModel:
    """Computes demand for all households at once.

    Args:
        households: One row per meter.
        shapes: The bundled shapes.
        seed: Of the simulation.
        measured: Profiles from a file; they replace base load and plant, and appliances add.
    """

    def __init__(
        self,
        households: Households,
        shapes: Shapes,
        seed: int,
        measured: MeasuredProfiles | None = None,
    ) -> None:
        self._homes = households
        self._shapes = shapes
        self._seed = seed
        self._measured = measured
        self._rows = np.arange(households.count)
        self._cars = np.flatnonzero(households.ev_w)
        self._pumps = np.flatnonzero(households.heat_pump_w)

    def over(self, grid: TimeGrid) -> Demand:
        """Return the mean power of each step."""
        homes = self._homes
        if self._measured is None:
            base_w, base_var, pv_w = self._synthetic(grid)
        else:
            base_w, base_var, pv_w = self._measured.over(grid.starts_s, self._rows)
        even_w, even_var = np.zeros_like(base_w), np.zeros_like(base_w)
        even_w[:, self._cars] += self._charging_w(grid)
        pump_w = self._heating_w(grid)
        even_w[:, self._pumps] += pump_w
        even_var[:, self._pumps] += pump_w * _COMPRESSOR_VAR_PER_W
        return Demand(
            load_w=_spread(base_w, homes.load_share) + _spread(even_w, homes.even_share),
            load_var=_spread(base_var, homes.load_share) + _spread(even_var, homes.even_share),
            generation_w=_spread(pv_w, homes.even_share),
        )

    def _synthetic(self, grid: TimeGrid) -> tuple[Floats, Floats, Floats]:
        homes, table = self._homes, self._shapes.table
        shifted_s = grid.starts_s[:, None] - homes.shift_steps * STEP_S
        rows = self._shapes.at(shifted_s)
        flicker = self._flicker(grid)
        base_w = np.maximum(table[rows, homes.shape_w], 0.0) * homes.rated_w * flicker
        base_var = table[rows, homes.shape_var] * homes.rated_var * flicker
        sun = np.maximum(table[self._shapes.at(grid.starts_s)][:, homes.pv_shape], 0.0)
        return base_w, base_var, sun * homes.pv_peak_w

    def _flicker(self, grid: TimeGrid) -> Floats:
        """Return what switching kettles and lamps does within a quarter of an hour, mean 1."""
        slots = grid.starts_s // _FLICKER_SLOT_S
        draws = uniform(self._seed, _STREAM_FLICKER, self._rows, slots[:, None])
        # Over a longer step the minutes average out.
        depth = _FLICKER_RATIO / np.sqrt(np.maximum(grid.lengths_s / _FLICKER_SLOT_S, 1.0))
        flicker: Floats = 1.0 + depth[:, None] * (2.0 * draws - 1.0)
        return flicker

    def _charging_w(self, grid: TimeGrid) -> Floats:
        power_w = self._homes.ev_w[self._cars]
        today = grid.starts_s // _DAY_S
        charged_s: Floats = np.zeros((len(today), len(self._cars)))
        for day in (today, today - 1):  # yesterday's session may reach over midnight
            slots = day[:, None]
            drives = uniform(self._seed, _STREAM_DRIVES, self._cars, slots) < 0.6
            arrives_s = 16 * 3600 + 6 * 3600 * uniform(
                self._seed, _STREAM_ARRIVAL, self._cars, slots
            )
            need_wh = 4_000 + 16_000 * uniform(self._seed, _STREAM_NEED, self._cars, slots)
            start_s = slots * _DAY_S + np.floor(arrives_s)
            end_s = start_s + drives * need_wh / power_w * 3600
            overlap_s = np.minimum(end_s, grid.ends_s[:, None]) - np.maximum(
                start_s, grid.starts_s[:, None]
            )
            charged_s += np.maximum(overlap_s, 0.0)
        return power_w * charged_s / grid.lengths_s[:, None]

    def _heating_w(self, grid: TimeGrid) -> Floats:
        duty = np.clip(
            (_HEATS_BELOW_CELSIUS - outdoor_celsius(grid.starts_s)) / _DESIGN_SPAN_CELSIUS, 0.0, 1.0
        )[:, None]
        offset_s = uniform(self._seed, _STREAM_CYCLE, self._pumps, 0) * _CYCLE_S
        from_s = grid.starts_s[:, None] % _DAY_S + offset_s
        run_s = _run_time_s(from_s + grid.lengths_s[:, None], duty) - _run_time_s(from_s, duty)
        return self._homes.heat_pump_w[self._pumps] * run_s / grid.lengths_s[:, None]


def _run_time_s(elapsed_s: Floats, duty_ratio: Floats) -> Floats:
    """Return how long a compressor has run that starts every cycle and runs a part of it."""
    on_s = duty_ratio * _CYCLE_S
    run_s: Floats = np.floor(elapsed_s / _CYCLE_S) * on_s + np.minimum(elapsed_s % _CYCLE_S, on_s)
    return run_s


def outdoor_celsius(at_s: Ints) -> Floats:
    """Return a plain Central European temperature: coldest mid-January and before dawn."""
    season = np.cos(2 * np.pi * (at_s / _YEAR_S - 15 / 365))
    hour = np.cos(2 * np.pi * (at_s % _DAY_S / _DAY_S - 4 / 24))
    celsius: Floats = 9.5 - 9.0 * season - 4.0 * hour
    return celsius


def _spread(total: Floats, share: Floats) -> Floats:
    return total[:, :, None] * share
