"""What a bill rests on besides its intervals, in sentences."""

from collections.abc import Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

from metertwin.apps.tariff.app.answers import Basis
from metertwin.apps.tariff.app.chain import ChainMonth, month_before
from metertwin.apps.tariff.app.usage import Usage
from metertwin.apps.tariff.bill import Bill
from metertwin.apps.tariff.energy import EnergyCharge, TierScope
from metertwin.apps.tariff.tariff import Metering, Tariff
from metertwin.core.clock import from_us
from metertwin.core.local_time import local_label

_CARRYING = {
    Metering.NET_METERING_KWH,
    Metering.NET_METERING_MONEY,
    Metering.NET_BILLING_CARRY,
}


def scope_start(tariff: Tariff, month: date) -> date:
    """Return the month from which on a month's bill counts: credit year, billing year, ratchet."""
    starts = [month]
    has_year_blocks = (
        isinstance(tariff.energy, EnergyCharge) and tariff.energy.tier_scope is TierScope.YEAR
    )
    if has_year_blocks or tariff.minimum_per_year:
        starts.append(_latest(month, tariff.year_start_month))
    if tariff.export.metering in _CARRYING:
        starts.append(_latest(month, tariff.export.true_up_month % 12 + 1))
    backs = [c.ratchet.lookback_months for c in tariff.demand if c.ratchet is not None]
    return min([*starts, *(_months_back(month, back) for back in backs)])


def counted_from(
    tariff: Tariff, month: date, since: date, skipped: Sequence[date] = ()
) -> list[str]:
    """Say since when credits, peaks and yearly sums were counted, and without which months.

    Args:
        tariff: The month's.
        month: The month billed.
        since: First month that was counted.
        skipped: Months that were not billed, ascending.
    """
    start, told = scope_start(tariff, month), []
    if start < since:
        told.append(
            "Credits, earlier demand peaks and sums of the year are counted from "
            f"{since:%B %Y} on, when billing began here."
        )
    if left_out := [each for each in skipped if max(start, since) <= each < month]:
        told.append(
            "Not billed here, and empty in credits, earlier demand peaks and sums of the year: "
            f"{named(left_out)}."
        )
    return told


def named(months: Sequence[date]) -> str:
    """Return months as a sentence names them.

    Example:
        >>> named([date(2025, 12, 1), date(2026, 1, 1), date(2026, 2, 1)])
        'December 2025, January 2026 and February 2026'
    """
    *first, last = [f"{month:%B %Y}" for month in months]
    return f"{', '.join(first)} and {last}" if first else last


def began_note(usage: Usage, row: int, chained: ChainMonth) -> list[str]:
    """Say where a meter began within the month."""
    first_us = int(usage.first_us[row])
    start_us = usage.batch.start_us + chained.first_index * usage.batch.period_us
    if first_us <= start_us:
        return []
    label = local_label(first_us, ZoneInfo(chained.tariff.zone))
    return [f"Billed from {label} on, when the meter's first interval begins."]


def basis_of(bill: Bill, newest_us: int, now: datetime, notes: list[str]) -> Basis:
    """Return what a bill rests on."""
    newest = None if newest_us < 0 else from_us(newest_us)
    return Basis(
        tariff=bill.tariff,
        tariff_version=bill.tariff_version,
        tier_rule=bill.tier_rule,
        metering=bill.metering,
        currency=bill.currency,
        newest_interval_end=newest,
        age_s=None if newest is None else (now - newest).total_seconds(),
        estimated_count=bill.estimated_count,
        missing_count=bill.missing_count,
        notes=notes,
    )


def basis_of_tariff(tariff: Tariff, newest_us: int, now: datetime, notes: list[str]) -> Basis:
    """Return what an answer rests on that no bill is behind."""
    newest = None if newest_us < 0 else from_us(newest_us)
    return Basis(
        tariff=tariff.id,
        tariff_version=tariff.version,
        tier_rule=tariff.energy.tier_rule if isinstance(tariff.energy, EnergyCharge) else None,
        metering=tariff.export.metering,
        currency=tariff.currency,
        newest_interval_end=newest,
        age_s=None if newest is None else (now - newest).total_seconds(),
        estimated_count=0,
        missing_count=0,
        notes=notes,
    )


def _latest(month: date, year_start_month: int) -> date:
    back = (month.month - year_start_month) % 12
    return _months_back(month, back)


def _months_back(month: date, count: int) -> date:
    for _ in range(count):
        month = month_before(month)
    return month
