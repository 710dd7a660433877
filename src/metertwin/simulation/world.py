"""The stepping core: moves the whole street from one moment to another.

It knows no clock and no socket. `advance` is called with a moment, however far away; the cost is
one power flow per feeder and step, several steps in one batch.
"""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from metertwin.simulation.breaker import run_limiter
from metertwin.simulation.capture import capture_profiles
from metertwin.simulation.columns import Columns
from metertwin.simulation.config import SimulationConfig
from metertwin.simulation.demand import DemandModel, TimeGrid
from metertwin.simulation.effects import Effects, effects_at
from metertwin.simulation.event_log import EventLogs, MeterEvent
from metertwin.simulation.flow import solve_flows
from metertwin.simulation.grid import Grid
from metertwin.simulation.load_profile import CAPTURE_PERIOD_S, LoadProfiles
from metertwin.simulation.metering import count_energy, metered, show_latest
from metertwin.simulation.scenario import Kind, Scenario
from metertwin.simulation.street import Street, build_street
from metertwin.simulation.tariffs import TariffCalendar, day_and_night
from metertwin.simulation.timeline import Timeline, step_for_speed
from metertwin.simulation.truth import Truth

Ints = NDArray[np.int64]
T = TypeVar("T", bound=np.generic)

STATUS_CLOCK_ADJUSTED = 0x20
STATUS_POWER_DOWN = 0x80


class World:
    """All feeders, households and meters at one moment.

    Args:
        config: What to simulate.
        start: First moment, UTC; cut to whole seconds.
        speed_ratio: Simulated seconds per second, from which the step follows if none is given.

    Attributes:
        columns: What the meters hold; the rows behind the households are transformer meters.
        profiles: Their load profiles.
        events: Their event logs.
        truth: What really happened.
        calendars: Tariff calendars that occur; `columns.calendar` points into them.
        due: What happens to a meter at a moment, in s since 1970 UTC, by row.
        step_s: Usual step.
        now_s: The moment reached, s since 1970 UTC.
        current_time: The time of the meters' world, which their clocks show; by default `now`,
            served meters follow the clock between two steps.
    """

    def __init__(
        self, config: SimulationConfig, start: datetime, *, speed_ratio: float = 1.0
    ) -> None:
        self.config = config
        self.step_s = config.step_s or step_for_speed(speed_ratio)
        self._begins_s = int(start.timestamp())
        self.now_s = self._begins_s - config.lived_days * 86_400
        self.grid = Grid()
        self.street: Street = build_street(config, self.grid, self._begins_s)
        homes = self.street.homes
        self.scenario: Scenario = self.street.scenario
        self._demand = DemandModel(homes, self.street.shapes, config.seed, self.street.measured)
        self._timeline = Timeline(self.step_s, self.street.meter_count, self.scenario.edges_s())
        self.columns = Columns(self.street.meter_count)
        self.columns.clock_quarter[:] = self.now_s // CAPTURE_PERIOD_S
        self.profiles = LoadProfiles(self.street.meter_count, config.profile_days)
        self.events = EventLogs(self.street.meter_count)
        self.truth = Truth(
            homes.count, self.street.feeder_count, self.profiles.capacity, self.now_s
        )
        self.calendars: list[TariffCalendar] = [TariffCalendar(day_and_night())]
        self.due: dict[int, tuple[int, Callable[[], None]]] = {}
        self.current_time: Callable[[], datetime] = lambda: self.now

    @property
    def now(self) -> datetime:
        """The moment reached, in UTC."""
        return datetime.fromtimestamp(self.now_s, UTC)

    @property
    def batch_end_s(self) -> int:
        """The furthest moment one batch reaches from here, s since 1970 UTC."""
        return self.now_s + self._timeline.batch_s

    @property
    def frequency_hz(self) -> float:
        """Of the whole grid: 50 Hz and the slow wander that secondary control leaves."""
        at_s = self.now_s
        return 50.0 + 0.012 * math.sin(at_s / 97.0) + 0.008 * math.sin(at_s / 13.0)

    def live_past(self) -> None:
        """Live the days before the street began, in steps of a quarter of an hour."""
        usual = self._timeline
        edges_s = np.array([self._begins_s], np.int64)
        self._timeline = Timeline(CAPTURE_PERIOD_S, self.street.meter_count, edges_s)
        self.advance(datetime.fromtimestamp(self._begins_s, UTC))
        self._timeline = usual

    def advance(self, to: datetime) -> int:
        """Move to a moment, cut to whole seconds; a moment not later than `now` does nothing.

        Returns:
            How many steps it took.

        Raises:
            PowerFlowError: A feeder has no solution.
        """
        to_s = int(to.timestamp())
        step_count = 0
        while self.now_s < to_s:
            self._begin_instants()
            next_due_s = min((at_s for at_s, _ in self.due.values()), default=to_s)
            grid = self._timeline.next(self.now_s, min(to_s, next_due_s))
            self._run(grid)
            self.now_s = int(grid.ends_s[-1])
            step_count += len(grid.starts_s)
        if step_count:
            self._silence()
        return step_count

    def meter_times_s(self, rows: Ints) -> Ints:
        """Return what the clocks of some meters show, s since 1970 UTC."""
        shown: Ints = np.floor(self.now_s + self.columns.clock_offset_s[rows]).astype(np.int64)
        return shown

    def log(self, rows: Ints, event: MeterEvent) -> None:
        """Write an event into the logs of some meters."""
        if len(rows):
            self.events.write(rows, event, self.meter_times_s(rows))

    def _begin_instants(self) -> None:
        for row in [row for row, (at_s, _) in self.due.items() if at_s <= self.now_s]:
            _, happen = self.due.pop(row)
            happen()
        for item in self.scenario.of(Kind.COUNTER_RESET, Kind.REPLACED_METER):
            if item.start_s == self.now_s:
                self._restart_registers(
                    np.array(item.rows), is_new=item.kind is Kind.REPLACED_METER
                )

    def _restart_registers(self, rows: Ints, *, is_new: bool) -> None:
        self.columns.energy_uwh[:, rows] = 0
        if is_new:
            self.columns.generation[rows] += 1
            self.columns.clock_offset_s[rows] = 0.0
            for row in rows:
                self.profiles.clear(int(row))
                self.events.clear(int(row))
        self.log(rows, MeterEvent.METER_REPLACED if is_new else MeterEvent.REGISTER_CLEARED)

    def _run(self, grid: TimeGrid) -> None:
        street, columns = self.street, self.columns
        effects = effects_at(self.scenario, self.now_s, street.homes.feeder, street.feeder_count)
        self._power_changes(effects)
        demand = self._demand.over(grid)
        is_closed, tripped = run_limiter(columns, demand, effects, grid)
        flows = solve_flows(self.grid, street.homes, demand, effects, is_closed)
        measured = metered(flows, with_transformers=self.config.has_transformer_meters)
        tariffs = self._tariffs(grid)
        gains = count_energy(measured, grid, tariffs)
        capture_profiles(columns, self.profiles, grid, gains, self._of_all(effects.drift_ppm))
        self.truth.add(flows, grid)
        columns.energy_uwh += gains.totals_uwh
        columns.tariff[:] = tariffs[-1]
        show_latest(columns, measured, street.phase_order)
        self.log(tripped, MeterEvent.LIMITER_EXCEEDED)

    def _tariffs(self, grid: TimeGrid) -> NDArray[np.uint8]:
        each = [calendar.at(grid.starts_s, self.config.zone) for calendar in self.calendars]
        tariffs: NDArray[np.uint8] = np.stack(each, axis=1)[:, self.columns.calendar]
        return tariffs

    def _power_changes(self, effects: Effects) -> None:
        columns = self.columns
        transformers = effects.is_feeder_live[: columns.count - len(effects.is_live)]
        is_powered = np.concatenate([effects.is_live, transformers])
        self.log(np.flatnonzero(columns.is_powered & ~is_powered), MeterEvent.POWER_DOWN)
        back = np.flatnonzero(~columns.is_powered & is_powered)
        columns.status[back] |= STATUS_POWER_DOWN
        self.log(back, MeterEvent.POWER_UP)
        columns.is_powered[:] = is_powered

    def _silence(self) -> None:
        # Whoever asks is asking now, after the step: this alone is of the coming one.
        street = self.street
        effects = effects_at(self.scenario, self.now_s, street.homes.feeder, street.feeder_count)
        self.columns.is_silent[:] = self._of_all(effects.is_silent)

    def _of_all(self, of_homes: NDArray[T]) -> NDArray[T]:
        """Return a column of the households with 0 for the transformer meters behind it."""
        rest = np.zeros(self.columns.count - len(of_homes), of_homes.dtype)
        return np.concatenate([of_homes, rest])
