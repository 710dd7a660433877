"""Captures that go from one window into another, with their twins."""

import numpy as np

from metertwin.core.batch import Int64s
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.units import Unit
from metertwin.twins.apps.blocks import Cells
from metertwin.twins.apps.series import Captured, CaptureSeries

QUARTER_US = 900_000_000
DAY_POINTS_COUNT = 96


def _register(scaler: int) -> Register:
    return Register(Obis.parse("1-0:1.8.0*255"), Unit.WATT_HOUR, scaler, 900)


def _series(scaler: int, rows: list[int], first: int = 1000) -> CaptureSeries:
    """Return two days of captures of some twins, each of which counts in steps of its own."""
    series = CaptureSeries(_register(scaler))
    _put(series, scaler, rows, first)
    return series


def _put(series: CaptureSeries, scaler: int, rows: list[int], first: int) -> None:
    points = np.arange(2 * DAY_POINTS_COUNT)
    for row in rows:
        count = len(points)
        cells = Cells(points + 1, first + (row + 2) * points, *np.zeros((2, count), np.uint8))
        series.put(Captured(np.full(count, row), points * QUARTER_US, cells), scaler)


def _whole(series: CaptureSeries, rows: Int64s) -> list[list[int]]:
    """Return the captures of twins in the finest count, as history would give them."""
    cells = series.captures(0, 2 * DAY_POINTS_COUNT, rows)
    return [cells.integers.tolist(), cells.sequences.tolist(), series.factors(rows).tolist()]


def test_rows_go_where_they_belong_and_others_stay_behind() -> None:
    there, here = _series(0, [0, 1, 2]), CaptureSeries(_register(0))
    here.adopt(there, np.array([1, -1, 0]))
    assert _whole(here, np.array([1, 0])) == _whole(there, np.array([0, 2]))
    assert here.blocks.keys() == there.blocks.keys()
    assert max(block.rows_count for block in here.blocks.values()) <= 16  # room for two


def test_twins_that_count_finer_and_coarser_share_one_series_as_if_it_had_always_been_one() -> None:
    always_one = CaptureSeries(_register(0))
    _put(always_one, 0, [0], 1000)
    _put(always_one, -1, [1], 5000)
    for order in ((0, 1), (1, 0)):
        olds = (_series(0, [0]), _series(-1, [0], 5000))
        _, finer = olds
        joined = CaptureSeries(olds[order[0]].register)
        for place in order:
            joined.adopt(olds[place], np.array([place]))
        assert joined.register == always_one.register
        assert _whole(joined, np.array([0])) == _whole(always_one, np.array([0]))
        # The finer one has the steps of row 0 there.
        cells = joined.captures(0, 2 * DAY_POINTS_COUNT, np.array([1]))
        assert cells.integers.tolist() == _whole(finer, np.array([0]))[0]
        assert joined.factors(np.array([0, 1])).tolist() == [10, 1]
