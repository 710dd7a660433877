from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from metertwin.core.clock import ManualClock
from metertwin.simulation.config import SimulationConfig
from metertwin.simulation.grid import Grid
from metertwin.simulation.world import World

START = datetime(2026, 1, 5, 11, tzinfo=UTC)
"""A Monday noon in Berlin's winter."""

MakeWorld = Callable[..., World]


@pytest.fixture
def start() -> datetime:
    return START


@pytest.fixture
def make_world(tmp_path: Path) -> MakeWorld:
    """Return a maker of worlds: configuration by keyword, scenario as YAML text."""

    def make(scenario: str = "", start: datetime = START, **config: object) -> World:
        wanted = replace(
            SimulationConfig(meter_count=20, group_size=20, step_s=60, is_secret_random=False),
            **config,  # type: ignore[arg-type] # a test's own keywords
        )
        if scenario:
            path = tmp_path / "scenario.yaml"
            path.write_text(scenario)
            wanted = replace(wanted, scenario_file=path)
        return World(wanted, start)

    return make


@pytest.fixture
def run() -> Callable[[World, float], World]:
    """Return what moves a world on by some seconds."""

    def run(world: World, seconds: float) -> World:
        world.advance(world.now + timedelta(seconds=seconds))
        return world

    return run


@pytest.fixture(scope="session")
def grid() -> Grid:
    return Grid()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)
