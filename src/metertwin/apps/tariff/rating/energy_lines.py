"""Lines for energy that no block prices: critical peaks, real-time prices, levies."""

from decimal import Decimal

from metertwin.apps.tariff.energy import CriticalPeakMode, RealTimePrice
from metertwin.apps.tariff.rating.book import LineColumn
from metertwin.apps.tariff.rating.determinants import RunEnergies, in_kwh
from metertwin.apps.tariff.rating.fixed import Fixed
from metertwin.apps.tariff.rating.month import Month
from metertwin.apps.tariff.rating.words import number
from metertwin.apps.tariff.tariff import ChargeKind, ExportTerms, Metering


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
    buying = (price.buy_factor, price.buy_adder_per_kwh)
    drawn = _at_real_time(month, month.determinants.imports, buying)
    _add_real_time_line(month, drawn, ChargeKind.ENERGY)
    export = month.plan.tariff.export
    if month.exports is not None and is_exporting(export):
        selling = (price.sell_factor, price.sell_adder_per_kwh)
        terms = buying if export.sell_equals_buy else selling
        kwh, amount = _at_real_time(month, month.exports, terms)
        _add_real_time_line(month, (kwh, -amount), ChargeKind.FEED_IN)


def is_exporting(terms: ExportTerms) -> bool:
    """Say whether energy fed in counts at all."""
    return terms.metering is not Metering.IMPORT_ONLY


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
    return in_kwh(whole, source.scaler), Fixed(money.integers, money.digits + 3 - source.scaler)


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
