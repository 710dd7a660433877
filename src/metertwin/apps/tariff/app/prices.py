"""What one more kilowatt-hour costs at each moment to come, levies and taxes included."""

from dataclasses import dataclass
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np

from metertwin.apps.tariff.app.errors import NoPriceError
from metertwin.apps.tariff.app.state import State
from metertwin.apps.tariff.bill import Bill
from metertwin.apps.tariff.energy import CriticalPeakMode, EnergyCharge, TierBasis
from metertwin.apps.tariff.schedule import period_indices
from metertwin.apps.tariff.tariff import ChargeKind, Tariff
from metertwin.core.batch import Int64s
from metertwin.core.clock import from_us

_US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class PriceAhead:
    """Prices of moments to come.

    Attributes:
        starts_us: Start of each step, microseconds since 1970 UTC.
        prices_per_kwh: Of each.
        periods: Name of each step's period; empty for real-time prices.
    """

    starts_us: Int64s
    prices_per_kwh: list[Decimal]
    periods: list[str]


def current_blocks(bill: Bill | None, tariff: Tariff) -> dict[str, int]:
    """Return the block each period's energy stands in by a bill so far, from 1; 0: no blocks."""
    charge = tariff.energy
    if not isinstance(charge, EnergyCharge):
        return {}
    reached: dict[str, int] = {}
    for line in [] if bill is None else bill.lines:
        if line.kind is ChargeKind.ENERGY and line.quantity:
            reached[line.period] = max(reached.get(line.period, 0), line.tier)
    if charge.tier_basis is TierBasis.TOTAL:
        reached = dict.fromkeys(charge.calendar.periods, max(reached.values(), default=0))
    return {
        name: 0 if len(tiers) == 1 else max(reached.get(name, 1), 1)
        for name, tiers in zip(charge.calendar.periods, charge.tiers, strict=True)
    }


def prices_ahead(
    tariff: Tariff, state: State, starts_us: Int64s, blocks: dict[str, int]
) -> PriceAhead:
    """Return what a kilowatt-hour more costs at each moment, as far as prices are known.

    Raises:
        NoPriceError: No real-time price is known of the first moment.
    """
    charge = tariff.energy
    if isinstance(charge, EnergyCharge):
        names = charge.calendar.periods
        at = period_indices(charge.calendar, ZoneInfo(tariff.zone), starts_us).tolist()
        periods = [names[index] for index in at]
        base = [
            charge.tiers[index][max(blocks.get(names[index], 1), 1) - 1].price_per_kwh
            for index in at
        ]
    else:
        series = state.prices.get(tariff.id)
        known = 0
        if series is not None and series.start_us <= int(starts_us[0]):
            known = int(np.count_nonzero(starts_us < series.end_us))
        if series is None or known == 0:
            raise NoPriceError(
                f"No real-time price of tariff {tariff.id} is known from "
                f"{from_us(int(starts_us[0])).isoformat()} on; set_prices tells them.",
                tariff=tariff.id,
            )
        starts_us = starts_us[:known]
        steps = ((starts_us - series.start_us) // (series.period_s * _US_PER_S)).tolist()
        base = [
            series.prices_per_kwh[step] * charge.buy_factor + charge.buy_adder_per_kwh
            for step in steps
        ]
        periods = [""] * known
    return PriceAhead(starts_us, _with_all(tariff, state, starts_us, base), periods)


def _with_all(
    tariff: Tariff, state: State, starts_us: Int64s, base: list[Decimal]
) -> list[Decimal]:
    """Return prices with critical peaks, levies and taxes."""
    levy = sum((levy.price_per_kwh for levy in tariff.levies), Decimal(0)) * _taxed(
        tariff, ChargeKind.LEVY
    )
    energy_factor, peak_factor = (
        _taxed(tariff, kind) for kind in (ChargeKind.ENERGY, ChargeKind.CRITICAL_PEAK)
    )
    terms, events = tariff.critical_peak, state.events.get(tariff.id, [])
    prices = []
    for start_us, price in zip(starts_us.tolist(), base, strict=True):
        whole = price * energy_factor
        if terms is not None and any(first <= start_us < end for first, end in events):
            peak = terms.price_per_kwh * peak_factor
            whole = peak if terms.mode is CriticalPeakMode.REPLACE else whole + peak
        prices.append(whole + levy)
    return prices


def _taxed(tariff: Tariff, kind: ChargeKind) -> Decimal:
    return 1 + sum((tax.percent for tax in tariff.taxes if kind in tax.on), Decimal(0)) / 100
