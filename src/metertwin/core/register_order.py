"""The true order of register readings, whatever order and clock they came with.

Readings arrive late, twice and corrected, and a meter's clock is set back now and then. Ordering by
`captured_at` is right for the first three and wrong for the last; ordering by number is the other
way round. What tells them apart is the register itself, because it only grows: a reading with a
higher number and an earlier `captured_at` is late when its integer lies behind, and proof of a
clock set back when its integer lies ahead by no more than the time since then could bring.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metertwin.core.batch import Int64s
from metertwin.core.register_series import US_PER_S, RegisterColumns, Replacement, SeriesRules

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class OrderedReadings:
    """Readings in true order, one per series, meter, clock section and `captured_at`.

    Attributes:
        columns: The readings, sorted by series and true order.
        meter_numbers: Grows by 1 with each series and each replacement, shape (n,).
        section_numbers: Grows by 1 within a meter each time its clock was set back, shape (n,).
        corrected_rows: Pairs of rows (dropped, kept by the later number), as rows of the input.
    """

    columns: RegisterColumns
    meter_numbers: Int64s
    section_numbers: Int64s
    corrected_rows: Sequence[tuple[int, int]]


def order_readings(
    columns: RegisterColumns, rules: SeriesRules, replacements: Sequence[Replacement]
) -> OrderedReadings:
    """Sort readings into true order and let the highest number win per `captured_at`."""
    rows = _rows_by_time(columns)
    by_time = columns.take(rows)
    meters = _number_meters(by_time, replacements)
    sections = _number_sections(by_time, meters, rules)
    if sections.any():
        order = np.lexsort((sections, meters))  # stable: time stays the last criterion
        rows, by_time = rows[order], by_time.take(order)
        meters, sections = meters[order], sections[order]
    is_kept, corrected = _last_of_each_moment(by_time, meters, sections)
    return OrderedReadings(
        by_time.take(is_kept),
        meters[is_kept],
        sections[is_kept],
        [(int(rows[dropped]), int(rows[kept])) for dropped, kept in corrected],
    )


def _rows_by_time(columns: RegisterColumns) -> Int64s:
    keys = (columns.integers, columns.sequences, columns.captured_at_us, columns.series)
    if _is_sorted(keys):
        return np.arange(len(columns), dtype=np.int64)
    rows: Int64s = np.lexsort(keys).astype(np.int64)
    return rows


def _is_sorted(keys: tuple[Int64s, ...]) -> bool:
    """Say whether rows are sorted by the last key, ties by the one before it, and so on."""
    is_tied = np.ones(max(len(keys[0]) - 1, 0), dtype=bool)
    for key in reversed(keys):
        if (key[1:] < key[:-1])[is_tied].any():
            return False
        is_tied &= key[1:] == key[:-1]
    return True


def _number_meters(by_time: RegisterColumns, replacements: Sequence[Replacement]) -> Int64s:
    is_first = np.zeros(len(by_time), dtype=bool)
    is_first[1:] = by_time.series[1:] != by_time.series[:-1]
    for replacement in replacements:
        start, stop = np.searchsorted(by_time.series, [replacement.series, replacement.series + 1])
        cut = start + np.searchsorted(by_time.captured_at_us[start:stop], replacement.at_us)
        if start < cut < stop:
            is_first[cut] = True
    return np.cumsum(is_first, dtype=np.int64)


def _number_sections(by_time: RegisterColumns, meters: Int64s, rules: SeriesRules) -> Int64s:
    sections = np.zeros(len(by_time), dtype=np.int64)
    same_meter = meters[1:] == meters[:-1]
    if not (by_time.sequences[1:] < by_time.sequences[:-1])[same_meter].any():
        return sections  # nothing came late, so no clock was set back
    rank_by_number = np.lexsort((by_time.sequences, meters))
    # Rows of a later meter rank behind all of an earlier one: the running maximum restarts there.
    newest = np.maximum.accumulate(rank_by_number)
    is_set_back = _lies_ahead(by_time, rules, rank_by_number, newest) & (rank_by_number < newest)
    for meter in np.unique(meters[rank_by_number[is_set_back]]).tolist():
        start, stop = np.searchsorted(meters, [meter, meter + 1])
        inside = rank_by_number[(rank_by_number >= start) & (rank_by_number < stop)]
        _split_at_set_backs(by_time, rules, inside, sections)
    return sections


def _lies_ahead(
    columns: RegisterColumns, rules: SeriesRules, rows: Int64s, newest: Int64s
) -> Flags:
    """Say where the integer at `rows` lies ahead of that at `newest` by a plausible step."""
    series = columns.series[rows]
    step = (columns.integers[rows] - columns.integers[newest]) % rules.modulus_count[series]
    elapsed_us = elapsed_by_gateway_us(columns.take(newest), columns.take(rows), rules)
    ahead: Flags = (step > 0) & (step <= rules.plausible_counts(series, elapsed_us))
    return ahead


def elapsed_by_gateway_us(
    before: RegisterColumns, after: RegisterColumns, rules: SeriesRules
) -> Int64s:
    """Return the most time that can lie between pairs of readings, in us, where a clock moved.

    The older reading was captured no earlier than its own clock says, unless that ran ahead, and
    captures of a load profile are one period apart, however many arrive at once.
    """
    since_us = np.minimum(before.captured_at_us, before.received_at_us)
    period_us = rules.period_s[before.series] * US_PER_S
    elapsed_us: Int64s = np.maximum(after.received_at_us - since_us, period_us)
    return elapsed_us


def _split_at_set_backs(
    columns: RegisterColumns, rules: SeriesRules, by_number: Int64s, sections: Int64s
) -> None:
    """Number the sections of one meter, reading by reading: a clock is seldom set back."""
    newest = int(by_number[0])
    first_integers = [int(columns.integers[newest])]
    for row in by_number[1:].tolist():
        integer = int(columns.integers[row])
        is_later = columns.captured_at_us[row] >= columns.captured_at_us[newest]
        is_of_earlier_section = first_integers[0] <= integer < first_integers[-1]
        if is_later and not is_of_earlier_section:
            newest = row
        elif _lies_ahead(columns, rules, np.array([row]), np.array([newest]))[0]:
            newest = row
            first_integers.append(integer)
        else:
            # Late: it belongs to the newest section that had begun at its integer.
            begun = [at for at, first in enumerate(first_integers) if first <= integer]
            sections[row] = max(begun, default=0)
            continue
        sections[row] = len(first_integers) - 1


def _last_of_each_moment(
    ordered: RegisterColumns, meters: Int64s, sections: Int64s
) -> tuple[Flags, list[tuple[int, int]]]:
    """Flag the rows that stay; list those dropped for one with another integer."""
    is_kept = np.ones(len(ordered), dtype=bool)
    is_kept[:-1] = (
        (meters[1:] != meters[:-1])
        | (sections[1:] != sections[:-1])
        | (ordered.captured_at_us[1:] != ordered.captured_at_us[:-1])
    )
    dropped = np.flatnonzero(~is_kept)
    kept_rows = np.flatnonzero(is_kept)
    winner = kept_rows[np.searchsorted(kept_rows, dropped)]
    differs = ordered.integers[dropped] != ordered.integers[winner]
    pairs = zip(dropped[differs].tolist(), winner[differs].tolist(), strict=True)
    return is_kept, list(pairs)
