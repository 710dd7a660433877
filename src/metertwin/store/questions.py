"""The questions a history answers, as SQL over one cursor."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import duckdb
import pyarrow as pa

from metertwin.store.port import ResampleHow

# A series can have several registers: the same quantity with another scaler since the meter was
# replaced. `factors` brings their integers to the smallest scaler, exactly.
_SERIES: Final = """WITH registers_of AS (
    SELECT unnest($registers::INTEGER[]) AS register_id, unnest($factors::BIGINT[]) AS factor
), series AS (
    SELECT captured_at_us, integer * factor AS integer, quality, origin, received_at_us, sequence
    FROM readings JOIN registers_of USING (register_id) WHERE meter_id = $meter
)"""

_RANGE: Final = """ SELECT * FROM series
WHERE captured_at_us >= $start_us AND captured_at_us < $end_us
ORDER BY captured_at_us, sequence LIMIT $limit"""

_COUNT: Final = """ SELECT count(*) FROM series
WHERE captured_at_us >= $start_us AND captured_at_us < $end_us"""

_LATEST: Final = """ SELECT * FROM series WHERE captured_at_us <= $at_us
ORDER BY captured_at_us DESC, sequence DESC LIMIT 1"""

_WINDOWS: Final = """, inside AS (
    SELECT *, $start_us + ((captured_at_us - $start_us) // $every_us) * $every_us
        AS interval_start_us
    FROM series WHERE captured_at_us >= $start_us AND captured_at_us < $end_us
)"""

_RESAMPLE_END: Final = """ AS integer, count(*) AS reading_count,
bit_or(quality) AS quality FROM inside GROUP BY interval_start_us ORDER BY interval_start_us"""

# Three digits more than the register has, rounded half away from zero, in whole numbers only.
_MEAN: Final = """CAST(sign(sum(integer)) *
    ((2000 * abs(sum(integer)) + count(*)) // (2 * count(*))) AS BIGINT)"""

_AGGREGATE: Final = {
    ResampleHow.MEAN: _MEAN,
    ResampleHow.LAST: "arg_max(integer, captured_at_us)",
    ResampleHow.MIN: "min(integer)",
    ResampleHow.MAX: "max(integer)",
}
MEAN_DIGITS: Final = 3

# The value at a time is the last one at or before it, so the base of the first window may lie
# before the range. A step down is kept and marked as suspect (16).
_GAIN: Final = """, base AS (
    SELECT * FROM series WHERE captured_at_us <= $start_us ORDER BY captured_at_us DESC LIMIT 1
), counted AS (
    SELECT * FROM base UNION ALL
    SELECT * FROM series WHERE captured_at_us > $start_us AND captured_at_us <= $end_us
), steps AS (
    SELECT captured_at_us, quality,
        integer - lag(integer) OVER (ORDER BY captured_at_us, sequence) AS step,
        lag(captured_at_us) OVER (ORDER BY captured_at_us, sequence) AS since_us
    FROM counted
)
SELECT $start_us + ((captured_at_us - $start_us - 1) // $every_us) * $every_us
        AS interval_start_us,
    CAST(sum(step) AS BIGINT) AS integer, count(*) AS reading_count,
    CAST(bit_or(quality) | CASE WHEN min(step) < 0 THEN 16 ELSE 0 END AS UTINYINT) AS quality,
    min(since_us) AS since_us
FROM steps WHERE step IS NOT NULL GROUP BY interval_start_us ORDER BY interval_start_us"""

_REGISTERS: Final = """SELECT register_id, count(*) AS reading_count,
min(captured_at_us) AS first_us, max(captured_at_us) AS last_us
FROM readings WHERE meter_id = $meter
GROUP BY register_id ORDER BY register_id"""

EVENTS: Final = """SELECT meters.name AS meter, source, code, events.name AS name, captured_at_us,
received_at_us, detail FROM events JOIN meters USING (meter_id)
WHERE list_contains($meters, meter_id) AND captured_at_us >= $start_us AND captured_at_us < $end_us
ORDER BY captured_at_us DESC, received_at_us DESC LIMIT $limit"""

COMMANDS: Final = """WITH newest AS (
    SELECT * FROM commands WHERE list_contains($meters, meter_id)
    ORDER BY issued_at_us DESC, id LIMIT $limit
)
SELECT newest.id, meters.name AS meter, kind, arguments, issued_by, issued_at_us, expires_at_us,
    epoch, status, at_us, reason
FROM newest JOIN meters USING (meter_id) LEFT JOIN outcomes ON outcomes.id = newest.id
ORDER BY issued_at_us DESC, newest.id, at_us, status"""

# What an app said anew of the same moment, with a higher revision, stands in place of the old.
OUTPUTS: Final = """SELECT app, app_version, meters.name AS meter, outputs.name AS name, at_us,
revision, issued_at_us, value
FROM outputs LEFT JOIN meters USING (meter_id)
WHERE outputs.group_id IS NOT DISTINCT FROM coalesce($group, outputs.group_id)
AND outputs.meter_id IS NOT DISTINCT FROM coalesce($meter, outputs.meter_id)
AND app = coalesce($app, app) AND outputs.name = coalesce($name, outputs.name)
AND at_us >= $start_us AND at_us < $end_us
QUALIFY NOT $newest_revision OR revision = max(revision)
    OVER (PARTITION BY outputs.group_id, app, outputs.meter_id, outputs.name, at_us)
ORDER BY at_us DESC, issued_at_us DESC, app, name, meter, revision DESC LIMIT $limit"""

LEDGER: Final = """SELECT meters.name, received, taken, duplicate, received - taken
FROM ledger JOIN meters USING (meter_id)
WHERE $whole OR list_contains($meters, meter_id) ORDER BY meters.name"""


@dataclass(frozen=True, slots=True)
class Series:
    """One meter's registers that are one quantity, and what each integer is multiplied with."""

    meter: int
    registers: list[int]
    factors: list[int]

    def _parameters(self, **others: int) -> dict[str, object]:
        return {
            "meter": self.meter,
            "registers": self.registers,
            "factors": self.factors,
            **others,
        }

    def read_range(
        self, cursor: duckdb.DuckDBPyConnection, start_us: int, end_us: int, limit: int
    ) -> pa.Table:
        """Return up to `limit` readings in [start, end), oldest first."""
        found = self._parameters(start_us=start_us, end_us=end_us, limit=limit)
        return ask(cursor, _SERIES + _RANGE, found)

    def count(self, cursor: duckdb.DuckDBPyConnection, start_us: int, end_us: int) -> int:
        """Return how many readings are in [start, end)."""
        span = self._parameters(start_us=start_us, end_us=end_us)
        return int(cursor.sql(_SERIES + _COUNT, params=span).fetchall()[0][0])

    def latest(self, cursor: duckdb.DuckDBPyConnection, at_us: int) -> pa.Table:
        """Return the newest reading at or before a time: one row or none."""
        return ask(cursor, _SERIES + _LATEST, self._parameters(at_us=at_us))

    def resample(
        self,
        cursor: duckdb.DuckDBPyConnection,
        how: ResampleHow,
        start_us: int,
        end_us: int,
        every_us: int,
    ) -> pa.Table:
        """Return one row per window with readings; see `port.HistoryStore.resample`."""
        if how is ResampleHow.GAIN:
            query = _SERIES + _GAIN
        else:
            select = f" SELECT interval_start_us, {_AGGREGATE[how]}"
            query = _SERIES + _WINDOWS + select + _RESAMPLE_END
        span = self._parameters(start_us=start_us, end_us=end_us, every_us=every_us)
        return ask(cursor, query, span)


def registers_of(cursor: duckdb.DuckDBPyConnection, meter: int) -> pa.Table:
    """Return register_id, reading_count, first_us and last_us of a meter's registers."""
    return ask(cursor, _REGISTERS, {"meter": meter})


def ask(
    cursor: duckdb.DuckDBPyConnection, query: str, parameters: Mapping[str, object]
) -> pa.Table:
    """Return the answer of a query with named parameters."""
    return cursor.sql(query, params=dict(parameters)).to_arrow_table()
