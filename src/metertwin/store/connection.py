"""The DuckDB file itself: opened once, and every way it can fail said in one sentence."""

from pathlib import Path
from typing import Final

import duckdb

from metertwin.core.errors import MeterTwinError
from metertwin.store.errors import (
    StoreDamagedError,
    StoreFullError,
    StoreLockedError,
    StoreUnavailableError,
    StoreVersionError,
)
from metertwin.store.schema import CREATE, SCHEMA_VERSION, UPGRADES

_SETTINGS: Final[dict[str, str | bool | int | float | list[str]]] = {
    # The history needs no extension, and nothing may be fetched from the network to answer.
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    # A checkpoint of 64 MB takes about 0.3 s and replaying as much after a crash about as long;
    # the default of 16 MB halts the writer four times as often.
    "checkpoint_threshold": "64MB",
    "memory_limit": "1GB",
    "python_enable_replacements": False,
}

_FULL = ("no space left", "file too large", "disk quota exceeded", "out of disk")
_LOCKED = ("could not set lock", "conflicting lock")
_DAMAGED = (
    "not a valid duckdb database",
    "corrupt",
    "checksum",
    "failed to deserialize",
    "failed to load metadata",
    "could not read enough bytes",
)


def open_database(path: Path) -> duckdb.DuckDBPyConnection:
    """Open the history file, create it if there is none, and bring its layout up to date.

    Raises:
        StoreLockedError: Another process has it open.
        StoreDamagedError: It is no DuckDB file, or a broken one.
        StoreVersionError: A newer MeterTwin wrote it.
        StoreUnavailableError: It cannot be read or written.
    """
    try:
        connection = duckdb.connect(str(path), config=_SETTINGS)
        connection.execute("SET enable_external_access = false")
        tables = connection.sql("SELECT count(*) FROM duckdb_tables()").fetchall()[0][0]
        if not tables:
            connection.begin()
            connection.execute(CREATE)
            connection.execute("INSERT INTO layout VALUES (?, 0)", [SCHEMA_VERSION])
            connection.commit()
        versions = _upgraded(connection)
    except duckdb.Error as error:
        raise clear_error(error, path) from error
    if versions != [SCHEMA_VERSION]:
        connection.close()
        raise StoreVersionError(
            f"History file {path} has layout {versions}, this program knows {SCHEMA_VERSION}; "
            "use the MeterTwin that wrote it, or move the file away to begin a new one.",
            path=str(path),
            versions=versions,
        )
    return connection


def _upgraded(connection: duckdb.DuckDBPyConnection) -> list[int]:
    """Bring an older layout up to this program's, all or nothing, and return what it is then."""
    versions = [row[0] for row in connection.sql("SELECT version FROM layout").fetchall()]
    if len(versions) != 1 or versions[0] not in UPGRADES:
        return versions
    steps = "".join(UPGRADES[version] for version in range(versions[0], SCHEMA_VERSION))
    connection.begin()
    connection.execute(steps)
    connection.execute("UPDATE layout SET version = ?", [SCHEMA_VERSION])
    connection.commit()
    return [SCHEMA_VERSION]


def clear_error(error: duckdb.Error, path: Path) -> MeterTwinError:
    """Return the error that says in one sentence what, where and what to do."""
    text = str(error).lower()
    facts = {"path": str(path), "reason": str(error)[:500]}
    if any(sign in text for sign in _FULL):
        return StoreFullError(
            f"The disk under history file {path} is full; free some space, writing goes on by "
            "itself and nothing is lost meanwhile.",
            **facts,
        )
    if any(sign in text for sign in _LOCKED):
        return StoreLockedError(
            f"History file {path} is open in another process; stop the other recorder or point "
            f"this one to another state directory ({_holder(str(error))}).",
            **facts,
        )
    if any(sign in text for sign in _DAMAGED):
        return StoreDamagedError(
            f"History file {path} is damaged; put a backup in its place, or move it and its .wal "
            f"away to begin a new one from what the bus still keeps ({facts['reason'][:120]}).",
            **facts,
        )
    return StoreUnavailableError(
        f"History file {path} cannot be used now: {facts['reason'][:200]}; check that its folder "
        "exists, can be written and is on a healthy disk.",
        **facts,
    )


def _holder(text: str) -> str:
    start = text.find("(PID")
    return text[start + 1 : text.find(")", start)] if start >= 0 else "its PID is unknown"
