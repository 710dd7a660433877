"""What really happened, for those who judge an evaluation; no meter tells it.

Kept as running totals in integers of 1e-6 Wh and, for every quarter of an hour, as a row of a
ring. Totals are signed: import minus export.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metertwin.simulation.columns import UWH_PER_WH
from metertwin.simulation.demand import TimeGrid
from metertwin.simulation.flow import MeterFlows
from metertwin.simulation.metering import energy_uwh
from metertwin.simulation.shapes import STEP_S

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class TrueQuarters(NamedTuple):
    """Gains of complete quarters of an hour, oldest first.

    Attributes:
        interval_start_s: s since 1970 UTC, shape (quarters,).
        consumed_wh: Net import of each household, around the meter included, shape (quarters, n).
        supplied_wh: Net out of each transformer, shape (quarters, feeders).
        cable_loss_wh: Lost in each feeder's cables, shape (quarters, feeders).
    """

    interval_start_s: Ints
    consumed_wh: Floats
    supplied_wh: Floats
    cable_loss_wh: Floats


class Truth:
    """Running totals and quarters.

    Args:
        meter_count: Households.
        feeder_count: Feeders.
        quarter_count: Quarters of an hour kept.
        start_s: Start of the simulation, s since 1970 UTC.

    Attributes:
        consumed_uwh: Net import of each household, shape (meters,).
        supplied_uwh: Net out of each transformer into its feeder, shape (feeders,).
        cable_loss_uwh: Lost in the cables, shape (feeders,).
        transformer_loss_uwh: Lost in the transformers, shape (feeders,).
    """

    def __init__(
        self, meter_count: int, feeder_count: int, quarter_count: int, start_s: int
    ) -> None:
        self.consumed_uwh: Ints = np.zeros(meter_count, np.int64)
        self.supplied_uwh: Ints = np.zeros(feeder_count, np.int64)
        self.cable_loss_uwh: Ints = np.zeros(feeder_count, np.int64)
        self.transformer_loss_uwh: Ints = np.zeros(feeder_count, np.int64)
        self._starts_s: Ints = np.zeros(quarter_count, np.int64)
        self._gains = np.zeros((quarter_count, meter_count + 2 * feeder_count), np.float32)
        self._last = self._totals()
        self._written = 0
        self._started_s = start_s

    def add(self, flows: MeterFlows, grid: TimeGrid) -> None:
        """Add a batch of steps."""
        feeder = flows.feeder
        consumed = energy_uwh(flows.true_w.sum(axis=2), grid)
        supplied = energy_uwh(feeder.busbar_w.sum(axis=2), grid)
        cable_loss = energy_uwh(feeder.cable_loss_w, grid)
        transformer_loss = energy_uwh(feeder.transformer_loss_w, grid)
        for step, end_s in enumerate(grid.ends_s):
            self.consumed_uwh += consumed[step]
            self.supplied_uwh += supplied[step]
            self.cable_loss_uwh += cable_loss[step]
            self.transformer_loss_uwh += transformer_loss[step]
            if end_s % STEP_S == 0:
                self._close_quarter(int(end_s) - STEP_S)

    def _close_quarter(self, start_s: int) -> None:
        totals = self._totals()
        if start_s < self._started_s:  # the simulation began in the middle of it
            self._last = totals
            return
        place = self._written % len(self._starts_s)
        self._starts_s[place] = start_s
        self._gains[place] = (totals - self._last) / UWH_PER_WH
        self._last = totals
        self._written += 1

    def quarters(self) -> TrueQuarters:
        """Return the quarters kept; float32 holds a gain to better than 1e-6 of itself."""
        held = min(self._written, len(self._starts_s))
        places = np.arange(self._written - held, self._written) % len(self._starts_s)
        gains = self._gains[places].astype(np.float64)
        meters, feeders = len(self.consumed_uwh), len(self.supplied_uwh)
        return TrueQuarters(
            self._starts_s[places],
            gains[:, :meters],
            gains[:, meters : meters + feeders],
            gains[:, meters + feeders :],
        )

    def _totals(self) -> Ints:
        return np.concatenate([self.consumed_uwh, self.supplied_uwh, self.cable_loss_uwh])
