"""Small tariffs and usages that several tests rate."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metertwin.apps.tariff.bill import Bill
from metertwin.apps.tariff.calendar import Calendar, MonthDay, Season, Switch
from metertwin.apps.tariff.energy import EnergyCharge, RealTimePrice, Tier
from metertwin.apps.tariff.rating import Contract, UsageBatch, rate
from metertwin.apps.tariff.schedule import billing_month_edges_us
from metertwin.apps.tariff.tariff import Tariff
from metertwin.core.ids import MeterId

# Peak from 08:00 to 20:00 every day, valley else.
DAY_AND_NIGHT = Calendar(
    ("peak", "valley"),
    ((Switch(0, 1), Switch(8 * 60, 0), Switch(20 * 60, 1)),),
    (Season("all year", MonthDay(1, 1), (0,) * 7, 0),),
)
HOURS_OF_MONTH = (744, 672, 744, 720, 744, 720, 744, 744, 720, 744, 720, 744)


def d(text: str | int) -> Decimal:
    """Return a decimal."""
    return Decimal(text)


def tier(price: str, up_to: str | None = None, sell: str | None = None) -> Tier:
    """Return a block."""
    return Tier(None if up_to is None else d(up_to), d(price), None if sell is None else d(sell))


def one_price(price: str, sell: str | None = None) -> EnergyCharge:
    """Return energy at one price at all times."""
    return EnergyCharge(Calendar.always(), ((tier(price, sell=sell),),))


def peak_and_valley(peak: str, valley: str, sell: str | None = None) -> EnergyCharge:
    """Return energy at two prices."""
    return EnergyCharge(DAY_AND_NIGHT, ((tier(peak, sell=sell),), (tier(valley, sell=sell),)))


def tariff_of(energy: EnergyCharge | RealTimePrice, **parts: Any) -> Tariff:  # noqa: ANN401 - Tariff's own fields
    """Return a tariff in UTC and francs with these parts."""
    tariff = Tariff("t", 1, "Test", "CHF", "UTC", energy)
    return replace(tariff, **parts)


def usage_of(
    tariff: Tariff,
    imports_wh: Sequence[Sequence[int]] | NDArray[np.int64],
    *,
    first: date = date(2026, 1, 1),
    period_s: int = 3600,
    contracts: Sequence[Contract] | None = None,
    **columns: Any,  # noqa: ANN401 - UsageBatch's own fields
) -> UsageBatch:
    """Return usage of meters m0, m1 ... from the start of a billing month on."""
    imports = np.asarray(imports_wh, np.int64)
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    return UsageBatch(
        meters=[MeterId(f"m{row}") for row in range(len(imports))],
        start_us=int(billing_month_edges_us(tariff, first, 0)[0]),
        period_s=period_s,
        scaler=0,
        import_counts=imports,
        contracts=contracts,
        **arrays,
    )


def flat_months_wh(*month_kwh: int) -> list[list[int]]:
    """Return hours of 2026 whose energy in month k is `month_kwh[k]` kWh, all in its first hour."""
    hours: list[int] = []
    for kwh, count in zip(month_kwh, HOURS_OF_MONTH, strict=False):
        hours += [kwh * 1000] + [0] * (count - 1)
    return [hours]


def bills_of(tariff: Tariff, usage: UsageBatch, **others: Any) -> list[Bill]:  # noqa: ANN401
    """Return all months' bills of the first meter."""
    rated = rate(tariff, usage, **others)
    return [rated.bill(0, month_index) for month_index in range(len(rated.months))]


def amounts(bill: Bill) -> Mapping[str, Decimal]:
    """Return the amounts of a bill by name, period and block, as far as there are any."""
    return {
        " ".join(
            part for part in (line.name, line.period, str(line.tier or "")) if part
        ): line.amount
        for line in bill.lines
    }
