"""The statements that write, all within one transaction of the caller."""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import numpy as np
import pyarrow as pa

from metertwin.core.batch import Int64s
from metertwin.store.catalogue import Pending
from metertwin.store.harvest import GroupEpoch, LedgerRows
from metertwin.store.rivals import NAMES, Columns

INSERT_EVENTS = """INSERT INTO events BY NAME
SELECT DISTINCT ON (meter_id, source, captured_at_us, code) *
FROM incoming ANTI JOIN events USING (meter_id, source, captured_at_us, code)"""
INSERT_COMMANDS = """INSERT INTO commands BY NAME SELECT DISTINCT ON (id) *
FROM incoming ANTI JOIN commands USING (id)"""
INSERT_OUTCOMES = """INSERT INTO outcomes BY NAME SELECT DISTINCT ON (id, status) *
FROM incoming ANTI JOIN outcomes USING (id, status)"""
# Of outputs about the whole group the meter is null, which no join by name finds equal.
INSERT_OUTPUTS = """INSERT INTO outputs BY NAME FROM incoming ANTI JOIN outputs
ON outputs.at_us = incoming.at_us AND outputs.group_id = incoming.group_id
AND outputs.app = incoming.app AND outputs.name = incoming.name
AND outputs.meter_id IS NOT DISTINCT FROM incoming.meter_id
AND outputs.revision = incoming.revision"""
INSERT_REFUSED = "INSERT INTO refused BY NAME FROM incoming"
_INSERT_READINGS = "INSERT INTO readings BY NAME FROM incoming"
_INSERT_SUPERSEDED = "INSERT INTO superseded BY NAME FROM incoming"
_STORED_RIVALS = """SELECT readings.*, readings.rowid AS row_number
FROM readings SEMI JOIN incoming USING (meter_id, register_id, captured_at_us)
WHERE captured_at_us BETWEEN ? AND ?"""
_DELETE_READINGS = """DELETE FROM readings
WHERE captured_at_us BETWEEN ? AND ? AND rowid IN (SELECT row_number FROM incoming)"""
_UPDATE_LEDGER = """UPDATE ledger SET received = incoming.received, taken = incoming.taken,
duplicate = incoming.duplicate FROM incoming WHERE ledger.meter_id = incoming.meter_id"""
_UPDATE_REPEATED = """UPDATE ledger SET repeated = repeated + incoming.added
FROM incoming WHERE ledger.meter_id = incoming.meter_id"""
_INSERT_LEDGER = "INSERT INTO ledger SELECT meter_id, 0, 0, 0, 0 FROM incoming"
_UPDATE_METERS = """UPDATE meters SET group_id = incoming.group_id
FROM incoming WHERE meters.meter_id = incoming.meter_id"""
_DELETE_HOLES = "DELETE FROM holes WHERE meter_id IN (SELECT meter_id FROM incoming)"
_INSERT_HOLES = "INSERT INTO holes BY NAME FROM incoming"


@contextmanager
def incoming(connection: duckdb.DuckDBPyConnection, table: pa.Table) -> Iterator[None]:
    """Let statements see an Arrow table under the name `incoming`."""
    connection.register("incoming", table)
    try:
        yield
    finally:
        connection.unregister("incoming")


def write(connection: duckdb.DuckDBPyConnection, statement: str, table: pa.Table) -> None:
    """Run one statement over an Arrow table."""
    with incoming(connection, table):
        connection.execute(statement)


def append_readings(connection: duckdb.DuckDBPyConnection, rows: Columns) -> None:
    """Append rows of which nothing can be in the table yet."""
    write(connection, _INSERT_READINGS, pa.table(rows))


def append_superseded(connection: duckdb.DuckDBPyConnection, rows: Columns) -> None:
    """Append rows to the audit of superseded readings."""
    write(connection, _INSERT_SUPERSEDED, pa.table(rows))


def stored_rivals(connection: duckdb.DuckDBPyConnection, rows: Columns) -> tuple[Columns, Int64s]:
    """Return the stored rows that have the same key as one of `rows`, and their row numbers."""
    captured = rows["captured_at_us"]
    span = [int(captured.min()), int(captured.max())]
    with incoming(connection, pa.table(rows)):
        found = connection.sql(_STORED_RIVALS, params=span).to_arrow_table()
    columns = {name: found[name].to_numpy() for name in (*NAMES, "row_number")}
    row_numbers = columns.pop("row_number")
    return columns, row_numbers


def delete_readings(
    connection: duckdb.DuckDBPyConnection,
    row_numbers: Int64s,
    captured_at_us: Int64s,
) -> None:
    """Delete stored rows by their row numbers, which this transaction has looked up."""
    span = [int(captured_at_us.min()), int(captured_at_us.max())]
    with incoming(connection, pa.table({"row_number": row_numbers})):
        connection.execute(_DELETE_READINGS, span)


def update_ledger(
    connection: duckdb.DuckDBPyConnection, ledger: LedgerRows, had_holes: set[int]
) -> None:
    """Write the touched meters' ledger; `had_holes` are the meters whose holes are in the table."""
    touched = {
        "meter_id": ledger.meter_ids,
        "received": ledger.received,
        "taken": ledger.taken,
        "duplicate": ledger.duplicate,
    }
    write(connection, _UPDATE_LEDGER, pa.table(touched))
    stale = had_holes.intersection(ledger.meter_ids.tolist())
    if stale:
        write(connection, _DELETE_HOLES, pa.table({"meter_id": sorted(stale)}))
    holes = [(row, *hole) for row, row_holes in ledger.holes.items() for hole in row_holes]
    if holes:
        meter_id, first, last = zip(*holes, strict=True)
        table = {"meter_id": meter_id, "first": first, "last": last}
        write(connection, _INSERT_HOLES, pa.table(table))


def add_repeated(connection: duckdb.DuckDBPyConnection, meter_ids: Int64s) -> None:
    """Count one repetition for each entry of `meter_ids`."""
    meters, added = np.unique(meter_ids, return_counts=True)
    write(connection, _UPDATE_REPEATED, pa.table({"meter_id": meters, "added": added}))


def set_positions(connection: duckdb.DuckDBPyConnection, positions: dict[str, int]) -> None:
    """Write the last message number covered of each stream."""
    for stream, stream_sequence in positions.items():
        connection.execute("DELETE FROM positions WHERE stream = ?", [stream])
        connection.execute("INSERT INTO positions VALUES (?, ?)", [stream, stream_sequence])


def set_transaction(connection: duckdb.DuckDBPyConnection, number: int) -> None:
    """Write the number of this transaction: after a failure it tells whether it happened."""
    connection.execute("UPDATE layout SET last_transaction = ?", [number])


def set_epoch(connection: duckdb.DuckDBPyConnection, epoch: GroupEpoch) -> None:
    """Write a group's highest epoch and its count of stale readings."""
    connection.execute(
        "UPDATE groups SET epoch = ?, stale_count = ? WHERE name = ?",
        [epoch.epoch, epoch.stale_count, epoch.group],
    )


def add_names(connection: duckdb.DuckDBPyConnection, pending: Pending) -> None:
    """Write new groups, meters (each with its line in the ledger) and registers."""
    for number, group in pending.groups:
        connection.execute("INSERT INTO groups VALUES (?, ?, 0, 0)", [number, group])
    for number, register in pending.registers:
        row = [number, str(register.obis), int(register.unit), register.scaler, register.period_s]
        connection.execute("INSERT INTO registers VALUES (?, ?, ?, ?, ?)", row)
    if pending.meters:
        numbers = [number for number, _ in pending.meters]
        table = {
            "meter_id": numbers,
            "name": [str(meter) for _, meter in pending.meters],
            "group_id": [pending.group_of[number] for number in numbers],
        }
        write(connection, "INSERT INTO meters BY NAME FROM incoming", pa.table(table))
        write(connection, _INSERT_LEDGER, pa.table({"meter_id": numbers}))
    moved = {n: g for n, g in pending.group_of.items() if n < pending.first_new_meter}
    if moved:
        table = {"meter_id": list(moved), "group_id": list(moved.values())}
        write(connection, _UPDATE_METERS, pa.table(table))
