"""What a twin says of itself: a row of the columns as a document, a summary, one value."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from metertwin.core.clock import Clock, from_us, to_us
from metertwin.core.ledger import Rows
from metertwin.core.obis import Obis
from metertwin.core.reading import Origin, Quality, RegisterReading
from metertwin.core.twin import ReportedValue, TwinStatus, TwinSummary, obis_key
from metertwin.core.units import scaled
from metertwin.twins.group import TwinGroup

IMPORT_ENERGY = Obis(1, 0, 1, 8, 0, 255)
EXPORT_ENERGY = Obis(1, 0, 2, 8, 0, 255)
IMPORT_POWER = Obis(1, 0, 1, 7, 0, 255)
EXPORT_POWER = Obis(1, 0, 2, 7, 0, 255)
VOLTAGE_L1 = Obis(1, 0, 32, 7, 0, 255)
DISCONNECTOR = Obis(0, 0, 96, 3, 10, 255)

_SUMMARY = (IMPORT_POWER, EXPORT_POWER, VOLTAGE_L1, IMPORT_ENERGY, DISCONNECTOR)
_US_PER_S = 1e6


class Cell(NamedTuple):
    """One register of one twin."""

    row: int
    column: int


class TwinView:
    """Reads a group's columns for people; nothing here changes them."""

    def __init__(self, group: TwinGroup, clock: Clock) -> None:
        self._group = group
        self._clock = clock

    def status(self, row: int) -> TwinStatus:
        """Return how the twin stands to its meter, by when the meter was last heard."""
        last_received_at_us = int(self._group.columns.last_received_at_us[row])
        return self._status(to_us(self._clock.now()), last_received_at_us)

    def age_s(self, row: int) -> float | None:
        """Return the age of the twin's newest value in s; None while it has none."""
        captured_at_us = self._group.columns.captured_at_us[:, row]
        newest_us = int(captured_at_us.max(initial=-1))
        return None if newest_us < 0 else self._age_s(newest_us)

    def reported(self, row: int) -> dict[str, ReportedValue]:
        """Return the newest value of each register the twin has."""
        columns = self._group.columns
        return {
            obis_key(register.obis, register.period_s): self.value(Cell(row, column))
            for column, register in enumerate(columns.registers)
            if columns.captured_at_us[column, row] >= 0
        }

    def find(self, row: int, obis: Obis) -> Cell | None:
        """Return the twin's newest cell with this code that was read at a moment, if it has one."""
        columns = self._group.columns
        cells = [
            Cell(row, column)
            for column in columns.momentary_columns_of(obis)
            if columns.captured_at_us[column, row] >= 0
        ]
        return max(cells, key=self._captured_at_us, default=None)

    def value(self, cell: Cell) -> ReportedValue:
        """Return one register's newest value with all that belongs to it."""
        columns = self._group.columns
        row, column = cell
        register = columns.registers[column]
        integer = int(columns.integers[column, row])
        captured_at_us = int(columns.captured_at_us[column, row])
        return ReportedValue(
            obis=str(register.obis),
            value=scaled(integer, register.scaler),
            unit=register.unit.symbol,
            integer=integer,
            scaler=register.scaler,
            period_s=register.period_s,
            captured_at=from_us(captured_at_us),
            received_at=from_us(int(columns.received_at_us[column, row])),
            age_s=self._age_s(captured_at_us),
            quality=int(columns.quality[column, row]),
            origin=Origin(int(columns.origin[column, row])).name.lower(),
        )

    def summaries(self, rows: Sequence[int]) -> list[TwinSummary]:
        """Return what a list shows of each twin; thousands at a time, so by columns."""
        if not rows:
            return []
        wanted = np.array(rows, dtype=np.int64)
        columns = self._group.columns
        newest_us = columns.captured_at_us[:, wanted].max(axis=0, initial=-1)
        now_us = to_us(self._clock.now())
        return [
            TwinSummary(
                meter=columns.meters[row],
                group=self._group.settings.id,
                status=self._status(now_us, last_received_at_us),
                age_s=None if newest < 0 else (now_us - newest) / _US_PER_S,
                power_import_w=power_import_w,
                power_export_w=power_export_w,
                voltage_v=voltage_v,
                energy_import_wh=energy_import_wh,
                is_connected=None if disconnector is None else bool(disconnector),
            )
            for (
                row,
                newest,
                last_received_at_us,
                power_import_w,
                power_export_w,
                voltage_v,
                energy_import_wh,
                disconnector,
            ) in zip(
                rows,
                newest_us.tolist(),
                columns.last_received_at_us[wanted].tolist(),
                *(self._numbers(wanted, obis) for obis in _SUMMARY),
                strict=True,
            )
        ]

    def rows_matching(self, search: str, status: TwinStatus | None) -> list[int]:
        """Return the rows whose meter's id contains `search` and whose status is the given one."""
        meters = self._group.columns.meters
        return [
            row
            for row, meter in enumerate(meters)
            if search in meter and (status is None or self.status(row) is status)
        ]

    def in_step_count(self) -> int:
        """Return how many twins are in step."""
        columns = self._group.columns
        limit_us = to_us(self._clock.now()) - int(self._group.settings.freshness_s * _US_PER_S)
        heard = columns.last_received_at_us[: len(columns)]
        return int(np.count_nonzero((heard >= 0) & (heard >= limit_us)))

    def _numbers(self, rows: Rows, obis: Obis) -> list[float | None]:
        """Return the newest value with this code of each row; None where a twin has none."""
        columns = self._group.columns
        values: list[float | None] = [None] * len(rows)
        newest_us = np.full(len(rows), -1, dtype=np.int64)
        for column in columns.momentary_columns_of(obis):
            captured_at_us = columns.captured_at_us[column, rows]
            scaler = columns.registers[column].scaler
            integers = columns.integers[column, rows]
            # Divided, not multiplied by 0.1: 2359 x 10^-1 is 235.9 then, not 235.90000000000003.
            numbers = (integers * 10.0**scaler if scaler > 0 else integers / 10.0**-scaler).tolist()
            for position in np.flatnonzero(captured_at_us > newest_us).tolist():
                values[position] = numbers[position]
            newest_us = np.maximum(newest_us, captured_at_us)
        return values

    def _status(self, now_us: int, last_received_at_us: int) -> TwinStatus:
        if last_received_at_us < 0:
            return TwinStatus.WAITING
        silent_s = (now_us - last_received_at_us) / _US_PER_S
        is_fresh = silent_s <= self._group.settings.freshness_s
        return TwinStatus.IN_STEP if is_fresh else TwinStatus.STALE

    def _captured_at_us(self, cell: Cell) -> int:
        return int(self._group.columns.captured_at_us[cell.column, cell.row])

    def _age_s(self, captured_at_us: int) -> float:
        return (to_us(self._clock.now()) - captured_at_us) / _US_PER_S


def value_of_reading(reading: RegisterReading, clock: Clock) -> ReportedValue:
    """Return a reading just taken from the meter in the form in which the twin's own are shown."""
    return ReportedValue(
        obis=str(reading.register.obis),
        value=reading.value,
        unit=reading.register.unit.symbol,
        integer=reading.integer,
        scaler=reading.register.scaler,
        period_s=reading.register.period_s,
        captured_at=reading.captured_at,
        received_at=reading.received_at,
        age_s=(clock.now() - reading.captured_at).total_seconds(),
        quality=int(Quality(reading.quality)),
        origin=reading.origin.name.lower(),
    )
