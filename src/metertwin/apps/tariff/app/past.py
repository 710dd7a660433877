"""Months that were not issued, rated out of history for an answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from metertwin.apps.app import History, HistoryWanted
from metertwin.apps.tariff.app.chain import (
    ChainMonth,
    edges_us_of,
    rate_chain,
    tariffs_back_to,
)
from metertwin.apps.tariff.app.desk import Desk
from metertwin.apps.tariff.app.errors import NotBilledError
from metertwin.apps.tariff.app.notes import began_note, counted_from, scope_start
from metertwin.apps.tariff.app.usage import HOUR_US, Span, Usage, source_of
from metertwin.apps.tariff.rating import Carry
from metertwin.apps.tariff.tariff import Tariff
from metertwin.apps.view import GroupView
from metertwin.core.clock import from_us, to_us


@dataclass(frozen=True, slots=True, eq=False)
class PastMonth:
    """A month of some meters.

    Attributes:
        rows: Of the view.
        since: First month that was counted, for credits, peaks and sums of the year.
    """

    rows: list[int]
    usage: Usage
    chained: ChainMonth
    since: date

    def begins_us(self, place: int) -> int:
        """Return when a meter's first interval begins, microseconds since 1970; -1: never."""
        return int(self.usage.first_us[place])

    def is_told(self, place: int) -> bool:
        """Say whether anything is known of the month of one of the meters."""
        batch = self.usage.batch
        end_us = batch.start_us + self.chained.end_index * batch.period_us
        bill = self.chained.bill(place)
        return 0 <= self.begins_us(place) < end_us and bill.missing_count < bill.interval_count

    def notes(self, place: int) -> list[str]:
        """Return what the bill of one of the meters rests on besides its intervals."""
        chained = self.chained
        return [
            *began_note(self.usage, place, chained),
            *counted_from(chained.tariff, chained.month, self.since),
            *self.usage.sentences(place, chained.first_index, chained.end_index),
        ]


def past_wanted(
    desk: Desk, view: GroupView, rows: Sequence[int], first: date, last: date
) -> HistoryWanted | None:
    """Return the history that bills of months need, credit years and the like included."""
    start_us, end_us, meters = np.iinfo(np.int64).max, 0, []
    for row in rows:
        try:
            start, tariff = _tariffs(desk, view, row, first)[0]
            end_tariff = desk.settings.tariff_on(view.meters[row], last)
        except NotBilledError:
            continue  # the answer says so
        start_us = min(start_us, edges_us_of(tariff, start)[0])
        end_us = max(end_us, edges_us_of(end_tariff, last)[1])
        meters.append(view.meters[row])
    if not meters:
        return None
    end_us = min(end_us, to_us(view.now) // HOUR_US * HOUR_US)
    registers = desk.settings.registers.all()
    return HistoryWanted(registers, from_us(start_us), from_us(end_us), meters)


def rate_past(
    desk: Desk, view: GroupView, rows: Sequence[int], month: date, history: History
) -> list[PastMonth]:
    """Rate a month of several meters, each tariff in one pass; meters without usage are left out.

    Raises:
        NotBilledError: A meter has no tariff in the month.
        RatingError: The intervals do not suit the tariff.
    """
    groups: dict[tuple[Tariff, ...], list[int]] = {}
    for row in rows:
        tariffs = _tariffs(desk, view, row, month)
        groups.setdefault(tuple(tariff for _, tariff in tariffs), []).append(row)
    found = []
    for members in groups.values():
        tariffs = _tariffs(desk, view, members[0], month)
        start_us, _ = edges_us_of(tariffs[0][1], tariffs[0][0])
        _, end_us = edges_us_of(tariffs[-1][1], month)
        now_us = to_us(view.now)
        is_so_far = now_us < end_us
        span = Span(np.array(members), start_us, end_us, now_us, is_so_far=is_so_far)
        source = source_of(view, history)
        usage = desk.reader.read(source, view.meters, span, [tariff for _, tariff in tariffs])
        if usage is None:
            continue
        chain = rate_chain(desk.state, usage, tariffs, Carry.fresh(len(members)))
        if chain[-1].month == month:
            found.append(PastMonth(members, usage, chain[-1], tariffs[0][0]))
    return found


def _tariffs(desk: Desk, view: GroupView, row: int, month: date) -> list[tuple[date, Tariff]]:
    meter = view.meters[row]
    start = scope_start(desk.settings.tariff_on(meter, month), month)
    return tariffs_back_to(desk.settings, meter, start, month)
