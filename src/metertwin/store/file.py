"""The open history file: one cursor that writes, one for each question, closed and opened anew."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from metertwin.store.connection import clear_error, open_database
from metertwin.store.errors import StoreUnavailableError

_CLOSE_WAIT_S = 30.0  # far above any question within the limits; a hung one must not hang the stop


class HistoryFile:
    """The DuckDB file at `path`, opened at once.

    Raises:
        StoreUnavailableError: It cannot be opened now.
        StoreDamagedError: It is no DuckDB file, or a broken one.
        StoreVersionError: Another MeterTwin wrote it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._root: duckdb.DuckDBPyConnection | None = None
        self._question_count = 0
        self._gate = threading.Condition()
        self.reopen()

    def reopen(self) -> None:
        """Close the file if it is open, after the questions under way, and open it."""
        self.close()
        with self._gate:
            self._root = open_database(self.path)
            self.writer = self._root.cursor()

    def close(self) -> None:
        """Let go of the file, after the questions under way."""
        with self._gate:
            root, self._root = self._root, None
            self._gate.wait_for(lambda: self._question_count == 0, timeout=_CLOSE_WAIT_S)
            if root is not None:
                self.writer.close()
                root.close()

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give one question a cursor of its own, usable from the calling thread.

        Raises:
            StoreUnavailableError: The file is closed, or is being opened anew.
        """
        with self._gate:
            if self._root is None:
                raise StoreUnavailableError(
                    f"History file {self.path} is closed just now; ask again in a second.",
                    path=str(self.path),
                )
            cursor = self._root.cursor()
            self._question_count += 1
        try:
            with self.clearly():
                yield cursor
        finally:
            cursor.close()
            with self._gate:
                self._question_count -= 1
                self._gate.notify_all()

    @contextmanager
    def clearly(self) -> Iterator[None]:
        """Turn what the file or its disk does into an error that says what to do.

        A wrong query is our own mistake and stays what it is.
        """
        try:
            yield
        except (duckdb.ProgrammingError, duckdb.DataError):
            raise
        except duckdb.Error as error:
            raise clear_error(error, self.path) from error
