"""What an app is shown: its registers out of the window, the newest values out of the columns."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from metertwin.apps.app import AppInfo
from metertwin.apps.view import FreshIntervals, GroupView, RegisterColumn
from metertwin.core.batch import Int64s
from metertwin.core.clock import from_us
from metertwin.core.ids import MeterId
from metertwin.core.interval_table import IntervalTable
from metertwin.core.obis import Obis
from metertwin.twins.apps.window import IntervalWindow, WindowError
from metertwin.twins.group import TwinGroup


@dataclass(frozen=True, slots=True)
class AppIntervals:
    """The window as far as one app asked for it."""

    window: IntervalWindow
    info: AppInfo

    @property
    def first_us(self) -> int:
        """From when on everything captured of the app's registers is here."""
        return max((self.window.first_us(obis) for obis in self.info.registers), default=0)

    def table(self, obis: Obis, start_us: int, end_us: int, rows: Int64s) -> IntervalTable:
        """Return intervals; raises WindowError for what the app did not ask for."""
        if obis not in self.info.registers or start_us < self.window.kept_from_us(obis):
            asked = ", ".join(
                f"{each} from {from_us(self.window.kept_from_us(each)).isoformat()}"
                for each in self.info.registers
            )
            raise WindowError(
                f"App {self.info.name} has {asked or 'no register'} on, not {obis} from "
                f"{from_us(start_us).isoformat()} on; ask for older ones by `history_wanted`.",
                obis=str(obis),
            )
        return self.window.table(obis, start_us, end_us, rows)


@dataclass(frozen=True, slots=True)
class NewestRegisters:
    """The newest values of a group."""

    group: TwinGroup
    meters_count: int

    def column(self, obis: Obis) -> RegisterColumn:
        """Return the newest value of one register of every meter."""
        columns, count = self.group.columns, self.meters_count
        values = np.full(count, np.nan)
        newest_us = np.full(count, -1, np.int64)
        quality = np.zeros(count, np.uint8)
        for column in columns.momentary_columns_of(obis):
            captured_at_us = columns.captured_at_us[column, :count]
            scaler = columns.registers[column].scaler
            integers = columns.integers[column, :count]
            newer = captured_at_us > newest_us
            # Divided, not multiplied by 0.1: 2359 x 10^-1 is 235.9 then, not 235.90000000000003.
            numbers = integers * 10.0**scaler if scaler > 0 else integers / 10.0**-scaler
            values[newer] = numbers[newer]
            newest_us[newer] = captured_at_us[newer]
            quality[newer] = columns.quality[column, :count][newer]
        return RegisterColumn(values, newest_us, quality)

    def row_of(self, meter: MeterId) -> int | None:
        """Return the row of a meter, None where it has no twin or joined after this view."""
        row = self.group.columns.row_of(meter)
        return None if row is None or row >= self.meters_count else row


@dataclass(frozen=True, slots=True)
class Views:
    """Makes the views of one app of a group."""

    group: TwinGroup
    window: IntervalWindow
    info: AppInfo
    seed: int

    def at(self, now: datetime, fresh: FreshIntervals | None = None) -> GroupView:
        """Return the group as the app sees it at a moment."""
        columns = self.group.columns
        names = (self.group.settings.id, self.info.name)
        seeds = [self.seed, *(zlib.crc32(name.encode()) for name in names)]
        meters: Sequence[MeterId] = tuple(columns.meters)
        return GroupView(
            group=self.group.settings.id,
            now=now,
            meters=meters,
            intervals=AppIntervals(self.window, self.info),
            fresh=FreshIntervals.none() if fresh is None else fresh,
            registers=NewestRegisters(self.group, len(meters)),
            random=np.random.default_rng([*seeds, self.group.stream_sequence]),
        )
