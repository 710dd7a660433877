"""Lines for power: demand charges with ratchets, the basic charge, the power-factor adjustment."""

from decimal import Decimal
from math import isqrt

from metertwin.apps.tariff.demand import (
    CapacityBasis,
    CapacityCharge,
    DemandCharge,
    PowerFactorBand,
    Ratchet,
)
from metertwin.apps.tariff.rating.book import LineColumn
from metertwin.apps.tariff.rating.carry import peak_kw_of, peak_kw_of_all
from metertwin.apps.tariff.rating.fixed import Fixed
from metertwin.apps.tariff.rating.month import Month
from metertwin.apps.tariff.rating.usage import RatingError
from metertwin.apps.tariff.rating.words import number, period_hours
from metertwin.apps.tariff.schedule import periods_of_days
from metertwin.apps.tariff.tariff import ChargeKind

_ADJUSTED = frozenset(
    {ChargeKind.ENERGY, ChargeKind.CRITICAL_PEAK, ChargeKind.DEMAND, ChargeKind.CAPACITY}
)


def add_demand_lines(month: Month) -> dict[str, Fixed]:
    """Add a line for each charge, period and block of demand; return the peaks to be carried."""
    columns: dict[str, Fixed] = {}
    for charge, peaks in zip(month.plan.tariff.demand, month.determinants.demand, strict=True):
        runs = peaks.plan.runs
        slots = set(runs.run_slot_index[runs.of_month(month.month_index)].tolist())
        for period, name in enumerate(charge.calendar.periods):
            measured = peaks.in_slot(month.month_index, period)
            if charge.ratchet is not None:
                at = month.book.span.first.month
                columns[peak_kw_of(charge.name, name, at)] = measured
                of_all = peak_kw_of_all(charge.name, at)
                columns[of_all] = measured.at_least(columns.get(of_all, measured))
            if period in slots:
                _add_period_lines(month, charge, period, measured)
    return columns


def _add_period_lines(month: Month, charge: DemandCharge, period: int, measured: Fixed) -> None:
    book = month.book
    name = charge.calendar.periods[period]
    ratcheted = _ratcheted(month, charge, name)
    billed = measured.at_least(ratcheted).at_least(book.constant(charge.minimum_kw))
    low = book.constant(Decimal(0))
    for number_of_tier, tier in enumerate(charge.tiers[period], start=1):
        high = billed if tier.up_to_kw is None else billed.at_most(book.constant(tier.up_to_kw))
        kw, low = high - low, high
        book.add(_demand_line(month, charge, (period, number_of_tier), kw, (measured, billed)))


def _demand_line(
    month: Month,
    charge: DemandCharge,
    place: tuple[int, int],
    kw: Fixed,
    demand: tuple[Fixed, Fixed],
) -> LineColumn:
    period, number_of_tier = place
    tiers = charge.tiers[period]
    price = tiers[number_of_tier - 1].price_per_kw
    measured, billed = demand
    unit, currency = charge.measure.value, month.book.tariff.currency
    hours = period_hours(charge.calendar, period)
    name = charge.calendar.periods[period]

    def because(row: int) -> str:
        where = f" in {name} ({hours})" if hours else ""
        text = f"The highest mean power{where} was {number(measured.row(row))} {unit}"
        if billed.row(row) != measured.row(row):
            text += f", billed as {number(billed.row(row))} {unit} ({_reason(charge)})"
        if len(tiers) > 1:
            text += f"; {number(kw.row(row))} {unit} of it lie in block {number_of_tier}"
        return f"{text}, at {number(price)} {currency} per {unit}."

    return LineColumn(
        ChargeKind.DEMAND,
        charge.name,
        month.book.billed(kw.times(price)),
        because,
        period=name if len(charge.calendar.periods) > 1 else "",
        tier=number_of_tier if len(tiers) > 1 else 0,
        quantity=kw,
        unit=unit,
        rate=price,
    )


def _reason(charge: DemandCharge) -> str:
    reasons = []
    if charge.ratchet is not None:
        share = number(charge.ratchet.share_ratio * 100)
        reasons.append(
            f"at least {share} % of the highest of {charge.ratchet.lookback_months} months"
        )
    if charge.minimum_kw:
        reasons.append(f"at least {number(charge.minimum_kw)} {charge.measure.value}")
    return ", ".join(reasons)


def _ratcheted(month: Month, charge: DemandCharge, period: str) -> Fixed:
    """Return the demand that earlier months make count in this one.

    Where one period holds all month, that of all their periods, whatever they are called; else
    that of the same period.
    """
    span, ratchet = month.book.span, charge.ratchet
    highest = Fixed.zeros(month.book.meter_count)
    if ratchet is None or span.first.month not in ratchet.in_months:
        return highest
    is_flat = len(periods_of_days(charge.calendar, span.first, span.day_count)) == 1
    for before in looked_back_on(ratchet, span.first.month):
        of_all = peak_kw_of_all(charge.name, before)
        key = of_all if is_flat else peak_kw_of(charge.name, period, before)
        highest = highest.at_least(month.carry.get(key))
    return highest.times(ratchet.share_ratio)


def looked_back_on(ratchet: Ratchet, month: int) -> list[int]:
    """Return the months of the year whose demand counts in a month.

    Example:
        >>> looked_back_on(Ratchet(Decimal("0.8"), 3), 2)
        [1, 12, 11]
    """
    before = [(month - 1 - back) % 12 + 1 for back in range(1, ratchet.lookback_months + 1)]
    return [each for each in before if each in ratchet.from_months]


def add_capacity_line(month: Month) -> None:
    """Add the basic charge of a two-part tariff."""
    capacity = month.plan.tariff.capacity
    if capacity is None:
        return
    agreed = _agreed(month, capacity)
    if capacity.basis is CapacityBasis.CONTRACTED_CAPACITY:
        _add_contracted(month, capacity, agreed)
    else:
        _add_declared(month, capacity, agreed)


def _agreed(month: Month, capacity: CapacityCharge) -> Fixed:
    contracts = month.contracts or []
    is_contracted = capacity.basis is CapacityBasis.CONTRACTED_CAPACITY
    values = [c.contracted_kva if is_contracted else c.declared_kw for c in contracts]
    known = [value for value in values if value is not None]
    if len(known) < month.book.meter_count:
        what = "contracted_kva" if is_contracted else "declared_kw"
        raise RatingError(
            f"Charge {capacity.name} needs the contract's {what}, and "
            f"{month.book.meter_count - len(known)} of {month.book.meter_count} meters have none.",
        )
    return Fixed.of(known)


def _add_contracted(month: Month, capacity: CapacityCharge, agreed: Fixed) -> None:
    currency, price = month.book.tariff.currency, capacity.price_per_kw

    def because(row: int) -> str:
        return (
            f"The contracted capacity is {number(agreed.row(row))} kVA, at {number(price)} "
            f"{currency} per kVA and month."
        )

    amount = month.book.billed(agreed.times(price))
    month.book.add(
        LineColumn(
            ChargeKind.CAPACITY,
            capacity.name,
            amount,
            because,
            quantity=agreed,
            unit="kVA",
            rate=price,
        )
    )


def _add_declared(month: Month, capacity: CapacityCharge, agreed: Fixed) -> None:
    currency, price = month.book.tariff.currency, capacity.price_per_kw
    peaks = month.determinants.capacity_peak
    assert peaks is not None  # the plan has it for every capacity charge
    peak = peaks.in_slot(month.month_index, 0)
    excess = (peak - agreed.times(capacity.tolerance_ratio)).positive()
    excess_price = price * capacity.excess_factor

    def because(row: int) -> str:
        return (
            f"The declared demand is {number(agreed.row(row))} kW, at {number(price)} {currency} "
            f"per kW and month; the highest mean power was {number(peak.row(row))} kW."
        )

    def excess_because(row: int) -> str:
        return (
            f"The highest mean power of {number(peak.row(row))} kW exceeds "
            f"{number(capacity.tolerance_ratio)} times the declared {number(agreed.row(row))} kW; "
            f"each kW above costs {number(capacity.excess_factor)} times the price."
        )

    book, kind = month.book, ChargeKind.CAPACITY
    amount, extra = book.billed(agreed.times(price)), book.billed(excess.times(excess_price))
    book.add(
        LineColumn(kind, capacity.name, amount, because, quantity=agreed, unit="kW", rate=price)
    )
    book.add(
        LineColumn(
            kind,
            f"{capacity.name}, excess",
            extra,
            excess_because,
            quantity=excess,
            unit="kW",
            rate=excess_price,
        )
    )


def add_power_factor_line(month: Month) -> None:
    """Add the percents that the month's mean power factor brings."""
    adjustment, reactive = month.plan.tariff.power_factor, month.determinants.reactive
    if adjustment is None or reactive is None:
        return
    active = month.determinants.imports.of_month(month.month_index)[0].sum(axis=1)
    varh = reactive.of_month(month.month_index)[0].sum(axis=1)
    factors = [
        power_factor_percent(a, r) for a, r in zip(active.tolist(), varh.tolist(), strict=True)
    ]
    percents = Fixed.of(
        [band_of(adjustment.bands, factor).adjustment_percent for factor in factors]
    )
    base = month.book.sum_of(_ADJUSTED)
    digits = month.book.tariff.rounding.digits

    def because(row: int) -> str:
        return (
            f"The month's mean power factor was {factors[row] / 100:.2f}, which changes energy and "
            f"demand charges of {number(base.row(row), digits)} by {number(percents.row(row))} %."
        )

    month.book.add(
        LineColumn(
            ChargeKind.POWER_FACTOR,
            "Power factor",
            month.book.billed(base.times_each(percents).times(Decimal("0.01"))),
            because,
            quantity=percents,
            unit="percent",
        )
    )


def power_factor_percent(active_counts: int, reactive_counts: int) -> int:
    """Return active / sqrt(active^2 + reactive^2) in percent, rounded half up; 100 without energy.

    Example:
        >>> power_factor_percent(4, 3), power_factor_percent(0, 0), power_factor_percent(0, 5)
        (80, 100, 0)
    """
    square = active_counts**2 + reactive_counts**2
    if square == 0:
        return 100
    # The largest k with (k - 1/2) / 100 <= a / s, that is (2k - 1)^2 s^2 <= (200 a)^2.
    root = isqrt((200 * active_counts) ** 2 // square)
    return (root + 1) // 2


def band_of(bands: tuple[PowerFactorBand, ...], percent: int) -> PowerFactorBand:
    """Return the band a power factor lies in; the first one begins at 0."""
    return [band for band in bands if band.from_ratio * 100 <= percent][-1]
