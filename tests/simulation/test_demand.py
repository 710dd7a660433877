from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.typing import NDArray

from metertwin.simulation.demand import DemandModel, TimeGrid, outdoor_celsius
from metertwin.simulation.grid import Grid
from metertwin.simulation.households import Households, Shares, settle
from metertwin.simulation.noise import uniform
from metertwin.simulation.shapes import Shapes, read_shapes
from metertwin.simulation.tariffs import TariffCalendar, day_and_night
from metertwin.simulation.world import World

BERLIN = ZoneInfo("Europe/Berlin")
MIDNIGHT_S = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp())
Street = Callable[[Shares], tuple[Households, DemandModel]]


@pytest.fixture(scope="module")
def shapes() -> Shapes:
    return read_shapes()


@pytest.fixture
def street(grid: Grid, shapes: Shapes) -> Street:
    def build(shares: Shares) -> tuple[Households, DemandModel]:
        homes = settle(118, 118, grid.connections, shapes=shapes, shares=shares, seed=1)
        return homes, DemandModel(homes, shapes, 1)

    return build


def days(count: int, step_s: int = 900) -> TimeGrid:
    starts_s = MIDNIGHT_S + np.arange(0, count * 86_400, step_s)
    return TimeGrid(starts_s, np.full(len(starts_s), step_s))


def added_w(street: Street, wanted: Shares, count: int) -> NDArray[np.float64]:
    """Return what `wanted` appliances draw on top of the same households without them."""
    nothing = Shares(pv_ratio=0.0, ev_ratio=0.0, heat_pump_ratio=0.0)
    with_w = street(wanted)[1].over(days(count)).load_w.sum(axis=2)
    without_w = street(nothing)[1].over(days(count)).load_w.sum(axis=2)
    found: NDArray[np.float64] = with_w - without_w
    return found


def test_cars_charge_in_the_evening_and_on_past_midnight(street: Street) -> None:
    charged_w = added_w(
        street, Shares(pv_ratio=0.0, ev_ratio=1.0, heat_pump_ratio=0.0), 10
    ).reshape(10, 96, 118)
    by_hour_w = charged_w.mean(axis=(0, 2)).reshape(24, 4).mean(axis=1)
    assert by_hour_w[0] > 0  # who arrives late at a small wall box charges on
    assert by_hour_w[6:16] == pytest.approx(np.zeros(10), abs=1e-6)
    assert by_hour_w[19] > 300
    # 0.6 drives a day of 4 to 20 kWh: 0.6 x 12 kWh = 7.2 kWh a day, in the mean of 1,180 draws.
    assert charged_w[1:].mean() * 24 == pytest.approx(7_200, rel=0.1)


def test_heat_pumps_run_when_it_is_cold(street: Street) -> None:
    heated_w = added_w(street, Shares(pv_ratio=0.0, ev_ratio=0.0, heat_pump_ratio=1.0), 2)
    celsius = outdoor_celsius(days(2).starts_s).mean()
    # January: 2 degrees or less; duty (15 - T) / 27 of 1.8 to 3.5 kW, 2.65 kW in the mean.
    assert -5 < celsius < 2
    assert heated_w.mean() == pytest.approx(2_650 * (15 - celsius) / 27, rel=0.1)


def test_plants_feed_in_by_day(street: Street) -> None:
    homes, model = street(Shares(pv_ratio=1.0))
    generation_w = model.over(days(30)).generation_w.sum(axis=2).reshape(30, 96, 118)
    by_hour_w = generation_w.mean(axis=(0, 2)).reshape(24, 4).mean(axis=1)
    assert by_hour_w[:5].max() == 0
    assert by_hour_w[11] > by_hour_w[8] > 0
    assert (generation_w.max(axis=(0, 1)) <= homes.pv_peak_w * 1.01).all()


def test_a_year_of_a_household_is_a_household(street: Street) -> None:
    nothing = Shares(pv_ratio=0.0, ev_ratio=0.0, heat_pump_ratio=0.0)
    load_w = street(nothing)[1].over(days(28)).load_w.sum(axis=(1, 2)).mean() / 118
    yearly_kwh = load_w * 8.766
    assert 1_500 < yearly_kwh < 8_000  # winter weeks, some small businesses among them


def test_a_house_on_one_phase_loads_that_phase(make_world: Callable[..., World]) -> None:
    world = make_world(shares=Shares(three_phase_ratio=0.0, pv_ratio=0.0))
    world.advance(world.now + timedelta(seconds=60))
    currents_a = world.columns.currents_a[:20]
    assert (currents_a[:, 0] > 0).all()
    assert (currents_a[:, 1:] == 0).all()
    busbar_a = world.columns.currents_a[20]
    homes = world.street.homes
    for phase in range(3):
        here = homes.phase_order[:, 0] == phase
        assert currents_a[here, 0].sum() == pytest.approx(busbar_a[phase], rel=0.1)


def test_tariffs_switch_at_their_second_of_the_local_day() -> None:
    # 06:00 and 22:00 in Berlin are 05:00 and 21:00 UTC in winter, 04:00 and 20:00 in summer.
    moments = [
        datetime(2026, 1, 5, 4, 59, 59, tzinfo=UTC),
        datetime(2026, 1, 5, 5, tzinfo=UTC),
        datetime(2026, 1, 5, 20, 59, 59, tzinfo=UTC),
        datetime(2026, 1, 5, 21, tzinfo=UTC),
        datetime(2026, 7, 5, 4, tzinfo=UTC),
        datetime(2026, 7, 5, 20, tzinfo=UTC),
    ]
    at_s = np.array([int(moment.timestamp()) for moment in moments])
    assert TariffCalendar(day_and_night()).at(at_s, BERLIN).tolist() == [2, 1, 1, 2, 1, 2]


def test_chance_is_even_and_does_not_depend_on_its_neighbours() -> None:
    draws = uniform(1, 0, np.arange(200), np.arange(500)[:, None])
    assert draws.shape == (500, 200)
    assert draws.mean() == pytest.approx(0.5, abs=0.005)
    assert np.histogram(draws, 10, (0, 1))[0] == pytest.approx(np.full(10, 10_000), rel=0.05)
    assert abs(np.corrcoef(draws[:-1].ravel(), draws[1:].ravel())[0, 1]) < 0.02
    assert uniform(1, 0, [7], [11])[0] == draws[11, 7]
    assert uniform(1, 1, [7], [11])[0] != draws[11, 7]
    assert uniform(2, 0, [7], [11])[0] != draws[11, 7]
