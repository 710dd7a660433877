"""Arguments of the app's requests, one class each."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from metertwin.core.ids import MeterId


@dataclass(frozen=True, slots=True)
class NoArguments:
    """The request takes none."""


@dataclass(frozen=True, slots=True)
class BillArguments:
    """A billing month: `YYYY-MM`, the month of its first day."""

    month: str


@dataclass(frozen=True, slots=True)
class BillsArguments:
    """Bills of several meters.

    Attributes:
        month: `YYYY-MM`.
        meters: Which; None: all of the group.
        with_lines: Whether whole bills are wanted besides the totals.
    """

    month: str
    meters: list[MeterId] | None = None
    with_lines: bool = False


@dataclass(frozen=True, slots=True)
class WhatIfArguments:
    """Tariffs to compare on the meter's own energy.

    Attributes:
        tariffs: Ids of known tariffs, or tariff documents; empty: all known ones.
        start: First billing month, `YYYY-MM`; empty: a year before the end.
        end: Last billing month, `YYYY-MM`; empty: the last that is over.
    """

    tariffs: list[str | dict[str, Any]] = field(default_factory=list)
    start: str = ""
    end: str = ""


@dataclass(frozen=True, slots=True)
class CheapestArguments:
    """When to run something.

    Attributes:
        hours: How long it runs.
        within_h: Until when it must be done, from now on.
        contiguous: Whether it must run without a break; else whole clock hours are chosen.
        load_w: What it draws; None: costs are told per kWh only.
    """

    hours: int
    within_h: int = 24
    contiguous: bool = True
    load_w: Decimal | None = None


class BreakdownBy(StrEnum):
    """What energy and cost are summed by."""

    DAY = "day"
    HOUR = "hour"
    PERIOD = "period"
    WEEKDAY = "weekday"


@dataclass(frozen=True, slots=True)
class BreakdownArguments:
    """A range of local days, the last one included, `YYYY-MM-DD`."""

    start: str
    end: str
    by: BreakdownBy = BreakdownBy.DAY


@dataclass(frozen=True, slots=True)
class EditedInterval:
    """Energy of [interval_start, interval_start + length_s), in Wh or varh.

    Attributes:
        register: OBIS code; empty: active energy drawn.
    """

    interval_start: datetime
    length_s: int
    value: Decimal
    register: str = ""


@dataclass(frozen=True, slots=True)
class EditArguments:
    """Values to put in place of others, who says so and why."""

    edits: list[EditedInterval]
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class WithdrawArguments:
    """An edit to take back, by the id it was given."""

    id: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class TopUpArguments:
    """A payment; the same `id` counts once, however often it is sent."""

    id: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class PricesArguments:
    """Real-time prices from `start` on, one for each `period_s`, in the tariff's currency."""

    tariff: str
    start: datetime
    prices_per_kwh: list[Decimal]
    period_s: int = 3600


@dataclass(frozen=True, slots=True)
class EventArguments:
    """A critical peak called for [start, end)."""

    tariff: str
    start: datetime
    end: datetime
