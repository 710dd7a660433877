"""The embedded backend: one DuckDB file, owned by one process.

One cursor writes and every question has its own, so a long question does not hold up the writer.
After a failure the file is opened again before the next transaction: what the disk holds decides
whether the failed one happened, not what memory believes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from metertwin.core.batch import Int64s
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.ledger import Kept
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.units import Unit
from metertwin.store import rows, statements
from metertwin.store.answers import Answers
from metertwin.store.catalogue import Catalogue, Pending
from metertwin.store.file import HistoryFile
from metertwin.store.harvest import Harvest, Recorded
from metertwin.store.newest import Newest
from metertwin.store.rivals import Columns, judge


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """A harvest as tables, made before the transaction begins so that it is short."""

    readings: Columns | None
    messages: list[tuple[str, pa.Table]]


class DuckDbStore(Answers):
    """A history in the DuckDB file at `path`; see `port.HistoryStore`.

    Raises:
        StoreLockedError: Another process has the file open.
        StoreDamagedError: It is no DuckDB file, or a broken one.
        StoreVersionError: Another MeterTwin wrote it.
        StoreUnavailableError: It cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        file = HistoryFile(path)
        super().__init__(file, _read_catalogue(file), Newest())
        self._is_certain = True
        self._begun_transaction = 0
        self._last_transaction = 0
        self._with_holes: set[int] = set()
        self._read_state()

    def close(self) -> None:
        """Let go of the file; calling it twice does no harm."""
        self._file.close()

    def meter_ids(self, group: GroupId, meters: Sequence[MeterId]) -> Int64s:
        """Return the id of each meter; see the port."""
        return self._catalogue.meter_ids(group, meters)

    def record(self, harvest: Harvest) -> Recorded:
        """Make a harvest durable as a whole; see the port."""
        prepared = self._prepare(harvest)
        with self._file.clearly():
            if not self._is_certain:
                self._file.reopen()
                self._read_state()
                if self._last_transaction == self._begun_transaction:
                    self._is_certain = True
                    return Recorded()
            self._begun_transaction = self._last_transaction + 1
            self._is_certain = False
            recorded = self._transact(harvest, prepared)
            self._is_certain = True
        return recorded

    def _prepare(self, harvest: Harvest) -> _Prepared:
        ids, register_ids = self._catalogue.meter_ids, self._catalogue.register_ids
        readings = rows.columns_of(harvest.readings, ids, register_ids) if harvest.readings else {}
        messages = []
        if harvest.events:
            messages.append((statements.INSERT_EVENTS, rows.event_rows(harvest.events, ids)))
        if harvest.commands:
            messages.append((statements.INSERT_COMMANDS, rows.command_rows(harvest.commands, ids)))
        if harvest.outcomes:
            messages.append((statements.INSERT_OUTCOMES, rows.outcome_rows(harvest.outcomes, ids)))
        if harvest.outputs:
            table = rows.output_rows(harvest.outputs, ids, self._catalogue.group_number)
            messages.append((statements.INSERT_OUTPUTS, table))
        if harvest.refused:
            messages.append((statements.INSERT_REFUSED, rows.refused_rows(harvest.refused)))
        has_rows = bool(readings) and len(readings["sequence"]) > 0
        return _Prepared(readings if has_rows else None, messages)

    def _transact(self, harvest: Harvest, prepared: _Prepared) -> Recorded:
        writer = self._file.writer
        writer.begin()
        pending = self._write_names()
        recorded = Recorded()
        if prepared.readings is not None:
            recorded = self._write_readings(prepared.readings)
        for statement, table in prepared.messages:
            statements.write(writer, statement, table)
        if harvest.ledger is not None:
            statements.update_ledger(writer, harvest.ledger, self._with_holes)
        for epoch in harvest.epochs:
            statements.set_epoch(writer, epoch)
        statements.set_positions(writer, harvest.positions)
        statements.set_transaction(writer, self._begun_transaction)
        writer.commit()
        self._note_durable(harvest, prepared, pending)
        return recorded

    def _note_durable(self, harvest: Harvest, prepared: _Prepared, pending: Pending) -> None:
        self._catalogue.written(pending)
        self._last_transaction = self._begun_transaction
        if prepared.readings is not None:
            self._take_newest(prepared.readings)
        if harvest.ledger is not None:
            self._with_holes -= set(harvest.ledger.meter_ids.tolist())
            self._with_holes |= set(harvest.ledger.holes)

    def _write_names(self) -> Pending:
        pending = self._catalogue.pending()
        statements.add_names(self._file.writer, pending)
        return pending

    def _write_readings(self, columns: Columns) -> Recorded:
        writer = self._file.writer
        self._make_room()
        sure = self._newest.surely_new(
            columns["meter_id"], columns["register_id"], columns["captured_at_us"]
        )
        if sure is None:
            statements.append_readings(writer, columns)
            return Recorded(stored_count=len(columns["sequence"]))
        statements.append_readings(writer, _where(columns, sure))
        late = self._write_late(_where(columns, ~sure))
        return Recorded(
            late.stored_count + int(sure.sum()), late.repeated_count, late.corrected_count
        )

    def _write_late(self, late: Columns) -> Recorded:
        """Write rows that may repeat or correct stored rows, or each other."""
        writer = self._file.writer
        stored, row_numbers = statements.stored_rivals(writer, late)
        both = {name: np.concatenate([stored[name], late[name]]) for name in late}
        is_stored = np.arange(len(both["sequence"])) < len(row_numbers)
        verdict = judge(both, is_stored)
        stays = np.zeros(len(is_stored), dtype=bool)
        stays[verdict.winners] = True
        goes = row_numbers[~stays[: len(row_numbers)]]
        if len(goes):
            statements.delete_readings(writer, goes, late["captured_at_us"])
        statements.append_readings(writer, _where(both, stays & ~is_stored))
        if len(verdict.superseded):
            statements.append_superseded(writer, _where(both, verdict.superseded))
        if len(verdict.repeated):
            statements.add_repeated(writer, both["meter_id"][verdict.repeated])
        return Recorded(
            stored_count=len(verdict.winners) - len(row_numbers),
            repeated_count=len(verdict.repeated),
            corrected_count=len(verdict.superseded),
        )

    def _read_state(self) -> None:
        """Take from the file what decides how rows are written."""
        with self._file.cursor() as cursor:
            counts = cursor.sql(
                "SELECT (SELECT count(*) FROM groups), (SELECT count(*) FROM meters), "
                "(SELECT count(*) FROM registers)"
            ).fetchall()[0]
            newest = cursor.sql(
                "SELECT meter_id, register_id, max(captured_at_us) AS captured_at_us "
                "FROM readings GROUP BY meter_id, register_id"
            ).fetchnumpy()
            last_transaction = cursor.sql("SELECT last_transaction FROM layout").fetchall()[0][0]
            with_holes = cursor.sql("SELECT DISTINCT meter_id FROM holes").fetchall()
        self._catalogue.durable_up_to(*counts)
        self._last_transaction = last_transaction
        self._with_holes = {row for (row,) in with_holes}
        self._make_room()
        self._take_newest(newest)

    def _make_room(self) -> None:
        self._newest.grow(len(self._catalogue.meters), len(self._catalogue.registers))

    def _take_newest(self, columns: Columns) -> None:
        self._newest.raise_to(
            columns["meter_id"], columns["register_id"], columns["captured_at_us"]
        )


def _read_catalogue(file: HistoryFile) -> Catalogue:
    with file.cursor() as cursor:
        groups = cursor.sql("SELECT name FROM groups ORDER BY group_id").fetchall()
        meters = cursor.sql("SELECT name, group_id FROM meters ORDER BY meter_id").fetchall()
        registers = cursor.sql(
            "SELECT obis, unit, scaler, period_s FROM registers ORDER BY register_id"
        ).fetchall()
    return Catalogue(
        [GroupId(name) for (name,) in groups],
        [(MeterId(name), group) for name, group in meters],
        [Register(Obis.parse(obis), Unit(unit), *rest) for obis, unit, *rest in registers],
    )


def _where(columns: Columns, chosen: Kept | Int64s) -> Columns:
    return {name: column[chosen] for name, column in columns.items()}
