"""The billing run: once an hour, issue what is due and rate again what changed.

Whatever came between two runs is looked at together, so what is issued does not depend on how the
intervals were cut into batches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from metertwin.apps.app import Finding, Output
from metertwin.apps.tariff.app.answers import Revision
from metertwin.apps.tariff.app.carries import joined, split
from metertwin.apps.tariff.app.chain import ChainMonth, dynamics_of, rate_chain
from metertwin.apps.tariff.app.due import Due, Job
from metertwin.apps.tariff.app.notes import began_note, counted_from
from metertwin.apps.tariff.app.outputs import (
    bill_output,
    changed_finding,
    doubtful_finding,
    together,
)
from metertwin.apps.tariff.app.reasons import reasons_of
from metertwin.apps.tariff.app.state import Issued
from metertwin.apps.tariff.app.usage import DAY_US, Span, Usage, UsageReader
from metertwin.apps.tariff.bill import Bill, BillChange
from metertwin.apps.tariff.rating import UsageBatch, compare
from metertwin.apps.tariff.schedule import next_month
from metertwin.apps.tariff.tariff import Tariff
from metertwin.apps.view import GroupView
from metertwin.core.clock import from_us, to_us
from metertwin.core.errors import ConflictError, MeterTwinError
from metertwin.core.vee import EditError
from metertwin.core.vee.finding import runs_of

_ENCODER = msgspec.msgpack.Encoder()
_KEPT_DAYS = 130  # three months that are over, and the running one


@dataclass(slots=True)
class BillingRun:
    """One run over a group, or over some meters of it.

    Attributes:
        changes: What changed in bills issued before.
    """

    reader: UsageReader
    view: GroupView
    outputs: list[Output] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    changes: list[BillChange] = field(default_factory=list)

    def run(self, rows: Sequence[int] | None = None) -> None:
        """Issue and rate again until nothing is due."""
        rows = range(len(self.view.meters)) if rows is None else rows
        due = Due(self.reader.settings, self.reader.state, self.view, self.findings)
        while jobs := due.jobs(rows):
            groups: dict[tuple[date, str, int], list[Job]] = {}
            for job in jobs:
                key = (job.month, job.tariff.id, job.tariff.version)
                groups.setdefault(key, []).append(job)
            for key in sorted(groups):
                self._rate(groups[key], due)
        self.findings = together(self.findings)
        self._forget()

    def _forget(self) -> None:
        state = self.reader.state
        oldest = from_us(to_us(self.view.now) - _KEPT_DAYS * DAY_US).date()
        for month in [month for month in sorted(state.months) if month < oldest]:
            state.forget(month)

    def _rate(self, jobs: list[Job], due: Due) -> None:
        """Rate one month of several meters at once; those that cannot be are told."""
        first = jobs[0]
        rows = np.array([job.row for job in jobs], np.int64)
        span = Span(rows, first.start_us, first.end_us, to_us(self.view.now))
        try:
            usage = self.reader.read(self.view.intervals, self.view.meters, span, [first.tariff])
            assert usage is not None  # only a usage so far may be empty
            carry = joined([job.carry for job in jobs])
            tariffs = [(first.month, first.tariff)]
            (chained,) = rate_chain(self.reader.state, usage, tariffs, carry)
        except (ConflictError, EditError) as error:
            # Meters of several periods, or an edit that does not fit: concerns some of them only.
            if len(jobs) > 1:
                self._rate(jobs[: len(jobs) // 2], due)
                self._rate(jobs[len(jobs) // 2 :], due)
            else:
                due.refuse(jobs, error)
        except MeterTwinError as error:
            due.refuse(jobs, error)
        else:
            for row, (job, carry_after) in enumerate(
                zip(jobs, split(chained.carry_after()), strict=True)
            ):
                self._issue(job, row, usage, chained)
                self._hand_on(job, carry_after)

    def _issue(self, job: Job, row: int, usage: Usage, chained: ChainMonth) -> None:
        state, bill = self.reader.state, chained.bill(row)
        account = state.accounts[job.meter]
        old = state.issued(job.month, job.meter)
        came_us = sorted(account.late.pop(job.month.isoformat(), ()))
        account.first_us, account.is_touched = int(usage.first_us[row]), True
        account.since = state.since(job.meter) or job.month
        causes = self._causes(job, usage.batch)
        before = None if old is None else old.unpacked()
        change, revisions = None, [] if old is None else list(old.revisions)
        if before is None or _said(before) != _said(bill):
            if old is not None and before is not None:
                reasons = reasons_of(
                    old.causes,
                    causes,
                    old.unmeasured_us,
                    came_us,
                    period_s=usage.batch.period_s,
                    zone=ZoneInfo(job.tariff.zone),
                )
                change = compare(before, bill, reasons)
                self.changes.append(change)
                self.findings.append(changed_finding(bill, before, change, self.view.now))
            revision = Revision(len(revisions), self.view.now, bill.total, change)
            revisions.append(revision)
            notes = [
                *began_note(usage, row, chained),
                *counted_from(job.tariff, job.month, account.since, account.skipped),
                *usage.sentences(row, chained.first_index, chained.end_index),
            ]
            self.outputs.append(bill_output(bill, revision, notes))
        else:
            bill = before
        doubts = usage.doubts(row, chained.first_index, chained.end_index)
        known = [] if old is None else old.doubtful_us
        if new := [doubts[start_us] for start_us in sorted(doubts) if start_us not in known]:
            self.findings.append(doubtful_finding(bill, new, self.view.now))
        unmeasured = _runs(usage, row, chained)
        issued = Issued(
            _ENCODER.encode(bill),
            revisions,
            unmeasured,
            job.carry,
            causes,
            (job.start_us, job.end_us),
            usage.batch.period_us,
            account.first_us,
            sorted({*known, *doubts}),
        )
        state.issue(job.month, job.meter, issued)

    def _hand_on(self, job: Job, carry: dict[str, Decimal]) -> None:
        state, account = self.reader.state, self.reader.state.accounts[job.meter]
        account.refused = ""
        if account.last_month is None or job.month >= account.last_month:
            account.last_month, account.carry = job.month, carry
            return
        following = next_month(job.month)
        issued = state.issued(following, job.meter)
        if issued is not None and issued.carry != carry:
            account.late.setdefault(following.isoformat(), set())
            state.issue(following, job.meter, msgspec.structs.replace(issued, carry=carry))

    def _causes(self, job: Job, batch: UsageBatch) -> dict[str, str]:
        """Return all besides intervals that a bill follows from."""
        state = self.reader.state
        causes = {
            "tariff": f"{job.tariff.id} version {job.tariff.version}",
            "carry": _digest(sorted(job.carry.items())),
            "dynamics": _digest(_dynamics(self.reader, job.tariff, batch)),
        }
        for name, edit in state.edits.get(job.meter, {}).items():
            is_inside = batch.start_us <= _start_us(edit) < batch.end_us
            if is_inside and not edit["withdrawn_at"]:
                causes[f"edit {name}"] = f"{edit['by']}: {edit['reason']}"
        return causes


def _dynamics(reader: UsageReader, tariff: Tariff, batch: UsageBatch) -> object:
    """Return prices and events that touch a batch, as plain values."""
    dynamics = dynamics_of(reader.state, tariff, batch)
    events = [
        (start_us, end_us)
        for start_us, end_us in dynamics.critical_peaks_us
        if start_us < batch.end_us and end_us > batch.start_us
    ]
    return [None if dynamics.prices is None else dynamics.prices.prices_per_kwh, events]


def _runs(usage: Usage, row: int, chained: ChainMonth) -> list[tuple[int, int]]:
    """Return the runs of intervals that no meter told, start in microseconds and count."""
    batch = usage.batch
    part = usage.unmeasured[row : row + 1, chained.first_index : chained.end_index]
    runs = runs_of(part)
    first_us = batch.start_us + chained.first_index * batch.period_us
    starts_us = (first_us + runs.first_index * batch.period_us).tolist()
    return list(zip(starts_us, runs.interval_count.tolist(), strict=True))


def _start_us(edit: Mapping[str, str | int]) -> int:
    return to_us(datetime.fromisoformat(str(edit["interval_start"])))


def _said(bill: Bill) -> Bill:
    """Return a bill without its digest: what its reader sees."""
    return replace(bill, usage_digest="")


def _digest(plain: object) -> str:
    return sha256(_ENCODER.encode(plain)).hexdigest()[:16]
