"""Interval energies of a group's meters, out of the captures in the history."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec
import numpy as np

from metertwin.bus.intervals import MAX_PAGE_CELLS
from metertwin.core.batch import Int64s
from metertwin.core.clock import to_us
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.interval_table import IntervalTable
from metertwin.core.interval_table_from_registers import table_from_registers
from metertwin.core.obis import Obis
from metertwin.core.register_series import SeriesRules
from metertwin.store.captures import Captures
from metertwin.store.port import HistoryStore

_TOLERANCE_S = 5.0  # a capture so far off the grid still counts as on it
# Energy registers are double-long-unsigned, 32 bits; one that shows more is a wider one, and so
# wide that it goes round in no meter's life.
_USUAL_MODULUS_COUNT = 2**32
_WIDE_MODULUS_COUNT = 2**62


class Intervals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of `intervals`.

    Attributes:
        obis: A cumulative register that load profiles capture.
        start: Start of the first interval, on the period's grid since 1970 UTC.
        end: End of the last interval, likewise.
        period_s: Capture period; None: the shortest any of the meters has.
        meters: Whose, the rows in this order; None: all meters of the group, by name. A meter
            without such a register has a row of which nothing is known.
        format: `table`: bytes for `bus.intervals.unpack_table`.
    """

    obis: str
    start: datetime
    end: datetime
    period_s: int | None = None
    meters: list[str] | None = None
    format: Literal["table"] = "table"


def interval_table(
    store: HistoryStore, group: GroupId, asked: Intervals, maximal_power_w: float
) -> IntervalTable:
    """Return the interval energies that were asked for.

    Raises:
        NotFoundError: None of the meters has such a register.
        ConflictError: The meters count in units or scalers that are no one quantity.
        LimitError: One answer cannot hold so much; it says how many meters it can.
        IntervalTableError: The range is off the grid.
    """
    meters = store.meters(group) if asked.meters is None else [MeterId(m) for m in asked.meters]
    tolerance = timedelta(seconds=_TOLERANCE_S)
    captures = store.captures(
        meters,
        Obis.parse(asked.obis),
        asked.start - tolerance,
        asked.end + tolerance,
        period_s=asked.period_s,
        limit=MAX_PAGE_CELLS,
    )
    return table_from_registers(
        meters,
        captures.register,
        captures.columns,
        _rules(meters, captures, maximal_power_w),
        start_us=to_us(asked.start),
        end_us=to_us(asked.end),
        tolerance_s=_TOLERANCE_S,
    )


def _rules(meters: Sequence[MeterId], captures: Captures, maximal_power_w: float) -> SeriesRules:
    count, register = len(meters), captures.register
    return SeriesRules(
        modulus_count=_moduli(captures, count),
        scaler=np.full(count, register.scaler, np.int64),
        maximal_power_w=np.full(count, maximal_power_w, np.float64),
        period_s=np.full(count, register.period_s, np.int64),
    )


def _moduli(captures: Captures, meter_count: int) -> Int64s:
    """Return where each meter's register begins again, in counts of the table's register."""
    highest = np.zeros(meter_count, np.int64)
    np.maximum.at(highest, captures.columns.series, captures.columns.integers)
    moduli = _USUAL_MODULUS_COUNT * captures.factors
    moduli[highest >= moduli] = _WIDE_MODULUS_COUNT
    return moduli
