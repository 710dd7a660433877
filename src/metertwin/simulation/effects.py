"""What a scenario does to every meter over a batch of steps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metertwin.simulation.scenario import Kind, Scenario

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Effects:
    """Effects over a batch; a batch ends at every edge, so they are constant within it.

    Attributes:
        is_live: Whether a household has voltage, shape (n,).
        is_feeder_live: Whether a feeder has, shape (feeders,).
        source_ratio: Medium voltage relative to normal, shape (feeders,).
        registered_ratio: What a meter registers of what flows through it, shape (n,).
        bypassed_ratio: What part of the load flows around the meter, shape (n,).
        drift_ppm: What a meter's clock gains, shape (n,).
        is_silent: Whether a meter leaves requests unanswered, shape (n,).
    """

    is_live: Bools
    is_feeder_live: Bools
    source_ratio: Floats
    registered_ratio: Floats
    bypassed_ratio: Floats
    drift_ppm: Floats
    is_silent: Bools


def effects_at(scenario: Scenario, at_s: int, feeder_of_row: Ints, feeder_count: int) -> Effects:
    """Return the effects of everything that lasts at a moment in s since 1970 UTC."""
    meter_count = len(feeder_of_row)
    is_live = np.ones(meter_count, np.bool_)
    is_feeder_live = np.ones(feeder_count, np.bool_)
    source_ratio, drift_ppm = np.ones(feeder_count), np.zeros(meter_count)
    registered, bypassed = np.ones(meter_count), np.zeros(meter_count)
    is_silent = np.zeros(meter_count, np.bool_)
    for item in scenario.incidents:
        if not item.start_s <= at_s < item.end_s:
            continue
        rows, feeders = list(item.rows), list(item.feeders)
        match item.kind:
            case Kind.OUTAGE:
                is_live[rows] = False
                is_feeder_live[feeders] = False
            case Kind.VOLTAGE_DIP:
                source_ratio[feeders] *= item.number
            case Kind.THEFT_FACTOR:
                registered[rows] *= item.number
            case Kind.THEFT_BYPASS:
                bypassed[rows] = np.maximum(bypassed[rows], item.number)
            case Kind.CLOCK_DRIFT:
                drift_ppm[rows] += item.number
            case Kind.SILENT:
                is_silent[rows] = True
                is_silent |= np.isin(feeder_of_row, feeders)
            case Kind.COUNTER_RESET | Kind.REPLACED_METER:
                pass  # instants: `World` applies them between batches
    is_live &= is_feeder_live[feeder_of_row]
    return Effects(
        is_live, is_feeder_live, source_ratio, registered, bypassed, drift_ppm, is_silent
    )
