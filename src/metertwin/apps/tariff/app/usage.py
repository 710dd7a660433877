"""From intervals to what is rated: read, validated, estimated, edited, cut to billing months."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import numpy as np

from metertwin.apps.app import History
from metertwin.apps.tariff.app.settings import BillingSettings
from metertwin.apps.tariff.app.state import State
from metertwin.apps.tariff.app.tables import cut, metered, newest_us_of, nothing_before, take_rows
from metertwin.apps.tariff.demand import DemandMeasure
from metertwin.apps.tariff.rating import Contract, UsageBatch
from metertwin.apps.tariff.tariff import Tariff
from metertwin.apps.view import GroupView, IntervalSource
from metertwin.core.batch import Int64s
from metertwin.core.clock import from_us, to_us
from metertwin.core.errors import NotFoundError
from metertwin.core.ids import MeterId
from metertwin.core.interval_table import Flags, IntervalTable
from metertwin.core.obis import Obis
from metertwin.core.reading import Origin
from metertwin.core.vee import (
    Edit,
    VeeCheck,
    VeeResult,
    edit_from_plain,
    edits_about,
    validate_estimate_edit,
)

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
# Estimates go by like days, and a gap over a month's end has one total: so some days on both
# sides of the months are looked at as well.
DAYS_BEFORE = 7
DAYS_BEHIND = 3
_SENTENCES_MAX = 12
_TOO_MUCH = frozenset({VeeCheck.SPIKE, VeeCheck.MAXIMAL_POWER})


@dataclass(frozen=True, slots=True, eq=False)
class PastSource:
    """Fetched history as a source of intervals; rows are those of the view."""

    history: History
    meters: Sequence[MeterId]

    @property
    def first_us(self) -> int:
        """Start of the history, microseconds since 1970 UTC."""
        return max((table.start_us for table in self.history.values()), default=0)

    def table(self, obis: Obis, start_us: int, end_us: int, rows: Int64s) -> IntervalTable:
        """Return the intervals of some meters; raises NotFoundError for what was not fetched."""
        whole = self.history.get(obis)
        if whole is None or start_us < whole.start_us:
            raise NotFoundError(f"History of {obis} from {from_us(start_us)} on was not fetched.")
        place = {meter: row for row, meter in enumerate(whole.meters)}
        wanted = [self.meters[row] for row in rows.tolist()]
        if others := [meter for meter in wanted if meter not in place]:
            raise NotFoundError(f"History of meters {', '.join(others)} was not fetched.")
        at = np.array([place[meter] for meter in wanted], np.int64)
        return cut(take_rows(whole, at), start_us, min(end_us, whole.end_us))


def source_of(view: GroupView, history: History) -> IntervalSource:
    """Return the history where it was fetched, else the window."""
    return PastSource(history, view.meters) if history else view.intervals


@dataclass(frozen=True, slots=True, eq=False)
class Usage:
    """Energies of meters, fit for rating.

    Attributes:
        batch: From the first month's start on.
        unmeasured: Which intervals no meter told, though the meter was there, shape
            (n_meters, n_intervals).
        first_us: Start of the first interval billed of each meter, microseconds since 1970 UTC;
            -1 where nothing is known.
        newest_us: End of the newest interval known of each meter; -1 where none is.
        checked: Import, export and reactive energies as validated, some days longer.
        before_count: Intervals before the first month in `checked`.
    """

    batch: UsageBatch
    unmeasured: Flags
    first_us: Int64s
    newest_us: Int64s
    checked: Sequence[VeeResult]
    before_count: int

    def sentences(self, row: int, first_index: int, end_index: int) -> list[str]:
        """Return what a customer may want to know of intervals [first, end) of the batch."""
        first, end = first_index + self.before_count, end_index + self.before_count
        told: list[str] = []
        for result in self.checked:
            since_us = int(self.first_us[row]) - result.table.start_us
            first = max(first, since_us // result.table.period_us)
            findings = [f for f in result.findings if f.row == row and first <= f.first_index < end]
            audit = [a for a in result.audit if a.row == row and first <= a.first_index < end]
            told += replace(result, findings=findings, audit=audit).explained(row)
        left = len(told) - _SENTENCES_MAX
        return told if left <= 0 else [*told[:_SENTENCES_MAX], f"And {left} more of the kind."]

    def doubts(self, row: int, first_index: int, end_index: int) -> dict[int, str]:
        """Return what of [first, end) was measured and is hardly true: sentences by start in us."""
        first, end = first_index + self.before_count, end_index + self.before_count
        told: dict[int, str] = {}
        for result in self.checked:
            table, findings = result.table, result.findings  # sorted by meter
            low = bisect_left(findings, row, key=lambda found: found.row)
            high = bisect_right(findings, row, key=lambda found: found.row)
            for found in findings[low:high]:
                at = found.first_index
                is_billed = first <= at < end and table.origin[row, at] == Origin.MEASURED
                if found.check in _TOO_MUCH and is_billed:
                    (sentence,) = replace(result, findings=[found], audit=[]).explained(row)
                    told.setdefault(table.start_us + at * table.period_us, sentence)
        return told

    def columns(self, first_index: int, end_index: int) -> UsageBatch:
        """Return intervals [first, end) as a batch of their own."""
        return self.batch.intervals(first_index, end_index)


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """Which intervals are wanted.

    Attributes:
        rows: Meters, rows of the view.
        start_us: First month's start, microseconds since 1970 UTC.
        end_us: End of the last month.
        now_us: The meters' time; nothing later is looked at.
        is_so_far: Whether the end is the newest interval known rather than `end_us`.
        whole_until_us: So far: until then all is read, whatever came.
    """

    rows: Int64s
    start_us: int
    end_us: int
    now_us: int
    is_so_far: bool = False
    whole_until_us: int = 0


@dataclass(frozen=True, slots=True)
class UsageReader:
    """Reads usages for one configuration and state."""

    settings: BillingSettings
    state: State

    def read(
        self,
        source: IntervalSource,
        meters: Sequence[MeterId],
        span: Span,
        tariffs: Sequence[Tariff],
    ) -> Usage | None:
        """Return the usage of some meters; None where so far there is no interval.

        Args:
            source: Of the intervals.
            meters: Meters of the view.
            span: What is wanted of them.
            tariffs: Those it is to be rated by; they say whether reactive energy is needed, and
                the first of them in which zone days are.
        """
        start_us = max(
            span.start_us - DAYS_BEFORE * DAY_US, -(-source.first_us // HOUR_US) * HOUR_US
        )
        start_us = min(start_us, span.start_us)
        behind_us = span.end_us + DAYS_BEHIND * DAY_US
        end_us = max(min(behind_us, span.now_us // HOUR_US * HOUR_US), span.end_us)
        if span.is_so_far:
            end_us = span.end_us

        def table_of(obis: Obis) -> IntervalTable:
            return source.table(obis, start_us, end_us, span.rows)

        imports = table_of(self.settings.registers.imports)
        newest = newest_us_of(imports)
        if span.is_so_far:
            end_us = max(int(newest.max(initial=-1)), span.whole_until_us)
            if end_us <= span.start_us:
                return None
            imports = cut(imports, start_us, end_us)
        others = self._others(
            table_of, imports, [meters[row] for row in span.rows.tolist()], tariffs
        )
        tables = [imports, *(table for table in others if table is not None)]
        zone = ZoneInfo(tariffs[0].zone)
        checked = [self._checked(table, zone) for table in tables]
        return self._usage(span, tables, (others[0] is not None, others[1] is not None), checked)

    def _others(
        self,
        table_of: Callable[[Obis], IntervalTable],
        imports: IntervalTable,
        meters: Sequence[MeterId],
        tariffs: Sequence[Tariff],
    ) -> tuple[IntervalTable | None, IntervalTable | None]:
        """Return export and reactive energies where any meter has them."""
        registers = self.settings.registers
        terms = [self.settings.terms(meter) for meter in meters]
        is_wanted = np.array([each is not None and each.exports is not False for each in terms])
        is_promised = np.array([each is not None and each.exports is True for each in terms])
        exports = metered(table_of(registers.exports), imports, is_wanted, is_promised)
        if not any(map(needs_reactive, tariffs)):
            return exports, None
        everyone, nobody = np.ones(len(meters), bool), np.zeros(len(meters), bool)
        return exports, metered(table_of(registers.reactive), imports, everyone, nobody)

    def _checked(self, table: IntervalTable, zone: ZoneInfo) -> VeeResult:
        edits = [
            edit
            for edit in edits_about(self.edits_of(table.meters), table)
            if to_us(edit.interval_start) >= table.start_us
            and to_us(edit.interval_start) + edit.length_s * 1_000_000 <= table.end_us
        ]
        return validate_estimate_edit(table, self.settings.rules, edits, zone=zone)

    def edits_of(self, meters: Sequence[MeterId]) -> list[Edit]:
        """Return all edits of some meters, withdrawn ones included."""
        of_meter = self.state.edits
        return [
            edit_from_plain(plain)
            for meter in meters
            if meter in of_meter
            for plain in list(of_meter[meter].values())
        ]

    def _usage(
        self,
        span: Span,
        raw: Sequence[IntervalTable],
        has_other: tuple[bool, bool],
        checked: Sequence[VeeResult],
    ) -> Usage:
        imports = raw[0]
        end_us = min(span.end_us, imports.end_us)
        first_us = self._first_us(imports)
        is_there = imports.starts_us()[None, :] >= first_us[:, None]
        tables = [nothing_before(result.table, ~is_there) for result in checked]
        within = [cut(table, span.start_us, end_us) for table in tables]
        unmeasured = np.logical_or.reduce([~table.is_known for table in raw]) & is_there
        before_count = (span.start_us - imports.start_us) // imports.period_us
        contracts = [self._contract(meter) for meter in imports.meters]
        batch = UsageBatch.of(
            within[0],
            within[1] if has_other[0] else None,
            within[-1] if has_other[1] else None,
            contracts,
        )
        unmeasured = unmeasured[:, before_count : before_count + within[0].interval_count]
        return Usage(batch, unmeasured, first_us, newest_us_of(imports), checked, before_count)

    def _contract(self, meter: MeterId) -> Contract:
        terms = self.settings.terms(meter)
        return Contract() if terms is None else terms.contract

    def _first_us(self, imports: IntervalTable) -> Int64s:
        """Return from when on each meter is billed: as its account says, or its first interval."""
        first = np.where(imports.is_known.any(axis=1), imports.is_known.argmax(axis=1), -1)
        first_us = np.where(first >= 0, imports.start_us + first * imports.period_us, -1)
        for row, meter in enumerate(imports.meters):
            account = self.state.accounts.get(meter)
            if account is not None and account.first_us >= 0:
                known_us = int(first_us[row])
                first_us[row] = (
                    account.first_us if known_us < 0 else min(known_us, account.first_us)
                )
        return first_us.astype(np.int64)


def needs_reactive(tariff: Tariff) -> bool:
    """Say whether a tariff looks at reactive energy."""
    return tariff.power_factor is not None or any(
        charge.measure is DemandMeasure.KVA for charge in tariff.demand
    )
