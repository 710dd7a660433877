"""Our bills beside SAM's, cent by cent."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from benchmarks.rate_population import YEAR_START_US, Usage, cases_of
from benchmarks.sam import SamCase, sam_bills
from metertwin.apps.tariff.rating import Dynamics, UsageBatch, rate
from metertwin.apps.tariff.tariff import ChargeKind, Metering
from metertwin.core.ids import MeterId
from metertwin.core.money import Rounding

_CENTS = Rounding()
_HALF = Decimal("0.005")
_NOISE = Decimal(
    "0.000001"
)  # doubles of a year's bill are good to far less; a cent is 10^4 times it


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far our bills are from SAM's under one case.

    Attributes:
        amounts_count: Months and the year.
        differing: What differs by a cent or more, or beyond what doubles explain.
        ties_count: Amounts on the half cent, where SAM's double may fall to either side.
        cents_max: Largest difference between rounded amounts, ties apart, in cents.
    """

    case: SamCase
    amounts_count: int
    differing: list[str]
    ties_count: int
    cents_max: Decimal


def compared(case: SamCase, usage: Usage, dynamics: Dynamics) -> Comparison:
    """Rate a case by both and compare each month and the year."""
    generation = usage.generation_wh if case.has_generation else np.zeros_like(usage.load_wh)
    ours = exact_bills(case, usage, dynamics)
    months, year = sam_bills(
        case, usage.power_kw(usage.load_wh), usage.power_kw(generation), dynamics
    )
    pairs = zip([*ours, sum(ours, Decimal(0))], [*months, year], strict=True)
    differing, ties_count, cents_max = [], 0, Decimal(0)
    for place, (exact, theirs) in enumerate(pairs, start=1):
        sam = Decimal(theirs)
        cents = abs(_CENTS.rounded(exact) - _CENTS.rounded(sam)) * 100
        is_near = abs(exact - sam) <= _NOISE * max(Decimal(1), abs(exact) / 1000)
        if is_near and cents and abs(abs(exact) % Decimal("0.01") - _HALF) <= _NOISE:
            ties_count += 1
        elif cents or not is_near:
            cents_max = max(cents_max, cents)
            differing.append(f"{case.tariff.id} {case.name} {place}: {exact} and {sam:.6f}")
    return Comparison(case, 13, differing, ties_count, cents_max)


def exact_bills(case: SamCase, usage: Usage, dynamics: Dynamics) -> list[Decimal]:
    """Return our bill of each month before its total is rounded."""
    drawn, fed_in = usage.load_wh, usage.generation_wh
    if case.tariff.export.metering is not Metering.BUY_ALL_SELL_ALL:
        net = drawn - (fed_in if case.has_generation else 0)
        drawn, fed_in = np.maximum(net, 0), np.maximum(-net, 0)
    batch = UsageBatch(
        meters=[MeterId("m")],
        start_us=YEAR_START_US,
        period_s=usage.period_s,
        scaler=0,
        import_counts=drawn[None, :],
        export_counts=fed_in[None, :] if case.has_generation else None,
    )
    rated = rate(case.tariff, batch, dynamics=dynamics)
    bills = [rated.bill(0, month) for month in range(12)]
    return [
        sum(
            (line.amount for line in bill.lines if line.kind is not ChargeKind.ROUNDING),
            Decimal(0),
        )
        for bill in bills
    ]


def comparisons(seeds: Iterable[int]) -> Iterable[Comparison]:
    """Yield the comparison of every case of some made-up rates."""
    return comparisons_of(map(cases_of, seeds))


def comparisons_of(
    rates: Iterable[tuple[list[SamCase], Usage, Dynamics]],
) -> Iterable[Comparison]:
    """Yield the comparison of every case."""
    for cases, usage, dynamics in rates:
        for case in cases:
            yield compared(case, usage, dynamics)
