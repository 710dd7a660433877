"""Putting energy into blocks: by monthly share or as time goes on, of all periods or of each."""

from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

import numpy as np

from metertwin.apps.tariff.energy import EnergyCharge, Tier, TierBasis, TierRule, TierUnit
from metertwin.apps.tariff.rating.fixed import Fixed, shared, total
from metertwin.core.batch import Int64s

SHARE_DIGITS = 9  # a share is rounded to the millionth of a watt-hour
_LIMIT = 2**63


@dataclass(frozen=True, slots=True, eq=False)
class MonthEnergy:
    """Energy of one direction that fills blocks in one month.

    Attributes:
        by_period: In kWh, by period.
        before: In kWh, by period: of the billing year before this month; zeros in monthly blocks.
        run_counts: Counts of each run, shape (n_meters, n_runs), 0 in runs that fill no block.
        run_period_index: Period of each run.
        run_digits: A count is 10^-digits kWh.
    """

    by_period: list[Fixed]
    before: list[Fixed]
    run_counts: Int64s
    run_period_index: Int64s
    run_digits: int


def limits_of(
    charge: EnergyCharge, tiers: tuple[Tier, ...], day_count: int, peak_kw: Fixed | None, count: int
) -> list[Fixed]:
    """Return the upper limit of each block but the last, in kWh, row by row."""
    factor = Decimal(1)
    if charge.tier_unit in {TierUnit.KWH_PER_DAY, TierUnit.KWH_PER_KW_PER_DAY}:
        factor = Decimal(day_count)
    bounds = [tier.up_to_kwh for tier in tiers if tier.up_to_kwh is not None]
    columns = [Fixed.constant(bound, count).times(factor) for bound in bounds]
    if charge.tier_unit in {TierUnit.KWH_PER_KW, TierUnit.KWH_PER_KW_PER_DAY}:
        assert peak_kw is not None  # determinants have it for these units
        return [column.times_each(peak_kw) for column in columns]
    return columns


def in_blocks(
    charge: EnergyCharge, limits: list[list[Fixed]], energy: MonthEnergy
) -> list[list[Fixed]]:
    """Return the energy of each period and block, in kWh.

    The energy of a period is conserved over its blocks, exactly.

    Args:
        charge: Says by which rule.
        limits: Upper limits of each period's blocks but the last.
        energy: What is put into them.
    """
    if not any(limits):
        return [[kwh] for kwh in energy.by_period]
    if charge.tier_basis is TierBasis.PERIOD:
        return [
            _differences([_between(before, kwh, limit) for limit in own], kwh)
            for own, before, kwh in zip(limits, energy.before, energy.by_period, strict=True)
        ]
    if charge.tier_rule is TierRule.CHRONOLOGICAL:
        return _chronological(limits[0], energy)
    return _by_share(limits[0], energy)


def _between(before: Fixed, kwh: Fixed, limit: Fixed) -> Fixed:
    """Return how much of the energy, after what was before, lies below a limit."""
    return (before + kwh).at_most(limit) - before.at_most(limit)


def _differences(below: list[Fixed], kwh: Fixed) -> list[Fixed]:
    steps = [*below, kwh]
    return [steps[0], *(high - low for low, high in pairwise(steps))]


def _by_share(limits: list[Fixed], energy: MonthEnergy) -> list[list[Fixed]]:
    count = len(energy.by_period[0])
    digits = max(column.digits for column in energy.by_period)
    parts = [column.with_digits(digits) for column in energy.by_period]
    whole, before = total(parts, count).with_digits(digits), total(energy.before, count)
    widths = [_between(before, whole, limit) for limit in limits]
    fine = max(SHARE_DIGITS, digits)
    return [
        _differences([shared(part, width, whole, fine) for width in widths], part) for part in parts
    ]


def _chronological(limits: list[Fixed], energy: MonthEnergy) -> list[list[Fixed]]:
    count = len(energy.by_period[0])
    before = total(energy.before, count)
    digits = max([energy.run_digits, before.digits, *(limit.digits for limit in limits)])
    scale = 10 ** (digits - energy.run_digits)
    start = before.with_digits(digits).integers
    reached = np.zeros((count, energy.run_counts.shape[1] + 1), np.int64)
    np.cumsum(energy.run_counts, axis=1, out=reached[:, 1:])
    highest = int(reached[:, -1].max(initial=0)) * scale
    if highest + int(start.max(initial=0)) >= _LIMIT or start.dtype == object:
        reached = reached.astype(object)
    reached = reached * scale + start[:, None]
    below = [
        np.diff(np.minimum(reached, limit.with_digits(digits).integers[:, None]), axis=1)
        for limit in limits
    ]
    return [
        _differences(
            [
                Fixed(steps[:, energy.run_period_index == period].sum(axis=1), digits)
                for steps in below
            ],
            kwh,
        )
        for period, kwh in enumerate(energy.by_period)
    ]
