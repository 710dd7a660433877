"""Interval tables out of register readings: gains on the grid, and totals where the grid has holes.

`registers.energy_gained` says what was gained between readings that follow each other; here those
gains find their place on the grid. Readings off the grid, and those whose time a clock set back has
made doubtful, bound no interval, but their gains stay in the sum up to the next reading that does:
what a table says in known intervals and in spans is what the register gained, no count lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metertwin.core.batch import Int64s, UInt8s
from metertwin.core.ids import MeterId
from metertwin.core.interval_table import IntervalTable, IntervalTableError, KnownSpans
from metertwin.core.profile import align_captures
from metertwin.core.reading import Origin, Register
from metertwin.core.register_series import (
    US_PER_S,
    IntervalColumns,
    RegisterColumns,
    Replacement,
    SeriesRules,
)
from metertwin.core.registers import energy_gained, quality_between

Flags = NDArray[np.bool_]


def table_from_registers(
    meters: Sequence[MeterId],
    register: Register,
    columns: RegisterColumns,
    rules: SeriesRules,
    *,
    start_us: int,
    end_us: int,
    replacements: Sequence[Replacement] = (),
    tolerance_s: float = 5.0,
) -> IntervalTable:
    """Return the gains of [start_us, end_us) out of cumulative readings in any order.

    Give the readings at `start_us` and `end_us` too. A run of intervals whose total is known, but
    which reaches over either end, is not known here.

    Args:
        meters: Meter of each series, in the order of the series' numbers.
        register: What the readings count; its `period_s` is the grid's.
        columns: Readings, late, repeated, corrected and off the grid ones included.
        rules: One per meter, with the register's scaler and its period (or 0, read at a moment).
        start_us: Start of the first interval, on the grid.
        end_us: End of the last interval, on the grid, not before the start.
        replacements: When another meter took a series over.
        tolerance_s: How far off the grid a capture may be and still count as on it.

    Raises:
        IntervalTableError: The range or the rules do not fit the register and the meters.
        RegisterColumnsError: Columns differ in length or name a series that is not there.
    """
    _check(meters, register, rules, (start_us, end_us))
    table = _empty(meters, register, start_us, end_us)
    if not replacements and _are_complete(columns, table):
        shape = (len(meters), table.interval_count + 1)
        return table_from_captures(
            meters,
            register,
            columns.integers.reshape(shape),
            rules,
            start_us=start_us,
            is_present=np.ones(shape, dtype=bool),
            quality=columns.quality.reshape(shape),
            origin=columns.origin.reshape(shape),
        )
    intervals = energy_gained(columns, rules, replacements).intervals
    return _filled(table, _Runs.of(intervals, register.period_s, tolerance_s))


def table_from_captures(
    meters: Sequence[MeterId],
    register: Register,
    integers: Int64s,
    rules: SeriesRules,
    *,
    start_us: int,
    is_present: Flags,
    quality: UInt8s,
    origin: UInt8s,
) -> IntervalTable:
    """Return the gains between captures that stand on the grid already.

    Rows that are all there and never fall are differences, a few passes over the whole matrix;
    the others go the way of `table_from_registers`.

    Args:
        meters: Meter of each row.
        register: What the captures count; its `period_s` is the grid's.
        integers: Register integers at start, start + period, ...; any where not present, shape
            (n_meters, n_intervals + 1).
        rules: One per meter, with the register's scaler and its period (or 0).
        start_us: Time of the first column, on the grid.
        is_present: Which captures are there, shape as `integers`.
        quality: `Quality` bits of the captures, shape as `integers`.
        origin: `Origin` values of the captures, shape as `integers`.

    Raises:
        IntervalTableError: Shapes differ, or the rules do not fit the register and the meters.
    """
    _check_shapes(meters, (integers, is_present, quality, origin))
    end_us = start_us + (integers.shape[1] - 1) * register.period_s * US_PER_S
    _check(meters, register, rules, (start_us, end_us))
    gain = np.diff(integers, axis=1)
    clean = _clean_rows(integers, gain, is_present, rules)
    table = IntervalTable(
        meters,
        register,
        start_us,
        gain,
        is_known=np.repeat(clean[:, None], gain.shape[1], axis=1),
        quality=quality_between(quality[:, :-1], quality[:, 1:]),
        origin=np.maximum(origin[:, :-1], origin[:, 1:]),
        spans=KnownSpans.none(),
    )
    if clean.all():
        return table
    for column in (table.gain, table.quality, table.origin):
        column[~clean] = 0
    is_other = is_present & ~clean[:, None]
    columns = _as_columns(table, is_other, (integers, quality, origin))
    intervals = energy_gained(columns, rules).intervals
    return _filled(table, _Runs.of(intervals, register.period_s, tolerance_s=0.0))


def _as_columns(
    table: IntervalTable, is_wanted: Flags, captures: tuple[Int64s, UInt8s, UInt8s]
) -> RegisterColumns:
    series, at = np.nonzero(is_wanted)
    captured_us = table.start_us + at * table.period_us
    integers, quality, origin = captures
    return RegisterColumns(
        series,
        at + 1,
        integers[is_wanted],
        captured_us,
        captured_us,
        quality[is_wanted],
        origin[is_wanted],
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """Gains between neighbouring readings on the grid, columns of shape (n_runs,)."""

    row: Int64s
    start_us: Int64s
    end_us: Int64s
    gain: Int64s
    quality: UInt8s
    origin: UInt8s

    @classmethod
    def of(cls, intervals: IntervalColumns, period_s: int, tolerance_s: float) -> "_Runs":
        """Sum what was gained between readings that bound an interval of the grid."""
        if not len(intervals):
            none = np.zeros(0, np.int64)
            return cls(none, none, none, none, intervals.quality, intervals.origin)
        is_linked, end_us = _linked(intervals)
        begins = align_captures(intervals.start_us, period_s, tolerance_s=tolerance_s)
        ends = align_captures(end_us, period_s, tolerance_s=tolerance_s)
        may_begin, may_end = _in_doubt_of_clock(intervals, end_us)
        may_begin &= begins.is_on_grid
        # Two captures at one point of the grid: the first is the bound, the step between them
        # belongs to what follows.
        is_again = np.zeros(len(intervals), dtype=bool)
        is_again[1:] = is_linked & may_begin[:-1]
        is_again[1:] &= begins.interval_start_us[1:] == begins.interval_start_us[:-1]
        is_first = may_begin & ~is_again
        is_first[1:] |= ~is_linked
        is_first[0] = True
        first = np.flatnonzero(is_first)
        last = np.append(first[1:], len(intervals)) - 1
        is_whole = may_begin[first] & may_end[last] & ends.is_on_grid[last]
        period_us = period_s * US_PER_S
        start_us = begins.interval_start_us[first] + period_us
        stop_us = ends.interval_start_us[last] + period_us
        is_whole &= stop_us > start_us
        return cls(
            row=intervals.series[first][is_whole],
            start_us=start_us[is_whole],
            end_us=stop_us[is_whole],
            gain=np.add.reduceat(intervals.gain, first)[is_whole],
            quality=np.bitwise_or.reduceat(intervals.quality, first)[is_whole],
            origin=np.maximum.reduceat(intervals.origin, first)[is_whole],
        )


def _linked(intervals: IntervalColumns) -> tuple[Flags, Int64s]:
    """Say which intervals share a reading with the next one, and when each ends by the meter.

    Across a clock set back, the next interval starts no later than this one and the length is the
    gateway's; a reset or a replacement leaves a hole between the two.
    """
    end_us = intervals.start_us + intervals.length_us
    next_us = intervals.start_us[1:]
    is_linked = intervals.series[1:] == intervals.series[:-1]
    is_linked &= (next_us == end_us[:-1]) | (next_us <= intervals.start_us[:-1])
    end_us[:-1][is_linked] = next_us[is_linked]
    return is_linked, end_us


def _in_doubt_of_clock(intervals: IntervalColumns, end_us: Int64s) -> tuple[Flags, Flags]:
    """Say which starts and which ends stand at one place in time only.

    A clock set back passes the same hours twice; readings of those hours bound nothing.
    """
    may_begin = np.ones(len(intervals), dtype=bool)
    may_end = may_begin.copy()
    for back in np.flatnonzero(end_us <= intervals.start_us).tolist():
        begin, stop = np.searchsorted(intervals.series, intervals.series[back] + np.arange(2))
        from_us, until_us = end_us[back], intervals.start_us[back]
        for moments_us, may_bound in ((intervals.start_us, may_begin), (end_us, may_end)):
            inside_us = moments_us[begin:stop]
            may_bound[begin:stop] &= (inside_us < from_us) | (inside_us > until_us)
    return may_begin, may_end


def _filled(table: IntervalTable, runs: _Runs) -> IntervalTable:
    """Write runs of one interval as known, longer ones as spans."""
    first = (runs.start_us - table.start_us) // table.period_us
    count = (runs.end_us - runs.start_us) // table.period_us
    is_inside = (first >= 0) & (first + count <= table.interval_count)
    single = is_inside & (count == 1)
    at = (runs.row[single], first[single])
    table.gain[at] = runs.gain[single]
    table.is_known[at] = True
    table.quality[at] = runs.quality[single]
    table.origin[at] = runs.origin[single]
    long = np.flatnonzero(is_inside & (count > 1))
    for run in long.tolist():
        table.quality[runs.row[run], first[run] : first[run] + count[run]] = runs.quality[run]
    spans = KnownSpans(runs.row[long], first[long], count[long], runs.gain[long])
    return IntervalTable(
        table.meters,
        table.register,
        table.start_us,
        table.gain,
        table.is_known,
        table.quality,
        table.origin,
        spans,
    )


def _empty(
    meters: Sequence[MeterId], register: Register, start_us: int, end_us: int
) -> IntervalTable:
    shape = (len(meters), (end_us - start_us) // (register.period_s * US_PER_S))
    return IntervalTable(
        meters,
        register,
        start_us,
        gain=np.zeros(shape, np.int64),
        is_known=np.zeros(shape, dtype=bool),
        quality=np.zeros(shape, np.uint8),
        origin=np.full(shape, Origin.MEASURED, np.uint8),
        spans=KnownSpans.none(),
    )


def _are_complete(columns: RegisterColumns, table: IntervalTable) -> bool:
    """Say whether the readings are the table's captures, sorted, on time, and nothing else."""
    column_count = table.interval_count + 1
    if len(columns) != len(table.meters) * column_count:
        return False
    shape = (len(table.meters), column_count)
    lengths = {len(columns.integers), len(columns.captured_at_us), len(columns.received_at_us)}
    lengths |= {len(columns.sequences), len(columns.quality), len(columns.origin)}
    if lengths != {len(columns)}:
        return False
    grid_us = table.start_us + np.arange(column_count, dtype=np.int64) * table.period_us
    sequences = columns.sequences.reshape(shape)
    return bool(
        (columns.captured_at_us.reshape(shape) == grid_us).all()
        and (columns.series.reshape(shape) == np.arange(shape[0])[:, None]).all()
        and (sequences[:, 1:] > sequences[:, :-1]).all()
        and (columns.captured_at_us <= columns.received_at_us).all()
    )


def _clean_rows(integers: Int64s, gain: Int64s, is_present: Flags, rules: SeriesRules) -> Flags:
    """Say which rows are differences and nothing else: complete, rising, plausible, certain."""
    modulus = rules.modulus_count[:, None]
    most = rules.plausible_counts(np.arange(len(integers)), rules.period_s * US_PER_S)[:, None]
    is_in_range = (integers >= 0) & (integers < modulus)
    is_gain = (gain >= 0) & (gain <= most) & (gain + modulus.astype(np.float64) > most)
    return np.asarray((is_present & is_in_range).all(axis=1) & is_gain.all(axis=1))


def _check_shapes(meters: Sequence[MeterId], columns: tuple[Int64s, Flags, UInt8s, UInt8s]) -> None:
    shapes = {each.shape for each in columns}
    shape = columns[0].shape
    if len(shapes) > 1 or len(shape) != 2 or shape[0] != len(meters) or not shape[1]:
        raise IntervalTableError(
            f"Captures of {len(meters)} meters and what is said of them have the shapes "
            f"{sorted(shapes)}; give one row per meter and one column more than intervals, all of "
            "one shape."
        )


def _check(
    meters: Sequence[MeterId], register: Register, rules: SeriesRules, range_us: tuple[int, int]
) -> None:
    period_us = register.period_s * US_PER_S
    start_us, end_us = range_us
    if period_us <= 0 or start_us > end_us or start_us % period_us or end_us % period_us:
        raise IntervalTableError(
            f"Range {start_us} us to {end_us} us is reversed or off the grid of "
            f"{register.period_s} s; begin and end it on multiples of a capture period above 0.",
            start_us=start_us,
            end_us=end_us,
            period_s=register.period_s,
        )
    is_period = np.isin(rules.period_s, (0, register.period_s)).all()
    if len(rules) != len(meters) or (rules.scaler != register.scaler).any() or not is_period:
        raise IntervalTableError(
            f"Register {register.obis} with scaler {register.scaler} and a period of "
            f"{register.period_s} s of {len(meters)} meters has {len(rules)} rules, of other "
            "scalers or periods; give one rule per meter with the register's own.",
            obis=str(register.obis),
        )
