"""Usage to exchange."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from metertwin.core.clock import to_us
from metertwin.core.ids import MeterId
from metertwin.core.reading import Origin, Quality, Register
from metertwin.core.units import Unit
from metertwin.exchange.usage_file import EXPORT, IMPORT, IntervalEnergies, UsageFile, UsageSeries

ZURICH = ZoneInfo("Europe/Zurich")


def quarter_hours(start: datetime, gains: list[int]) -> IntervalEnergies:
    """Return measured, good quarter hours one after the other."""
    count = len(gains)
    return IntervalEnergies(
        to_us(start) + np.arange(count, dtype=np.int64) * 900_000_000,
        np.full(count, 900, np.int64),
        np.array(gains, np.int64),
        np.zeros(count, np.uint8),
        np.zeros(count, np.uint8),
    )


@pytest.fixture
def october() -> UsageFile:
    """Return two meters over the day with 25 hours, one estimated, one doubtful, one missing."""
    start = datetime(2026, 10, 24, 22, tzinfo=UTC)  # midnight in Zurich
    imports = quarter_hours(start, [100 + n for n in range(100)])
    imports.origin[5] = Origin.ESTIMATED
    imports.quality[6] = Quality.SUSPECT
    imports.origin[7], imports.quality[7] = Origin.SUBSTITUTED, Quality.SUSPECT
    imports = imports.take(np.delete(np.arange(100), 50))
    wh = Register(IMPORT, Unit.WATT_HOUR, 0, 900)
    fed_in = Register(EXPORT, Unit.WATT_HOUR, 1, 900)
    return UsageFile(
        series=[
            UsageSeries(MeterId("M1"), wh, "Drawn & measured", imports),
            UsageSeries(MeterId("M1"), fed_in, "Fed in", quarter_hours(start, [3, 0, 7])),
            UsageSeries(MeterId("M2"), wh, "", quarter_hours(start, [1, 2])),
        ],
        zone=ZURICH,
    )


@pytest.fixture
def year() -> UsageFile:
    """Return a meter's quarter hours of 2026 in Zurich."""
    start = datetime(2025, 12, 31, 23, tzinfo=UTC)
    gains = np.random.default_rng(7).integers(0, 3000, 35_040).tolist()
    register = Register(IMPORT, Unit.WATT_HOUR, 0, 900)
    series = UsageSeries(MeterId("M1"), register, "A year", quarter_hours(start, gains))
    return UsageFile(series=[series], zone=ZURICH)
