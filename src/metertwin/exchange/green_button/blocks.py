"""Interval blocks into columns: ascending, without overlap, every oddity told."""

from collections.abc import Sequence

import numpy as np

from metertwin.exchange.green_button.codes import ReadingQuality, quality_and_origin
from metertwin.exchange.green_button.document import PROBLEMS_MAX, Block
from metertwin.exchange.green_button.numbers import LENGTH_MAX_S, TIME_MAX_S, integer_of
from metertwin.exchange.green_button.reading_type import ReadingType
from metertwin.exchange.ordering import in_order
from metertwin.exchange.usage_file import US_PER_S, IntervalEnergies


def intervals_of(
    blocks: Sequence[Block],
    kind: ReadingType,
    where: str,
    problems: list[str],
    notes: list[str],
) -> IntervalEnergies:
    """Return the intervals of a series.

    Args:
        blocks: Its blocks, in any order.
        kind: What its readings are.
        where: What to call it in problems.
        problems: Where problems go; with any, the result is not to be used.
        notes: Where oddities go.
    """
    columns = _Columns(kind, where, problems, notes)
    for block in blocks:
        columns.add(block)
    return in_order(columns.energies(), where, problems, notes)


class _Columns:
    """Columns under construction."""

    def __init__(
        self, kind: ReadingType, where: str, problems: list[str], notes: list[str]
    ) -> None:
        self._kind = kind
        self._where = where
        self._problems = problems
        self._notes = notes
        self._start_s: list[int] = []
        self._length_s: list[int] = []
        self._gain: list[int] = []
        self._marks: dict[int, tuple[int, int]] = {}
        default = kind.default_quality
        self._default = self._judged([] if default is None else [str(default)])

    def add(self, block: Block) -> None:
        """Append a block's readings."""
        next_s = integer_of(block.start, TIME_MAX_S)
        rows = zip(block.starts, block.durations, block.values, block.line_numbers, strict=True)
        for number, (start, duration, value, line) in enumerate(rows):
            start_s = next_s if start is None else integer_of(start, TIME_MAX_S)
            length_s = (
                self._kind.interval_length_s
                if duration is None
                else integer_of(duration, LENGTH_MAX_S)
            )
            gain = integer_of(value)
            if start_s is None or start_s < 0 or not length_s or length_s < 0 or gain is None:
                self._complain(line, (start, duration, value))
                continue
            if number in block.qualities:
                self._marks[len(self._gain)] = self._judged(block.qualities[number])
            self._start_s.append(start_s)
            self._length_s.append(length_s)
            self._gain.append(gain)
            next_s = start_s + length_s

    def _complain(self, line: int, texts: tuple[str | None, str | None, str | None]) -> None:
        if len(self._problems) < PROBLEMS_MAX:
            start, duration, value = ("nothing" if t is None else repr(t[:30]) for t in texts)
            self._problems.append(
                f"the IntervalReading that ends at line {line} has start {start}, duration "
                f"{duration} and value {value}; a start in seconds from 1970 to 2200, a duration "
                "above 0 and a whole value are needed"
            )

    def _judged(self, texts: Sequence[str]) -> tuple[int, int]:
        known = {int(code) for code in ReadingQuality}
        codes = [integer_of(text, 255) for text in texts]
        strange = [text[:20] for text, code in zip(texts, codes, strict=True) if code not in known]
        note = f"Quality {strange} in {self._where} is not of ESPI; taken as questionable."
        if strange and note not in self._notes:
            self._notes.append(note)
        told = [ReadingQuality(code) for code in codes if code is not None and code in known]
        if strange:
            told.append(ReadingQuality.QUESTIONABLE)
        return quality_and_origin(tuple(told))

    def energies(self) -> IntervalEnergies:
        """Return the columns as they are, in the order of the file."""
        count = len(self._gain)
        quality = np.full(count, self._default[0], np.uint8)
        origin = np.full(count, self._default[1], np.uint8)
        rows = list(self._marks)
        quality[rows] = [mark[0] for mark in self._marks.values()]
        origin[rows] = [mark[1] for mark in self._marks.values()]
        return IntervalEnergies(
            np.array(self._start_s, np.int64) * US_PER_S,
            np.array(self._length_s, np.int64),
            np.array(self._gain, np.int64),
            quality,
            origin,
        )
