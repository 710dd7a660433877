"""What validation, estimation and editing came to, and why each value is what it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from metertwin.core.interval_table import IntervalTable
from metertwin.core.reading import Origin
from metertwin.core.vee.estimation import EstimationMethod
from metertwin.core.vee.finding import VeeFinding
from metertwin.core.vee.rules import VeeCheck
from metertwin.core.vee.sentences import audit_sentences, finding_sentence

Flags = NDArray[np.bool_]


class AuditAction(StrEnum):
    """What was done to a run of intervals."""

    ESTIMATED = "estimated"
    LEFT_UNKNOWN = "left_unknown"
    EDITED = "edited"
    WITHDRAWN = "withdrawn"  # an edit that was taken back; nothing was done


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change to a run of intervals, or why there was none.

    Attributes:
        row: Meter's row.
        first_index: First interval.
        action: What was done.
        before_counts: Gains before, None where not known.
        after_counts: Gains after, None where not known.
        reasons: Checks that led to an estimate; empty for an edit.
        method: How it was estimated; `NONE` for an edit.
        total_gain: Counts this run and others were made to sum to; None without.
        by: Who edited; empty for an estimate.
        at: When they did; None for an estimate.
        words: Why, in the editor's words.
    """

    row: int
    first_index: int
    action: AuditAction
    before_counts: tuple[int | None, ...]
    after_counts: tuple[int | None, ...]
    reasons: tuple[VeeCheck, ...] = ()
    method: EstimationMethod = EstimationMethod.NONE
    total_gain: int | None = None
    by: str = ""
    at: datetime | None = None
    words: str = ""

    @property
    def interval_count(self) -> int:
        """Intervals in the run."""
        return len(self.after_counts)


@dataclass(frozen=True, slots=True, eq=False)
class VeeResult:
    """A table made fit for billing, and how.

    Attributes:
        table: Gains with estimates (origin ESTIMATED) and edits (SUBSTITUTED); what nothing
            could be said of is not known. It has no spans: they went into the estimates.
        findings: Sorted by meter and interval.
        audit: Edits in the order in which they counted, then estimates by meter and interval.
        zone: Where the meters are, for local times in sentences.
    """

    table: IntervalTable
    findings: Sequence[VeeFinding]
    audit: Sequence[AuditEntry]
    zone: ZoneInfo

    def is_estimated(self) -> Flags:
        """Say which intervals are estimates, shape (n_meters, n_intervals)."""
        return np.asarray(self.table.origin == Origin.ESTIMATED)

    def is_substituted(self) -> Flags:
        """Say which intervals a person put in, shape (n_meters, n_intervals)."""
        return np.asarray(self.table.origin == Origin.SUBSTITUTED)

    def explained(self, row: int) -> list[str]:
        """Return what a customer may want to know of their values, a sentence each, by time."""
        told = [
            (finding.first_index, finding_sentence(finding, self.table, self.zone))
            for finding in self.findings
            if finding.row == row and finding.check is not VeeCheck.MISSING
        ]
        changes = [entry for entry in self.audit if entry.row == row]
        told += audit_sentences(changes, self.table, self.zone)
        return [sentence for _, sentence in sorted(told, key=lambda each: each[0])]
