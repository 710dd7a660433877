"""Tables of hourly gains in one line, for tests of validation, estimation and editing."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import settings

from metertwin.core.clock import to_us
from metertwin.core.ids import MeterId
from metertwin.core.interval_table import IntervalTable, KnownSpans
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.units import Unit

settings.register_profile("metertwin", deadline=None)
settings.load_profile("metertwin")

MakeTable = Callable[..., IntervalTable]


@pytest.fixture(scope="session")
def zone() -> ZoneInfo:
    return ZoneInfo("Europe/Zurich")


@pytest.fixture(scope="session")
def hourly() -> MakeTable:
    """Return a table of rows of hourly Wh from local midnight of Monday 2 March 2026 on.

    None is not known; spans are (row, first, count, gain); quality maps (row, interval) to bits.
    """

    def make(
        rows: Sequence[Sequence[int | None]],
        spans: Sequence[tuple[int, int, int, int]] = (),
        quality: dict[tuple[int, int], int] | None = None,
        start: datetime = datetime(2026, 3, 1, 23, tzinfo=UTC),
        scaler: int = 0,
    ) -> IntervalTable:
        gain = np.array([[0 if each is None else each for each in row] for row in rows], np.int64)
        known = np.array([[each is not None for each in row] for row in rows])
        columns = np.array(spans, np.int64).reshape(-1, 4)
        bits = np.zeros(gain.shape, np.uint8)
        for at, value in (quality or {}).items():
            bits[at] = value
        return IntervalTable(
            meters=[MeterId(f"m{row}") for row in range(len(rows))],
            register=Register(Obis.parse("1-0:1.8.0*255"), Unit.WATT_HOUR, scaler, 3600),
            start_us=to_us(start),
            gain=gain,
            is_known=known,
            quality=bits,
            origin=np.zeros(gain.shape, np.uint8),
            spans=KnownSpans(*columns.T),
        )

    return make
