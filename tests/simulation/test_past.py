"""A street that lived before it began has load profiles with a past."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from metertwin.simulation.config import SimulationConfig
from metertwin.simulation.errors import SimulationConfigError
from metertwin.simulation.world import World

BEGIN = datetime(2026, 3, 30, 10, 7, 30, tzinfo=UTC)


def test_every_quarter_of_the_past_is_in_the_profile_and_adds_up_to_the_registers() -> None:
    world = World(SimulationConfig(meter_count=4, lived_days=3), BEGIN)
    world.live_past()
    assert world.now == BEGIN
    held = world.profiles.read(2)
    # From 27 March 10:15, the first quarter to end in the past, to 10:00 on the day it begins.
    assert len(held.captured_at_s) == 3 * 96
    assert held.captured_at_s[0] == (BEGIN - timedelta(days=3)).timestamp() + 450
    assert held.captured_at_s[-1] == BEGIN.timestamp() - 450
    assert (np.diff(held.captured_at_s.astype(np.int64)) == 900).all()
    energy_wh = int(world.columns.energy_uwh[0, 2]) // 1_000_000
    assert 0 < held.registers[0, -1] <= energy_wh
    assert (np.diff(held.registers.astype(np.int64), axis=1) >= 0).all()


def test_after_its_past_a_street_steps_as_one_without() -> None:
    world = World(SimulationConfig(meter_count=2, lived_days=1), BEGIN)
    world.live_past()
    assert world.advance(BEGIN + timedelta(seconds=5)) == 5


def test_a_past_that_cannot_be_is_refused() -> None:
    with pytest.raises(SimulationConfigError, match="cannot have lived for -1 days; give 0 to 400"):
        World(SimulationConfig(lived_days=-1), BEGIN)
