"""What a history store does, whatever keeps the bytes.

Writing is one call, `record`, from one thread at a time. Questions may be asked from any thread
while it writes. Answers are Arrow tables; a series says in its schema's metadata how its integers
are to be read (see `series.SeriesLabel`).
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import pyarrow as pa

from metertwin.core.batch import Int64s
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.obis import Obis
from metertwin.core.twin import LedgerLine
from metertwin.store.captures import Captures
from metertwin.store.harvest import Harvest, Recorded, Remembered

MAX_ROWS = 200_000  # about 4 MB in an answer; the bus carries 8 MB
DEFAULT_ROWS = 100_000
MAX_CAPTURES = 4_000_000  # about 200 MB while a question works on them


class ResampleHow(StrEnum):
    """How the readings of a window become one value."""

    MEAN = "mean"  # to three more digits than the register has, half away from zero
    LAST = "last"
    MIN = "min"
    MAX = "max"
    GAIN = "gain"  # what a counter gained over the window, exact


class HistoryStore(Protocol):
    """Readings, events, commands and the ledger, idempotent and transactional."""

    def meter_ids(self, group: GroupId, meters: Sequence[MeterId]) -> Int64s:
        """Return the id of each meter, from 0 without a gap; new names get the next ids.

        A new name becomes durable with the next `record`. A meter met in another group than
        before belongs to the new group from then on, with its history.

        Raises:
            IdError: A new name cannot be an id.
        """
        ...

    def remembered(self) -> Remembered:
        """Return the positions, ledger and epochs as they were last made durable."""
        ...

    def record(self, harvest: Harvest) -> Recorded:
        """Make a harvest durable as a whole.

        Of several readings with the same (meter, register, captured_at) the one with the highest
        number stands, in whatever order they came.

        Raises:
            StoreUnavailableError: It could not be written; nothing of it was; call again with
                the same harvest before any other.
            StoreDamagedError: The file is broken.
        """
        ...

    def read_range(
        self,
        meter: MeterId,
        obis: Obis,
        start: datetime,
        end: datetime,
        *,
        period_s: int | None = None,
        limit: int = DEFAULT_ROWS,
    ) -> pa.Table:
        """Return the readings with start <= captured_at < end, oldest first.

        Columns captured_at_us, integer, quality, origin, received_at_us, sequence.
        `period_s` chooses the series: 0 what was read at a moment, else a load profile's; None
        the first of these that exists, from the shortest.

        Raises:
            NotFoundError: The meter or this register of it has no history.
            LimitError: There are more than `limit` readings.
        """
        ...

    def resample(
        self,
        meter: MeterId,
        obis: Obis,
        start: datetime,
        end: datetime,
        *,
        every_s: int,
        how: ResampleHow,
        period_s: int | None = None,
    ) -> pa.Table:
        """Return one row per window [start + k every_s, start + (k+1) every_s) that has readings.

        Columns interval_start_us, integer, reading_count, quality (all bits that occur).
        A gain is the counter's last value at or before the window's end less the one before it,
        so gains over adjoining windows add up; `since_us` says from when it counts, which is
        earlier than the window where readings are missing. Steps downwards (reset, rollover,
        replaced meter) stay as they are and set Quality.SUSPECT.

        Raises:
            NotFoundError: The meter or this register of it has no history.
            LimitError: There are more than MAX_ROWS windows.
            InvalidInputError: The window is not above 0 or the range not forwards.
        """
        ...

    def latest_before(
        self, meter: MeterId, obis: Obis, at: datetime, *, period_s: int | None = None
    ) -> pa.Table:
        """Return the newest reading with captured_at <= at: one row as `read_range`, or none."""
        ...

    def captures(
        self,
        meters: Sequence[MeterId],
        obis: Obis,
        start: datetime,
        end: datetime,
        *,
        period_s: int | None = None,
        limit: int = MAX_CAPTURES,
    ) -> Captures:
        """Return what several meters' load profiles captured with start <= captured_at <= end.

        The capture at `start` closes the interval before it: it is the register's value there.
        A meter without such a register has no captures. `period_s` chooses the load profile;
        None the one with the shortest period that any of the meters has.

        Raises:
            NotFoundError: None of the meters has such a register.
            ConflictError: The meters count in several units, or scalers more than 10^9 apart.
            LimitError: Meters x periods in the range exceed `limit`; `meters_per_page` says how
                many meters do not.
        """
        ...

    def registers(self, meter: MeterId) -> pa.Table:
        """Return each register of a meter.

        Columns obis, unit, scaler, period_s, reading_count, first_us, last_us.
        """
        ...

    def events(
        self, meter: MeterId | GroupId, start: datetime, end: datetime, *, limit: int = 1_000
    ) -> pa.Table:
        """Return the newest `limit` events of a meter or whole group, newest first.

        Columns meter, source, code, name, captured_at_us, received_at_us, detail.
        """
        ...

    def commands(self, meter: MeterId | GroupId, *, limit: int = 1_000) -> pa.Table:
        """Return the newest commands of a meter or group with their outcomes, newest first.

        One row per outcome, or one with a null status while there is none. Columns id, meter,
        kind, arguments (JSON), issued_by, issued_at_us, expires_at_us, epoch, status, at_us,
        reason.
        """
        ...

    def outputs(
        self,
        whose: MeterId | GroupId,
        start: datetime,
        end: datetime,
        *,
        app: str | None = None,
        name: str | None = None,
        limit: int = 1_000,
        newest_revision: bool = True,
    ) -> pa.Table:
        """Return the newest outputs of apps with start <= at < end, newest first.

        Of a group: those about it as a whole, with a null meter, and those about its meters.
        With `newest_revision` only the highest revision of each (app, meter, name, at). Columns
        app, app_version, meter, name, at_us, revision, issued_at_us, value (JSON).

        Raises:
            NotFoundError: Neither a meter nor a group of that name has a history.
        """
        ...

    def ledger(self, group: GroupId | None = None) -> list[LedgerLine]:
        """Return the ledger of a group's meters, or of all, by meter id."""
        ...

    def meters(self, group: GroupId) -> list[MeterId]:
        """Return the meters of a group, by name; none of a group nothing was recorded of."""
        ...

    def groups(self) -> list[GroupId]:
        """Return every group anything was recorded of."""
        ...

    def refused_count(self) -> int:
        """Return how many messages were put aside in all."""
        ...

    def close(self) -> None:
        """Let go of the store; calling it twice does no harm."""
        ...
