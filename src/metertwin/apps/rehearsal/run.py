"""Running an app over history, step by step."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from metertwin.apps.app import (
    NOTHING,
    App,
    AppSettings,
    Finding,
    History,
    Outcome,
    Output,
    Proposal,
)
from metertwin.apps.rehearsal.past import PastIntervals
from metertwin.apps.view import FreshIntervals, GroupView, RegisterColumn
from metertwin.core.clock import from_us
from metertwin.core.errors import ConflictError, InvalidInputError
from metertwin.core.ids import MeterId
from metertwin.core.interval_table import IntervalTable
from metertwin.core.obis import Obis

_US_PER_S = 1_000_000
DEFAULT_STEP_S = 3600


class RehearsalError(InvalidInputError):
    """The history given does not suit the app or does not fit together."""

    code = "input.rehearsal"


class AppFailedError(ConflictError):
    """The app raised an exception in a rehearsal."""

    code = "conflict.app_failed"


@dataclass(slots=True)
class Rehearsal:
    """What an app said in a rehearsal, in the order in which it said it."""

    outputs: list[Output] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Take note of what the app returned."""
        self.outputs.extend(outcome.outputs)
        self.findings.extend(outcome.findings)
        self.proposals.extend(outcome.proposals)


@dataclass(frozen=True, slots=True)
class _NoRegisters:
    meters: Sequence[MeterId]

    def column(self, _obis: Obis) -> RegisterColumn:
        count = len(self.meters)
        never = np.full(count, -1, np.int64)
        return RegisterColumn(np.full(count, np.nan), never, np.zeros(count, np.uint8))

    def row_of(self, meter: MeterId) -> int | None:
        return self.meters.index(meter) if meter in self.meters else None


def rehearse(
    app: App, settings: AppSettings, history: History, *, step_s: int = DEFAULT_STEP_S
) -> Iterator[tuple[int, Rehearsal]]:
    """Run an app over history, step by step, oldest first.

    Args:
        app: The app, fresh from its factory.
        settings: With which it was made.
        history: A table of every register in `app.info.registers`, all of the same meters, on one
            grid; a register may be absent where no meter has it.
        step_s: How much of the past the app is given at a time, a multiple of the period.

    Yields:
        The time reached, microseconds since 1970 UTC, and all that was said so far (one object
        that grows): a caller shows progress and takes the last one.

    Raises:
        RehearsalError: The tables do not fit together, or none is there.
        AppFailedError: The app raised an exception.
    """
    first = _checked(app, history, step_s)
    past = PastIntervals(history, app.info.window_days)
    registers = _NoRegisters(first.meters)
    said = Rehearsal()
    for start_us in range(first.start_us, first.end_us, step_s * _US_PER_S):
        end_us = min(start_us + step_s * _US_PER_S, first.end_us)
        past.now_us = end_us
        view = GroupView(
            group=settings.group,
            now=from_us(end_us),
            meters=first.meters,
            intervals=past,
            fresh=_fresh(history, start_us, end_us),
            registers=registers,
            random=np.random.default_rng([settings.seed, end_us // _US_PER_S]),
        )
        said.add(_said(app, view))
        yield end_us, said


def _said(app: App, view: GroupView) -> Outcome:
    try:
        told = app.on_intervals(view) if len(view.fresh.row) else NOTHING
        later = app.on_time(view) if app.info.wakes else NOTHING
    except Exception as error:
        raise AppFailedError(
            f"App {app.info.name} {app.info.version} failed at {view.now.isoformat()}: "
            f"{type(error).__name__}: {error}. A twin host would have stopped it there.",
            app=app.info.name,
        ) from error
    return Outcome(
        [*told.outputs, *later.outputs],
        [*told.findings, *later.findings],
        [*told.proposals, *later.proposals],
    )


def _checked(app: App, history: Mapping[Obis, IntervalTable], step_s: int) -> IntervalTable:
    tables = [history[obis] for obis in app.info.registers if obis in history]
    if not tables:
        raise RehearsalError(
            f"App {app.info.name} works on {', '.join(map(str, app.info.registers)) or 'nothing'}, "
            f"the history has {', '.join(map(str, history)) or 'nothing'}; give it the registers "
            "it asks for.",
            app=app.info.name,
        )
    first = tables[0]
    for table in tables[1:]:
        same_grid = (table.start_us, table.end_us, table.period_us) == (
            first.start_us,
            first.end_us,
            first.period_us,
        )
        if not same_grid or list(table.meters) != list(first.meters):
            raise RehearsalError(
                f"The tables of {first.register.obis} and {table.register.obis} differ in their "
                "meters or times; read both over the same range.",
                obis=str(table.register.obis),
            )
    if step_s <= 0 or step_s % first.register.period_s:
        raise RehearsalError(
            f"A step of {step_s} s is no multiple of the period of {first.register.period_s} s.",
            step_s=step_s,
        )
    return first


def _fresh(history: History, start_us: int, end_us: int) -> FreshIntervals:
    rows, starts = [], []
    for table in history.values():
        at = slice(
            (start_us - table.start_us) // table.period_us,
            (end_us - table.start_us) // table.period_us,
        )
        row, index = np.nonzero(table.is_known[:, at])
        rows.append(row.astype(np.int64))
        starts.append(start_us + index.astype(np.int64) * table.period_us)
    fresh = np.unique(np.stack([np.concatenate(rows), np.concatenate(starts)]), axis=1)
    return FreshIntervals(fresh[0], fresh[1], np.zeros(fresh.shape[1], bool))
