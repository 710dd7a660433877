"""Rating a batch of meters: one code path for a single meter and for a hundred thousand."""

from decimal import Decimal

from metertwin.apps.tariff.energy import EnergyCharge, TierUnit
from metertwin.apps.tariff.rating.book import Book
from metertwin.apps.tariff.rating.carry import AFTER_MONTH, Carry
from metertwin.apps.tariff.rating.checks import check_tariff
from metertwin.apps.tariff.rating.closing import (
    add_fixed_lines,
    add_minimum_lines,
    add_tax_lines,
    closed_total,
)
from metertwin.apps.tariff.rating.demand_lines import (
    add_capacity_line,
    add_demand_lines,
    add_power_factor_line,
)
from metertwin.apps.tariff.rating.determinants import Determinants, determinants_of
from metertwin.apps.tariff.rating.energy_lines import add_levies
from metertwin.apps.tariff.rating.fixed import Fixed
from metertwin.apps.tariff.rating.metering import bill_energy
from metertwin.apps.tariff.rating.month import Month
from metertwin.apps.tariff.rating.opening import Opening, month_number
from metertwin.apps.tariff.rating.plan import Plan, plan_of
from metertwin.apps.tariff.rating.rated import Rated, RatedMonth, RatedPart
from metertwin.apps.tariff.rating.usage import Dynamics, RatingError, UsageBatch
from metertwin.apps.tariff.tariff import Tariff

_INTERVALS_AT_ONCE_COUNT = 1 << 24
_PER_KW = frozenset({TierUnit.KWH_PER_KW, TierUnit.KWH_PER_KW_PER_DAY})


def rate(
    tariff: Tariff,
    usage: UsageBatch,
    *,
    carry: Carry | None = None,
    dynamics: Dynamics | None = None,
) -> Rated:
    """Rate interval energies: every meter, every billing month they cover.

    All amounts are exact until the tariff's rounding. Two things are rounded besides: energy that
    is split over blocks by monthly share, to the millionth of a watt-hour, each period's energy
    being conserved; and demand in kVA, to a thousandth, half up.

    A last month that the usage covers in part is rated so far: energy and demand as metered, block
    limits per day for all days of the month, as the final bill will have them; fixed charges of a
    month and parts of yearly ones in full, those per day for the days begun; no minimum and no
    true-up, which only a whole month has. Whether the tariff is valid in these months is not
    asked: comparing with a tariff of another year is the caller's good right.

    Args:
        tariff: Prices and rules.
        usage: From the start of a billing month on.
        carry: What the last month rated handed on, a row per meter; None: they were never billed.
            Months since then that were not rated count as months without energy.
        dynamics: Real-time prices and critical-peak events within the usage.

    Raises:
        TariffError: The tariff contradicts itself.
        RatingError: The usage, the carry or the dynamics do not fit the tariff.
    """
    check_tariff(tariff)
    count = len(usage.meters)
    carry = Carry.fresh(count) if carry is None else carry
    if carry.meter_count != count or count == 0:
        raise RatingError(
            f"Usage has {count} meters, the carry {carry.meter_count}; give one row each, in the "
            "same order, and at least one."
        )
    plan = plan_of(tariff, usage, dynamics or Dynamics())
    size = max(1, _INTERVALS_AT_ONCE_COUNT // usage.interval_count)
    parts = []
    for first in range(0, count, size):
        rows = range(first, min(first + size, count))
        own_carry = carry if len(rows) == count else carry.take(rows)
        parts.append(_rated_part(plan, usage.rows(rows.start, rows.stop), own_carry))
    return Rated(parts, size)


def _rated_part(plan: Plan, usage: UsageBatch, carry: Carry) -> RatedPart:
    determinants = determinants_of(plan, usage, needs_peak=_needs_peak(plan.tariff))
    months = []
    for month_index in range(len(plan.axis.months)):
        rated = _rated_month(plan, usage, determinants, month_index, carry)
        months.append(rated)
        carry = rated.carry
    return RatedPart(usage, months)


def _needs_peak(tariff: Tariff) -> bool:
    return isinstance(tariff.energy, EnergyCharge) and tariff.energy.tier_unit in _PER_KW


def _rated_month(
    plan: Plan, usage: UsageBatch, determinants: Determinants, month_index: int, carry: Carry
) -> RatedMonth:
    span, count = plan.axis.months[month_index], len(usage.meters)
    opening = Opening(Book(plan.tariff, span, count), carry)
    opening.open()
    book, carry = opening.book, opening.carry
    month = Month(book, plan, determinants, month_index, carry, usage.contracts)
    outcome = bill_energy(month)
    columns = {**outcome.columns, **add_demand_lines(month)}
    add_capacity_line(month)
    add_power_factor_line(month)
    add_levies(month)
    add_fixed_lines(month)
    columns |= add_minimum_lines(month)
    columns[AFTER_MONTH] = book.constant(Decimal(month_number(span.first)))
    for line in opening.lines:
        book.add(line)
    if outcome.true_up is not None:
        book.add(outcome.true_up)
    add_tax_lines(book)
    exports = determinants.exports
    return RatedMonth(
        book=book,
        owed=closed_total(book),
        carry=carry.with_columns(columns),
        import_kwh=determinants.imports.in_all(month_index),
        export_kwh=Fixed.zeros(count) if exports is None else exports.in_all(month_index),
        credit_kwh=outcome.credit_kwh,
        credit_amount=outcome.credit_amount,
    )
