"""Which months of which meters are to be issued or rated again now."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import numpy as np

from metertwin.apps.app import Finding
from metertwin.apps.tariff.app.chain import edges_us_of, month_at, month_before
from metertwin.apps.tariff.app.errors import NotBilledError
from metertwin.apps.tariff.app.settings import BillingSettings
from metertwin.apps.tariff.app.state import Account, State
from metertwin.apps.tariff.app.usage import DAY_US
from metertwin.apps.tariff.schedule import next_month
from metertwin.apps.tariff.tariff import Tariff
from metertwin.apps.view import GroupView
from metertwin.core.clock import from_us, to_us
from metertwin.core.errors import ConflictError, MeterTwinError
from metertwin.core.ids import MeterId
from metertwin.core.interval_table import IntervalTable
from metertwin.core.obis import Obis

_NUMBERS = re.compile("[0-9]+")


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A month of a meter to be rated.

    Attributes:
        row: Of the view.
        carry: What the month before hands to it.
    """

    row: int
    meter: MeterId
    month: date
    tariff: Tariff
    start_us: int
    end_us: int
    carry: dict[str, Decimal]


@dataclass(slots=True)
class Due:
    """Finds what is due at one moment; what was refused once is not tried again."""

    settings: BillingSettings
    state: State
    view: GroupView
    findings: list[Finding]
    _refused: set[MeterId] = field(default_factory=set)
    _edges_us: dict[tuple[str, int, date], tuple[int, int]] = field(default_factory=dict)

    def jobs(self, rows: Sequence[int]) -> list[Job]:
        """Return at most one month for each meter: the earliest that is due."""
        now_us = to_us(self.view.now)
        ready: list[Job] = []
        open_jobs: list[Job] = []
        for row in rows:
            meter = self.view.meters[row]
            if self.settings.terms(meter) is None or meter in self._refused:
                continue
            account = self.state.accounts.setdefault(meter, Account(seen_us=now_us))
            try:
                again = self._again(row, meter, account)
                job = self._next_at_hand(row, meter, account) if again is None else None
            except MeterTwinError as error:
                self._refuse(meter, account, f"Its month cannot be billed: {error}")
                continue
            if again is not None:
                ready.append(again)
            elif job is not None and job.end_us <= now_us:
                if job.start_us < self.view.intervals.first_us:
                    continue  # history may still fill the window
                if now_us >= self._deadline_us(job, account):
                    ready.append(job)
                elif account.is_touched:
                    account.is_touched = False
                    open_jobs.append(job)
        return sorted([*ready, *self._complete(open_jobs)], key=lambda job: job.row)

    def refuse(self, jobs: Sequence[Job], error: MeterTwinError) -> None:
        """Take note that months could not be rated; each reason is told once."""
        for job in jobs:
            account = self.state.accounts[job.meter]
            self._refuse(job.meter, account, f"{job.month:%B %Y} cannot be billed: {error}")

    def _refuse(self, meter: MeterId, account: Account, reason: str) -> None:
        self._refused.add(meter)
        # A reason that differs in its numbers alone is told already: today's date, until when
        # prices are known.
        if _NUMBERS.sub("", account.refused) != _NUMBERS.sub("", reason):
            account.refused = reason
            self.findings.append(Finding(meter, "bill_refused", self.view.now, reason))

    def _again(self, row: int, meter: MeterId, account: Account) -> Job | None:
        """Return the earliest issued month that something came for."""
        for name in sorted(account.late):
            month = date.fromisoformat(name)
            issued = self.state.issued(month, meter)
            tariff = self.settings.tariff_on(meter, month)
            start_us, end_us = self._month_us(tariff, month)
            if issued is None or start_us < self.view.intervals.first_us:
                del account.late[name]
                continue
            return Job(row, meter, month, tariff, start_us, end_us, issued.carry)
        return None

    def _next(self, row: int, meter: MeterId, account: Account) -> Job | None:
        """Return the month after the last issued one, or the first that can be."""
        if account.last_month is None:
            if account.is_touched:
                account.first_month = self._first_month(row, meter)
            if account.first_month is None:
                account.is_touched = False
                return None
            month = account.first_month
        else:
            month = next_month(account.last_month)
        tariff = self.settings.tariff_on(meter, month)
        start_us, end_us = self._month_us(tariff, month)
        return Job(row, meter, month, tariff, start_us, end_us, account.carry)

    def _first_month(self, row: int, meter: MeterId) -> date | None:
        """Return the first whole month of the window in which the meter said anything."""
        month = month_at(self.settings.tariff_on(meter, self.view.now.date()), self.view.now)
        tariff = self.settings.tariff_on(meter, month)
        first_us = self.view.intervals.first_us
        start_us, _ = self._month_us(tariff, month)
        earliest = None
        while start_us > first_us:
            month = month_before(month)
            before_us, start_end_us = self._month_us(tariff, month)
            if before_us < first_us or not self._has_tariff(meter, month):
                break
            table = self._table(self.settings.registers.imports, before_us, start_end_us, [row])
            if table.is_known.any():
                earliest = month
            start_us = before_us
        return earliest

    def _has_tariff(self, meter: MeterId, month: date) -> bool:
        try:
            self.settings.tariff_on(meter, month)
        except NotBilledError:
            return False
        return True

    def _next_at_hand(self, row: int, meter: MeterId, account: Account) -> Job | None:
        """Return the next month, past those that are late and out of the window's reach."""
        first_us, now_us = self.view.intervals.first_us, to_us(self.view.now)
        job = self._next(row, meter, account)
        while job is not None and job.start_us < first_us:
            if job.end_us > now_us or now_us < self._deadline_us(job, account):
                break
            account.last_month = job.month
            account.skipped.append(job.month)
            terms = self.settings.terms(meter)
            is_prepaid = terms is not None and terms.is_prepaid
            detail = (
                f"{job.month:%B %Y} was not issued: intervals are at hand only from "
                f"{from_us(first_us).isoformat()} on. Ask for its bill; it is rated from history "
                f"then.{' The prepaid account is not charged for it.' if is_prepaid else ''}"
            )
            self.findings.append(Finding(meter, "bill_not_issued", self.view.now, detail))
            job = self._next(row, meter, account)
        return job

    def _deadline_us(self, job: Job, account: Account) -> int:
        wait_us = self.settings.final_after_days * DAY_US
        return max(job.end_us, account.seen_us) + wait_us

    def _complete(self, jobs: Sequence[Job]) -> list[Job]:
        """Return those whose every interval was told by the meter."""
        found: list[Job] = []
        groups: dict[tuple[int, int], list[Job]] = {}
        for job in jobs:
            groups.setdefault((job.start_us, job.end_us), []).append(job)
        for group in groups.values():
            found += self._complete_of(group)
        return found

    def _complete_of(self, jobs: Sequence[Job]) -> list[Job]:
        first, rows = jobs[0], [job.row for job in jobs]
        registers = self.settings.registers
        try:
            imports = self._table(registers.imports, first.start_us, first.end_us, rows)
            exports = self._table(registers.exports, first.start_us, first.end_us, rows)
        except ConflictError:
            if len(jobs) == 1:
                return []
            half = len(jobs) // 2
            return [*self._complete_of(jobs[:half]), *self._complete_of(jobs[half:])]
        is_whole: list[bool] = [bool(row.all()) for row in imports.is_known]
        exports_whole = [bool(row.all()) for row in exports.is_known]
        exports_any = [bool(row.any()) for row in exports.is_known]
        for row, job in enumerate(jobs):
            terms = self.settings.terms(job.meter)
            promised = None if terms is None else terms.exports
            is_metered = exports_any[row] if promised is None else promised
            is_whole[row] = is_whole[row] and (exports_whole[row] or not is_metered)
        return [job for row, job in enumerate(jobs) if is_whole[row]]

    def _table(self, obis: Obis, start_us: int, end_us: int, rows: Sequence[int]) -> IntervalTable:
        return self.view.intervals.table(obis, start_us, end_us, np.array(rows, np.int64))

    def _month_us(self, tariff: Tariff, month: date) -> tuple[int, int]:
        key = (tariff.zone, tariff.month_start_day, month)
        if key not in self._edges_us:
            self._edges_us[key] = edges_us_of(tariff, month)
        return self._edges_us[key]
