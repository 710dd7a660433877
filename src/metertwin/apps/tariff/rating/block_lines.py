"""Lines for energy at prices by period and block, drawn or fed in."""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from metertwin.apps.tariff.energy import CriticalPeakMode, EnergyCharge, Tier, TierBasis, TierScope
from metertwin.apps.tariff.rating.blocks import MonthEnergy, in_blocks, limits_of
from metertwin.apps.tariff.rating.book import LineColumn
from metertwin.apps.tariff.rating.carry import year_kwh_of, year_kwh_of_all
from metertwin.apps.tariff.rating.determinants import in_kwh
from metertwin.apps.tariff.rating.fixed import Fixed, total
from metertwin.apps.tariff.rating.month import Month
from metertwin.apps.tariff.rating.words import number, period_hours
from metertwin.apps.tariff.tariff import ChargeKind, ExportTerms, Metering

_NET = frozenset({Metering.NET_METERING_KWH, Metering.NET_METERING_MONEY})


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Energy of one period and block: price, quantity and the limits it lies between."""

    period_index: int
    number: int
    tier: Tier
    kwh: Fixed
    low: Fixed | None
    high: Fixed | None

    def told(self, row: int) -> str:
        low = "0" if self.low is None else number(self.low.row(row))
        if self.high is None:
            return f", block {self.number} (above {low} kWh)"
        return f", block {self.number} ({low} to {number(self.high.row(row))} kWh)"


def month_energy(month: Month, charge: EnergyCharge, *, is_sold: bool) -> MonthEnergy:
    """Return what fills blocks: all that is fed in, or all that is drawn and not priced apart."""
    source = month.determinants.exports if is_sold else month.determinants.imports
    names = charge.calendar.periods
    before = _before(month, charge, is_sold=is_sold)
    if source is None:
        none = np.zeros((month.book.meter_count, 0), np.int64)
        zeros = [Fixed.zeros(month.book.meter_count) for _ in names]
        return MonthEnergy(zeros, before, none, np.zeros(0, np.int64), 0)
    counts, slots = source.of_month(month.month_index)
    terms = month.plan.tariff.critical_peak
    if not is_sold and terms is not None and terms.mode is CriticalPeakMode.REPLACE:
        counts = counts * (slots < len(names))
    periods = slots % len(names)
    by_period = [
        in_kwh(counts[:, periods == period].sum(axis=1), source.scaler)
        for period in range(len(names))
    ]
    return MonthEnergy(by_period, before, counts, periods, 3 - source.scaler)


def _before(month: Month, charge: EnergyCharge, *, is_sold: bool) -> list[Fixed]:
    """Return the year's energy so far, by period; where all fills the blocks, in the first one."""
    zeros = [Fixed.zeros(month.book.meter_count) for _ in charge.calendar.periods]
    if charge.tier_scope is TierScope.MONTH:
        return zeros
    if charge.tier_basis is TierBasis.TOTAL:
        return [month.carry.get(year_kwh_of_all(is_sold=is_sold)), *zeros[1:]]
    return _year_by_period(month, charge, is_sold=is_sold)


def _year_by_period(month: Month, charge: EnergyCharge, *, is_sold: bool) -> list[Fixed]:
    return [month.carry.get(year_kwh_of(name, is_sold=is_sold)) for name in charge.calendar.periods]


def add_block_lines(
    month: Month, charge: EnergyCharge, energy: MonthEnergy, *, is_sold: bool
) -> None:
    """Add a line for each period and block that has energy."""
    book, peak = month.book, month.determinants.plain_peak
    peak_kw = None if peak is None else peak.in_slot(month.month_index, 0)
    limits = [
        limits_of(charge, tiers, book.span.day_count, peak_kw, book.meter_count)
        for tiers in charge.tiers
    ]
    for period, columns in enumerate(in_blocks(charge, limits, energy)):
        bounds = [None, *limits[period], None]
        for place, kwh in enumerate(columns):
            tier = charge.tiers[period][place]
            block = _Block(period, place + 1, tier, kwh, bounds[place], bounds[place + 1])
            book.add(_block_line(month, charge, block, is_sold=is_sold))


def _block_line(month: Month, charge: EnergyCharge, block: _Block, *, is_sold: bool) -> LineColumn:
    terms, currency = month.plan.tariff.export, month.book.tariff.currency
    has_blocks = len(charge.tiers[block.period_index]) > 1
    name = charge.calendar.periods[block.period_index]
    price = sell_price_per_kwh(terms, block.tier) if is_sold else block.tier.price_per_kwh
    what = _what(terms, is_sold=is_sold) + _when(charge, block.period_index)

    def because(row: int) -> str:
        where = block.told(row) if has_blocks else ""
        quantity = f"{number(block.kwh.row(row))} kWh {what}{where}"
        return f"{quantity}, at {number(price)} {currency} per kWh."

    return LineColumn(
        kind=ChargeKind.FEED_IN if is_sold else ChargeKind.ENERGY,
        name="Feed-in" if is_sold else "Energy",
        amount=month.book.billed((-block.kwh if is_sold else block.kwh).times(price)),
        because=because,
        period=name,
        tier=block.number if has_blocks else 0,
        quantity=block.kwh,
        unit="kWh",
        rate=price,
    )


def _what(terms: ExportTerms, *, is_sold: bool) -> str:
    if terms.metering not in _NET:
        return "fed in" if is_sold else "drawn"
    return "more fed in than drawn" if is_sold else "more drawn than fed in"


def _when(charge: EnergyCharge, period_index: int) -> str:
    if len(charge.calendar.periods) == 1:
        return ""
    hours = period_hours(charge.calendar, period_index)
    return f" in {charge.calendar.periods[period_index]}" + (f" ({hours})" if hours else "")


def sell_price_per_kwh(terms: ExportTerms, tier: Tier) -> Decimal:
    """Return what a kilowatt-hour fed in within a block earns."""
    if terms.sell_equals_buy:
        return tier.price_per_kwh
    return tier.sell_per_kwh or Decimal(0)


def year_columns(
    month: Month, charge: EnergyCharge, energy: MonthEnergy, *, is_sold: bool
) -> dict[str, Fixed]:
    """Return the energy of the billing year so far that yearly blocks go on from."""
    if charge.tier_scope is TierScope.MONTH:
        return {}
    count, of_all = month.book.meter_count, year_kwh_of_all(is_sold=is_sold)
    before = _year_by_period(month, charge, is_sold=is_sold)
    columns = {
        year_kwh_of(name, is_sold=is_sold): so_far + kwh
        for name, so_far, kwh in zip(charge.calendar.periods, before, energy.by_period, strict=True)
    }
    return {**columns, of_all: total([month.carry.get(of_all), *energy.by_period], count)}
