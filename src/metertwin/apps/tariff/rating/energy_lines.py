"""Lines for energy drawn and fed in: periods, blocks, critical peaks, real-time prices, levies."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from metertwin.apps.tariff.energy import (
    CriticalPeakMode,
    EnergyCharge,
    RealTimePrice,
    Tier,
    TierScope,
)
from metertwin.apps.tariff.rating.blocks import MonthEnergy, in_blocks, limits_of
from metertwin.apps.tariff.rating.book import Book, LineColumn
from metertwin.apps.tariff.rating.carry import Carry, year_kwh_of
from metertwin.apps.tariff.rating.determinants import Determinants, RunEnergies, in_kwh
from metertwin.apps.tariff.rating.fixed import Fixed, total
from metertwin.apps.tariff.rating.plan import Plan
from metertwin.apps.tariff.rating.usage import Contract
from metertwin.apps.tariff.rating.words import number, period_hours
from metertwin.apps.tariff.tariff import ChargeKind, ExportTerms


@dataclass(frozen=True, slots=True, eq=False)
class Month:
    """One month being rated: where lines go and what they are made from."""

    book: Book
    plan: Plan
    determinants: Determinants
    month_index: int
    carry: Carry
    contracts: Sequence[Contract] | None

    @property
    def exports(self) -> RunEnergies | None:
        """Energy fed in; None where there is none."""
        return self.determinants.exports


def month_energy(month: Month, charge: EnergyCharge, *, is_sold: bool) -> MonthEnergy:
    """Return what fills blocks: all that is fed in, or all that is drawn and not priced apart."""
    source = month.determinants.exports if is_sold else month.determinants.imports
    names = charge.calendar.periods
    before = [
        month.carry.get(year_kwh_of(name, is_sold=is_sold))
        if charge.tier_scope is TierScope.YEAR
        else Fixed.zeros(month.book.meter_count)
        for name in names
    ]
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
    if source.scaler > 3:
        counts = counts * 10 ** (source.scaler - 3)
    return MonthEnergy(by_period, before, counts, periods, max(0, 3 - source.scaler))


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
        for number_of_tier, kwh in enumerate(columns, start=1):
            tier = charge.tiers[period][number_of_tier - 1]
            limit = (bounds[number_of_tier - 1], bounds[number_of_tier])
            line = _block_line(month, charge, (period, number_of_tier, tier), kwh, limit)
            book.add(_as_sold(line, month.plan.tariff.export, tier, book) if is_sold else line)


def _block_line(
    month: Month,
    charge: EnergyCharge,
    place: tuple[int, int, Tier],
    kwh: Fixed,
    limit: tuple[Fixed | None, Fixed | None],
) -> LineColumn:
    period, number_of_tier, tier = place
    book, has_blocks = month.book, len(charge.tiers[period]) > 1
    name = charge.calendar.periods[period]
    hours = period_hours(charge.calendar, period)

    def because(row: int) -> str:
        block = f", block {number_of_tier}{_range(limit, row)}" if has_blocks else ""
        when = f" ({hours})" if hours else ""
        return (
            f"{number(kwh.row(row))} kWh drawn in {name}{when}{block}, at "
            f"{number(tier.price_per_kwh)} {book.tariff.currency} per kWh."
        )

    return LineColumn(
        kind=ChargeKind.ENERGY,
        name="Energy",
        amount=book.billed(kwh.times(tier.price_per_kwh)),
        because=because,
        period=name,
        tier=number_of_tier if has_blocks else 0,
        quantity=kwh,
        unit="kWh",
        rate=tier.price_per_kwh,
    )


def _as_sold(line: LineColumn, terms: ExportTerms, tier: Tier, book: Book) -> LineColumn:
    price = sell_price_per_kwh(terms, tier)
    kwh, drawn_because = line.quantity, line.because
    assert kwh is not None

    def because(row: int) -> str:
        text = drawn_because(row).replace(" drawn in ", " fed in during ", 1)
        return text.replace(f"at {number(tier.price_per_kwh)} ", f"paid at {number(price)} ")

    return replace(
        line,
        kind=ChargeKind.FEED_IN,
        name="Feed-in",
        amount=book.billed(-kwh.times(price)),
        because=because,
        rate=price,
    )


def sell_price_per_kwh(terms: ExportTerms, tier: Tier) -> Decimal:
    """Return what a kilowatt-hour fed in within a block earns."""
    if terms.sell_equals_buy:
        return tier.price_per_kwh
    return tier.sell_per_kwh or Decimal(0)


def _range(limit: tuple[Fixed | None, Fixed | None], row: int) -> str:
    low = "0" if limit[0] is None else number(limit[0].row(row))
    if limit[1] is None:
        return f" (above {low} kWh)"
    return f" ({low} to {number(limit[1].row(row))} kWh)"


def add_critical_peak_line(month: Month) -> None:
    """Add the line for energy drawn in critical-peak events."""
    terms = month.plan.tariff.critical_peak
    if terms is None:
        return
    counts, slots = month.determinants.imports.of_month(month.month_index)
    inside = slots >= month.plan.energy.event_offset
    kwh = in_kwh(counts[:, inside].sum(axis=1), month.determinants.imports.scaler)
    currency = month.book.tariff.currency
    how = "instead of" if terms.mode is CriticalPeakMode.REPLACE else "on top of"

    def because(row: int) -> str:
        return (
            f"{number(kwh.row(row))} kWh drawn while the utility had called a critical peak, at "
            f"{number(terms.price_per_kwh)} {currency} per kWh, {how} the ordinary price."
        )

    amount = month.book.billed(kwh.times(terms.price_per_kwh))
    month.book.add(
        LineColumn(
            ChargeKind.CRITICAL_PEAK,
            "Critical peak",
            amount,
            because,
            quantity=kwh,
            unit="kWh",
            rate=terms.price_per_kwh,
        )
    )


def add_real_time_lines(month: Month, price: RealTimePrice) -> None:
    """Add the lines of energy at a price series: each interval at its own price, summed exactly."""
    drawn = _at_real_time(
        month, month.determinants.imports, (price.buy_factor, price.buy_adder_per_kwh)
    )
    _add_real_time_line(month, drawn, ChargeKind.ENERGY)
    if month.exports is not None and is_exporting(month.plan.tariff.export):
        terms = (price.sell_factor, price.sell_adder_per_kwh)
        kwh, amount = _at_real_time(month, month.exports, terms)
        _add_real_time_line(month, (kwh, -amount), ChargeKind.FEED_IN)


def is_exporting(terms: ExportTerms) -> bool:
    """Say whether energy fed in counts at all."""
    return terms.metering != "import_only"


def _at_real_time(
    month: Month, source: RunEnergies, terms: tuple[Decimal, Decimal]
) -> tuple[Fixed, Fixed]:
    """Return energy in kWh and what it costs at price x factor + adder."""
    series = month.plan.energy.run_price_per_kwh
    assert series is not None  # the plan refuses real-time prices without a series
    part = source.runs.of_month(month.month_index)
    counts, slots = source.of_month(month.month_index)
    critical = month.plan.tariff.critical_peak
    is_drawn = source is month.determinants.imports
    if is_drawn and critical is not None and critical.mode is CriticalPeakMode.REPLACE:
        counts = counts * (slots == 0)
    factor, adder = terms
    prices = Fixed(series.integers[part], series.digits).times(factor)
    prices = prices + Fixed.constant(adder, len(prices))
    whole = counts.sum(axis=1)
    steepest = max((abs(int(p)) for p in prices.integers), default=0)
    fits = int(whole.max(initial=0)) * steepest < 2**63
    wide = counts if fits else counts.astype(object)
    money = Fixed(wide @ prices.integers.astype(wide.dtype), prices.digits)
    in_kwh_digits = in_kwh(np.ones(1, np.int64), source.scaler)
    unit = in_kwh_digits.row(0)
    return in_kwh(whole, source.scaler), money.times(unit)


def _add_real_time_line(month: Month, priced: tuple[Fixed, Fixed], kind: ChargeKind) -> None:
    kwh, exact = priced
    book, is_sold = month.book, kind is ChargeKind.FEED_IN
    amount = book.billed(exact)

    def because(row: int) -> str:
        drawn = "fed in and paid" if is_sold else "drawn and priced"
        energy, money = kwh.row(row), exact.row(row)
        mean = f", {abs(money / energy):.4f} {book.tariff.currency} per kWh on average"
        return (
            f"{number(energy)} kWh {drawn} interval by interval at the real-time price"
            f"{mean if energy else ''}."
        )

    name = "Feed-in at real-time price" if is_sold else "Energy at real-time price"
    book.add(LineColumn(kind, name, amount, because, quantity=kwh, unit="kWh"))


def add_levies(month: Month) -> None:
    """Add the levies on every kWh drawn, as metered."""
    kwh = month.determinants.imports.in_all(month.month_index)
    currency = month.book.tariff.currency
    for levy in month.plan.tariff.levies:
        price = levy.price_per_kwh

        def because(row: int, price: Decimal = price) -> str:
            return (
                f"{number(kwh.row(row))} kWh drawn at any time, at {number(price)} {currency} "
                "per kWh."
            )

        amount = month.book.billed(kwh.times(price))
        month.book.add(
            LineColumn(
                ChargeKind.LEVY, levy.name, amount, because, quantity=kwh, unit="kWh", rate=price
            )
        )


def year_columns(
    month: Month, charge: EnergyCharge, energy: MonthEnergy, *, is_sold: bool
) -> dict[str, Fixed]:
    """Return the energy of the billing year so far that yearly blocks go on from."""
    if charge.tier_scope is TierScope.MONTH:
        return {}
    return {
        year_kwh_of(name, is_sold=is_sold): total([before, kwh], month.book.meter_count)
        for name, before, kwh in zip(
            charge.calendar.periods, energy.before, energy.by_period, strict=True
        )
    }
