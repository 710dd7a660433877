"""NREL SAM's Utilityrate5 as the reference for bills: tariffs and usage in its terms.

SAM's year has 365 days, begins on a Monday and knows no summer time, so a tariff it shall rate is
in UTC and rated over 2018. Its amounts are doubles; a cent of difference is one unless the exact
amount lies on the half.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySAM import Utilityrate5

from metertwin.apps.tariff.calendar import MINUTES_PER_DAY, Calendar
from metertwin.apps.tariff.demand import DemandCharge, DemandTier
from metertwin.apps.tariff.energy import EnergyCharge, TierUnit
from metertwin.apps.tariff.rating import Dynamics
from metertwin.apps.tariff.tariff import Metering, Tariff

Matrix = list[list[float]]
_WITHOUT_END = 1e38
_UNITS = {
    TierUnit.KWH: 0,
    TierUnit.KWH_PER_KW: 1,
    TierUnit.KWH_PER_DAY: 2,
    TierUnit.KWH_PER_KW_PER_DAY: 3,
}
_CREDIT_HOURS = (0, 5, 11, 17)
_NO_TIERS = ((DemandTier(None, Decimal(0)),),)
_MONTHS = range(12)


@dataclass(frozen=True, slots=True)
class SamCase:
    """A tariff under one of SAM's metering options (0 to 4).

    Attributes:
        option: SAM's `ur_metering_option`; it also decides the tier rule.
        has_generation: Whether something is fed in.
    """

    tariff: Tariff
    option: int
    has_generation: bool

    @property
    def name(self) -> str:
        """Which row of a comparison it belongs to."""
        rule = "monthly share" if self.option < 2 else "chronological"
        return f"{rule}, {self.tariff.export.metering.value}"


def sam_bills(
    case: SamCase,
    load_kw: NDArray[np.float64],
    generation_kw: NDArray[np.float64],
    dynamics: Dynamics | None = None,
) -> tuple[list[float], float]:
    """Return SAM's bill of each month and of the year.

    Args:
        case: What SAM knows: seasons that begin with months, switches on full hours, weekdays
            alike, no holidays.
        load_kw: Power consumed, 8,760 or more values of equal length.
        generation_kw: Power generated, likewise.
        dynamics: Prices of a tariff with a real-time price.
    """
    model = sam_model(case, load_kw, generation_kw, dynamics)
    model.execute()
    outputs = model.Outputs
    return list(outputs.year1_monthly_utility_bill_w_sys), float(outputs.utility_bill_w_sys_year1)


def sam_model(
    case: SamCase,
    load_kw: NDArray[np.float64],
    generation_kw: NDArray[np.float64],
    dynamics: Dynamics | None = None,
) -> Any:  # noqa: ANN401 - PySAM has no types
    """Return SAM's model with all inputs set, ready to be executed; arguments as `sam_bills`."""
    model = Utilityrate5.new()
    model.assign(_inputs(case, load_kw, generation_kw, dynamics))
    return model


def loses_credit(calendar: Calendar) -> bool:
    """Say whether SAM would lose credit of a period: of those not in force at its four hours."""
    weekday, weekend = schedules(calendar)
    return any(
        set(weekday[m]) | set(weekend[m]) != {weekday[m][hour] for hour in _CREDIT_HOURS}
        for m in _MONTHS
    )


def schedules(calendar: Calendar) -> tuple[list[list[int]], list[list[int]]]:
    """Return the period, from 1, of each month and hour on weekdays and at weekends."""
    weekday, weekend = [], []
    for month in range(1, 13):
        begun = [s for s in calendar.seasons if (s.start.month, s.start.day) <= (month, 1)]
        season = (begun or calendar.seasons)[-1]
        weekday.append(_hours(calendar, season.week[0]))
        weekend.append(_hours(calendar, season.week[5]))
    return weekday, weekend


def _hours(calendar: Calendar, profile: int) -> list[int]:
    hours = [0] * 24
    for switch in calendar.day_profiles[profile]:
        assert switch.minute_of_day % 60 == 0
        for hour in range(switch.minute_of_day // 60, MINUTES_PER_DAY // 60):
            hours[hour] = switch.period_index + 1
    return hours


def _inputs(
    case: SamCase,
    load_kw: NDArray[np.float64],
    generation_kw: NDArray[np.float64],
    dynamics: Dynamics | None,
) -> dict[str, Any]:
    tariff = case.tariff
    rates: dict[str, Any] = {
        "en_electricity_rates": 1,
        "rate_escalation": [0],
        "ur_metering_option": case.option,
        "ur_monthly_fixed_charge": float(sum(charge.amount for charge in tariff.fixed)),
        "ur_monthly_min_charge": float(tariff.minimum_per_month),
        "ur_annual_min_charge": float(tariff.minimum_per_year),
        "ur_nm_yearend_sell_rate": float(tariff.export.true_up_per_kwh),
        "ur_nm_credit_month": tariff.export.true_up_month - 1,
        "ur_nm_credit_rollover": 0,
        "ur_nb_credit_expire": int(tariff.export.credit_expires),
        "ur_nb_apply_credit_current_month": int(not tariff.export.credit_starts_next_month),
        "ur_sell_eq_buy": int(tariff.export.sell_equals_buy),
        **_energy_inputs(tariff, dynamics),
        **_demand_inputs(tariff),
    }
    return {
        "ElectricityRates": rates,
        "Lifetime": {
            "analysis_period": 1,
            "system_use_lifetime_output": 0,
            "inflation_rate": 0,
        },
        "SystemOutput": {"degradation": [0], "gen": generation_kw.tolist()},
        "Load": {"load": load_kw.tolist(), "load_escalation": [0]},
    }


def _energy_inputs(tariff: Tariff, dynamics: Dynamics | None) -> dict[str, Any]:
    charge = tariff.energy
    if isinstance(charge, EnergyCharge):
        weekday, weekend = schedules(charge.calendar)
        return {
            "ur_ec_sched_weekday": weekday,
            "ur_ec_sched_weekend": weekend,
            "ur_ec_tou_mat": _energy_table(charge),
        }
    assert dynamics is not None
    assert dynamics.prices is not None
    prices = dynamics.prices.prices_per_kwh
    buy = [float(p * charge.buy_factor + charge.buy_adder_per_kwh) for p in prices]
    sell = [float(p * charge.sell_factor + charge.sell_adder_per_kwh) for p in prices]
    return {
        "ur_ec_sched_weekday": [[1] * 24] * 12,
        "ur_ec_sched_weekend": [[1] * 24] * 12,
        "ur_ec_tou_mat": [[1, 1, _WITHOUT_END, 0, 0, 0]],
        "ur_en_ts_buy_rate": 1,
        "ur_ts_buy_rate": buy,
        "ur_en_ts_sell_rate": 1,
        "ur_ts_sell_rate": sell,
    }


def _energy_table(charge: EnergyCharge) -> Matrix:
    return [
        [
            period,
            number,
            _WITHOUT_END if tier.up_to_kwh is None else float(tier.up_to_kwh),
            _UNITS[charge.tier_unit],
            float(tier.price_per_kwh),
            float(tier.sell_per_kwh or 0),
        ]
        for period, tiers in enumerate(charge.tiers, start=1)
        for number, tier in enumerate(tiers, start=1)
    ]


def _demand_inputs(tariff: Tariff) -> dict[str, Any]:
    flat = [charge for charge in tariff.demand if is_flat(charge)][:1]
    timed = [charge for charge in tariff.demand if charge not in flat]
    assert len(timed) <= 1
    if not tariff.demand:
        return {"ur_dc_enable": 0}
    calendar = timed[0].calendar if timed else Calendar.always()
    weekday, weekend = schedules(calendar)
    return {
        "ur_dc_enable": 1,
        "ur_dc_sched_weekday": weekday,
        "ur_dc_sched_weekend": weekend,
        "ur_dc_tou_mat": _demand_table(timed[0].tiers if timed else _NO_TIERS, 1),
        "ur_dc_flat_mat": _flat_table(flat[0]) if flat else _demand_table(_NO_TIERS * 12, 0),
        **_ratchet_inputs(flat[0] if flat else None),
    }


def is_flat(charge: DemandCharge) -> bool:
    """Say whether one period of a demand charge holds throughout each month."""
    weekday, weekend = schedules(charge.calendar)
    return all(len({*weekday[m], *weekend[m]}) == 1 for m in _MONTHS)


def _flat_table(charge: DemandCharge) -> Matrix:
    weekday, _ = schedules(charge.calendar)
    return _demand_table(tuple(charge.tiers[weekday[m][0] - 1] for m in _MONTHS), 0)


def _demand_table(tiers_of: tuple[tuple[DemandTier, ...], ...], first: int) -> Matrix:
    return [
        [
            place,
            number,
            _WITHOUT_END if tier.up_to_kw is None else float(tier.up_to_kw),
            float(tier.price_per_kw),
        ]
        for place, tiers in enumerate(tiers_of, start=first)
        for number, tier in enumerate(tiers, start=1)
    ]


def _ratchet_inputs(charge: DemandCharge | None) -> dict[str, Any]:
    if charge is None or (charge.ratchet is None and not charge.minimum_kw):
        return {}
    ratchet = charge.ratchet
    percents = [
        float(ratchet.share_ratio * 100) if ratchet and month in ratchet.from_months else 0.0
        for month in range(1, 13)
    ]
    return {
        "ur_enable_billing_demand": 1,
        "ur_billing_demand_minimum": float(charge.minimum_kw),
        "ur_billing_demand_lookback_period": ratchet.lookback_months if ratchet else 1,
        "ur_billing_demand_lookback_percentages": [[percent, 1] for percent in percents],
        "ur_dc_billing_demand_periods": [[1, 1]],
        "ur_yearzero_usage_peaks": [0] * 12,
    }


OPTIONS = (
    (0, Metering.IMPORT_ONLY, False),
    (0, Metering.NET_METERING_KWH, True),
    (1, Metering.NET_METERING_MONEY, True),
    (2, Metering.IMPORT_ONLY, False),
    (2, Metering.NET_BILLING, True),
    (3, Metering.NET_BILLING_CARRY, True),
    (4, Metering.BUY_ALL_SELL_ALL, True),
)
