"""A year of relative load and generation shapes, as bundled.

Column `X_w` is what a point with profile X draws relative to its rating, `X_var` its reactive
power, `PVn_w` what a plant feeds in relative to its peak; one row per quarter of an hour of 2016,
in Central European normal time.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from metertwin.simulation.grid import DATA_FOLDER

STEP_S = 900
_STORED_AS = 1e-4
_ORIGIN_S = int(datetime(2015, 12, 31, 23, tzinfo=UTC).timestamp())
# Whole weeks, so that a Sunday is a Sunday in any year; the season shifts by a day or two a year.
_PERIOD_STEPS = 52 * 7 * 96


@dataclass(frozen=True, slots=True, eq=False)
class Shapes:
    """The shapes as a table.

    Attributes:
        names: Column names.
        table: Relative power, shape (steps of a year, columns).
    """

    names: tuple[str, ...]
    table: NDArray[np.float32]

    def column(self, name: str) -> int:
        """Return the place of a column."""
        return self.names.index(name)

    @property
    def generation(self) -> tuple[int, ...]:
        """Places of the columns of photovoltaic plants."""
        return tuple(n for n, name in enumerate(self.names) if name.startswith("PV"))

    def at(self, starts_s: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row of each moment, given in s since 1970 UTC."""
        rows: NDArray[np.int64] = (starts_s - _ORIGIN_S) // STEP_S % _PERIOD_STEPS
        return rows


def read_shapes(folder: Path = DATA_FOLDER) -> Shapes:
    """Return the bundled shapes."""
    table = pq.read_table(folder / "profiles.parquet")
    stored = np.column_stack([column.to_numpy() for column in table.columns])
    return Shapes(tuple(table.column_names), (stored * np.float32(_STORED_AS)).astype(np.float32))
