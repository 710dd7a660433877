"""The reading half of the DuckDB backend: questions have limits, answers have labels."""

from collections.abc import Sequence
from datetime import datetime

import pyarrow as pa

from metertwin.core.clock import to_us
from metertwin.core.errors import ConflictError, InvalidInputError, NotFoundError
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.ledger import Ledger
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.twin import LedgerLine
from metertwin.store import questions
from metertwin.store.captures import Captures, quantity_of
from metertwin.store.catalogue import Catalogue
from metertwin.store.errors import LimitError
from metertwin.store.file import HistoryFile
from metertwin.store.harvest import GroupEpoch, Remembered
from metertwin.store.newest import Newest
from metertwin.store.port import DEFAULT_ROWS, MAX_CAPTURES, MAX_ROWS, ResampleHow
from metertwin.store.questions import Series
from metertwin.store.series import SeriesLabel


class Answers:
    """Answers of the history in an open file; see `port.HistoryStore` for each question."""

    def __init__(self, file: HistoryFile, catalogue: Catalogue, newest: Newest) -> None:
        self._file = file
        self._catalogue = catalogue
        self._newest = newest

    def remembered(self) -> Remembered:
        """Return what was last made durable; see the port."""
        with self._file.cursor() as cursor:
            meter_count = cursor.sql("SELECT count(*) FROM meters").fetchall()[0][0]
            ledger = Ledger.sized(meter_count)
            lines = cursor.sql("SELECT * FROM ledger").fetchnumpy()
            for name in ("received", "taken", "duplicate"):
                getattr(ledger, name)[lines["meter_id"]] = lines[name]
            holes = cursor.sql("SELECT * FROM holes ORDER BY meter_id, first").fetchall()
            for meter, first, last in holes:
                ledger.holes.setdefault(meter, []).append((first, last))
            epochs = cursor.sql("SELECT name, epoch, stale_count FROM groups").fetchall()
            positions = cursor.sql("SELECT stream, stream_sequence FROM positions").fetchall()
        return Remembered(
            positions=dict(positions),
            ledger=ledger,
            epochs={GroupId(name): GroupEpoch(GroupId(name), *rest) for name, *rest in epochs},
        )

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
        """Return the readings with start <= captured_at < end; see the port."""
        _check_limit(limit)
        series, label = self._series(meter, obis, period_s)
        start_us, end_us = _span_us(start, end)
        with self._file.cursor() as cursor:
            table = series.read_range(cursor, start_us, end_us, limit + 1)
            if len(table) > limit:
                count = series.count(cursor, start_us, end_us)
                raise LimitError(
                    f"Meter {meter} has {count} readings of {obis} from {start.isoformat()} to "
                    f"{end.isoformat()}, the limit is {limit}; ask for a shorter time or resample.",
                    count=count,
                    limit=limit,
                )
        return label.write_to(table)

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
        """Return one row per window that has readings; see the port."""
        if every_s < 1:
            raise InvalidInputError(
                f"A window of {every_s} s is not possible; give 1 s or more.", every_s=every_s
            )
        series, label = self._series(meter, obis, period_s)
        start_us, end_us = _span_us(start, end)
        every_us = every_s * 1_000_000
        if (end_us - start_us) // every_us > MAX_ROWS:
            raise LimitError(
                f"{start.isoformat()} to {end.isoformat()} has more than {MAX_ROWS} windows of "
                f"{every_s} s; ask for a shorter time or longer windows.",
                limit=MAX_ROWS,
            )
        with self._file.cursor() as cursor:
            table = series.resample(cursor, how, start_us, end_us, every_us)
        digits = questions.MEAN_DIGITS if how is ResampleHow.MEAN else 0
        return label.finer_by(digits).write_to(table)

    def latest_before(
        self, meter: MeterId, obis: Obis, at: datetime, *, period_s: int | None = None
    ) -> pa.Table:
        """Return the newest reading with captured_at <= at, one row or none; see the port."""
        series, label = self._series(meter, obis, period_s)
        with self._file.cursor() as cursor:
            return label.write_to(series.latest(cursor, to_us(at)))

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
        """Return the captures of several meters from `start` to `end`; see the port."""
        start_us, end_us = _span_us(start, end)
        numbers = self._catalogue.meters.find_each(meters)
        quantity = quantity_of(obis, period_s, numbers, self._registers_of)
        register = quantity.register
        expected_count = (end_us - start_us) // (register.period_s * 1_000_000)
        if len(meters) * expected_count > limit:
            raise _too_many_captures(obis, len(meters), expected_count, limit)
        with self._file.cursor() as cursor:
            columns = quantity.captured(cursor, start_us, end_us, 2 * limit)
        if len(columns) == 2 * limit:
            raise _too_many_captures(obis, len(meters), len(columns) // len(meters), limit)
        return Captures(register, quantity.largest_factors(len(meters)), columns)

    def registers(self, meter: MeterId) -> pa.Table:
        """Return each register of a meter with its count, first and last time; see the port."""
        number = self._catalogue.meter_number(meter)
        with self._file.cursor() as cursor:
            table = questions.registers_of(cursor, number)
        registers = [self._catalogue.registers[n] for n in table["register_id"].to_pylist()]
        said = pa.table(
            {
                "obis": pa.array([str(register.obis) for register in registers], pa.string()),
                "unit": pa.array([register.unit.symbol for register in registers], pa.string()),
                "scaler": pa.array([register.scaler for register in registers], pa.int64()),
                "period_s": pa.array([register.period_s for register in registers], pa.int64()),
            }
        )
        for name in ("reading_count", "first_us", "last_us"):
            said = said.append_column(name, table[name])
        return said

    def events(
        self, meter: MeterId | GroupId, start: datetime, end: datetime, *, limit: int = 1_000
    ) -> pa.Table:
        """Return the newest events of a meter or group, newest first; see the port."""
        _check_limit(limit)
        start_us, end_us = _span_us(start, end)
        asked = {"start_us": start_us, "end_us": end_us, "limit": limit}
        return self._ask(questions.EVENTS, meter, asked)

    def commands(self, meter: MeterId | GroupId, *, limit: int = 1_000) -> pa.Table:
        """Return the newest commands with their outcomes, newest first; see the port."""
        _check_limit(limit)
        return self._ask(questions.COMMANDS, meter, {"limit": limit})

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
        """Return the newest outputs of apps about a meter or group, newest first; see the port."""
        _check_limit(limit)
        start_us, end_us = _span_us(start, end)
        meter, group = self._catalogue.meter_or_group(whose)
        asked = {
            "meter": meter,
            "group": group,
            "app": app,
            "name": name,
            "start_us": start_us,
            "end_us": end_us,
            "limit": limit,
            "newest_revision": newest_revision,
        }
        with self._file.cursor() as cursor:
            return questions.ask(cursor, questions.OUTPUTS, asked)

    def ledger(self, group: GroupId | None = None) -> list[LedgerLine]:
        """Return the ledger of a group's meters, or of all, by meter id; see the port."""
        meters: Sequence[int] = () if group is None else self._catalogue.meters_of(group)
        with self._file.cursor() as cursor:
            asked = {"whole": group is None, "meters": list(meters)}
            lines = cursor.sql(questions.LEDGER, params=asked).fetchall()
        return [LedgerLine(MeterId(meter), *counts) for meter, *counts in lines]

    def meters(self, group: GroupId) -> list[MeterId]:
        """Return the meters of a group, by name; see the port."""
        return sorted(self._catalogue.meters[n] for n in self._catalogue.members(group))

    def groups(self) -> list[GroupId]:
        """Return every group anything was recorded of."""
        return [self._catalogue.groups[n] for n in range(len(self._catalogue.groups))]

    def refused_count(self) -> int:
        """Return how many messages were put aside in all."""
        with self._file.cursor() as cursor:
            return int(cursor.sql("SELECT count(*) FROM refused").fetchall()[0][0])

    def _ask(self, query: str, meter: MeterId | GroupId, asked: dict[str, int]) -> pa.Table:
        meters = self._catalogue.meters_of(meter)
        with self._file.cursor() as cursor:
            return questions.ask(cursor, query, {"meters": meters, **asked})

    def _registers_of(self, meter: int) -> dict[int, Register]:
        """Return the registers of which a meter has readings, by number."""
        return {n: self._catalogue.registers[n] for n in self._newest.registers_of(meter)}

    def _series(
        self, meter: MeterId, obis: Obis, period_s: int | None
    ) -> tuple[Series, SeriesLabel]:
        """Find the registers that are one quantity of a meter, brought to one scaler."""
        number = self._catalogue.meter_number(meter)
        recorded = self._registers_of(number)
        periods = sorted({r.period_s for r in recorded.values() if r.obis == obis})
        chosen_s = periods[0] if period_s is None and periods else period_s
        chosen = {n: r for n, r in recorded.items() if (r.obis, r.period_s) == (obis, chosen_s)}
        if not chosen:
            known = sorted({f"{r.obis} every {r.period_s} s" for r in recorded.values()})
            raise NotFoundError(
                f"Meter {meter} has no history of {obis}"
                f"{'' if period_s is None else f' every {period_s} s'}; it has "
                f"{', '.join(known).replace(' every 0 s', '')}.",
                meter=meter,
                obis=str(obis),
                known=known,
            )
        units = {register.unit.symbol for register in chosen.values()}
        if len(units) > 1:
            raise ConflictError(
                f"Meter {meter} reported {obis} in {' and '.join(sorted(units))}; such a series "
                "has no one unit. Check the meter's configuration.",
                meter=meter,
            )
        scaler = min(register.scaler for register in chosen.values())
        factors = [10 ** (register.scaler - scaler) for register in chosen.values()]
        period = next(iter(chosen.values())).period_s
        label = SeriesLabel(str(meter), str(obis), units.pop(), scaler, period)
        return Series(number, list(chosen), factors), label


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= MAX_ROWS:
        raise LimitError(
            f"A limit of {limit} rows is not possible; ask for 1 to {MAX_ROWS}.", limit=limit
        )


def _too_many_captures(obis: Obis, meter_count: int, expected_count: int, limit: int) -> LimitError:
    meters_per_page = limit // max(expected_count, 1)
    return LimitError(
        f"{meter_count} meters with {expected_count} captures of {obis} each are more than the "
        f"{limit} of one answer; ask for "
        f"{f'{meters_per_page} meters at once or for ' if meters_per_page else ''}a shorter time.",
        meter_count=meter_count,
        meters_per_page=meters_per_page,
        limit=limit,
    )


def _span_us(start: datetime, end: datetime) -> tuple[int, int]:
    start_us, end_us = to_us(start), to_us(end)
    if end_us <= start_us:
        raise InvalidInputError(
            f"From {start.isoformat()} to {end.isoformat()} is no time; the end must be later.",
        )
    return start_us, end_us
