"""The past that a request needs: from the window where it reaches, else from the recorder."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metertwin.apps.app import History, HistoryWanted
from metertwin.bus.connection import Bus
from metertwin.bus.intervals import meters_per_page, unpack_table
from metertwin.bus.messages import Request
from metertwin.bus.requests import ask
from metertwin.bus.subjects import Kind, subject
from metertwin.core.batch import Int64s
from metertwin.core.clock import Clock, from_us, to_us
from metertwin.core.errors import DeadlineError, NotFoundError
from metertwin.core.ids import MeterId
from metertwin.core.interval_table import IntervalTable
from metertwin.core.obis import Obis
from metertwin.twins.apps.tables import overlaid, stacked
from metertwin.twins.apps.window import IntervalWindow
from metertwin.twins.group import TwinGroup


@dataclass(frozen=True, slots=True)
class Past:
    """Fetches what one group's apps want of the past."""

    bus: Bus
    group: TwinGroup
    window: IntervalWindow
    clock: Clock

    async def fetch(self, wanted: HistoryWanted, deadline_s: float) -> History:
        """Return the intervals wanted, known or not, one table per register.

        Raises:
            UnknownTwinError: A meter has no twin here.
            UnavailableError: The window does not reach and the recorder does not answer.
            DeadlineError: Not within `deadline_s`.
        """
        until_s = self.clock.monotonic_s() + deadline_s
        rows = np.array([self.group.row(meter) for meter in wanted.meters], np.int64)
        start_us, end_us = to_us(wanted.start), to_us(wanted.end)
        tables: dict[Obis, IntervalTable] = {}
        for obis in wanted.registers:
            first_us = self._first_us(obis)
            if start_us >= first_us:
                tables[obis] = self.window.table(obis, start_us, end_us, rows)
                continue
            table = await self._recorded(obis, (start_us, end_us), wanted.meters, until_s)
            tables[obis] = self._with_recent(obis, table, rows, (start_us, end_us))
        return tables

    def _first_us(self, obis: Obis) -> int:
        """Return from when on the window has everything; the end of time for what it lacks."""
        has_it = obis in self.window.wanted_days
        return self.window.first_us(obis) if has_it else np.iinfo(np.int64).max

    def _with_recent(
        self, obis: Obis, table: IntervalTable | None, rows: Int64s, range_us: tuple[int, int]
    ) -> IntervalTable:
        """Lay over the recorder's table what it may not have stored yet."""
        start_us, end_us = range_us
        if obis not in self.window.wanted_days:
            if table is None:
                raise NotFoundError(
                    f"No load profile of group {self.group.settings.id} has {obis}.",
                    obis=str(obis),
                )
            return table
        if table is None:
            return self.window.table(obis, start_us, end_us, rows)
        first_us = min(max(start_us, self._first_us(obis)), end_us)
        first_us = -(-first_us // table.period_us) * table.period_us
        recent = self.window.table(obis, first_us, max(end_us, first_us), rows)
        return overlaid(table, recent)

    async def _recorded(
        self,
        obis: Obis,
        range_us: tuple[int, int],
        meters: Sequence[MeterId],
        until_s: float,
    ) -> IntervalTable | None:
        """Return what the recorder has, page by page; None where no meter has the register."""
        start_us, end_us = range_us
        period_us = self.window.period_us(obis)
        at_once = max(meters_per_page((end_us - start_us) // period_us), 1)
        pages: list[IntervalTable] = []
        to = subject(self.group.settings.id, Kind.HISTORY)
        for first in range(0, len(meters), at_once):
            some = list(meters[first : first + at_once])
            arguments = {
                "obis": str(obis),
                "start": from_us(start_us),
                "end": from_us(end_us),
                "meters": some,
            }
            left_s = until_s - self.clock.monotonic_s()
            if left_s <= 0:
                raise DeadlineError(f"History of {obis} did not come in time.", obis=str(obis))
            try:
                octets = await ask(self.bus, to, Request("intervals", arguments), left_s, bytes)
            except NotFoundError:
                continue  # none of these meters: their rows stay unknown
            pages.append(unpack_table(octets))
        return stacked(pages, meters) if pages else None
