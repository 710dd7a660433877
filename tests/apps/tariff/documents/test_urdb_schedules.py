"""URDB's schedules against the calendar made of them, hour by hour and block by block."""

from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from metertwin.apps.tariff.documents.urdb import import_urdb
from metertwin.apps.tariff.energy import EnergyCharge, Tier, TierRule
from metertwin.apps.tariff.schedule import period_indices
from metertwin.core.clock import to_us

ZONE = "America/Phoenix"  # without summer time each local hour comes once
YEAR = 2027
HOURS = [
    datetime(YEAR, 1, 1, tzinfo=ZoneInfo(ZONE)) + timedelta(hours=number) for number in range(8760)
]
HOURS_US = np.array([to_us(hour) for hour in HOURS], np.int64)
PRICES = (Decimal("0.1"), Decimal("0.25"), Decimal("0.4"))

rows = st.lists(st.integers(0, 2), min_size=24, max_size=24)
few_rows = st.lists(rows, min_size=1, max_size=3).flatmap(
    lambda known: st.lists(st.sampled_from(known), min_size=12, max_size=12)
)
adjustments = st.lists(
    st.sampled_from([Decimal(0), Decimal("0.01"), Decimal("-0.02")]), min_size=12, max_size=12
)


def charge_of(rate: dict[str, object], rule: TierRule | None = None) -> EnergyCharge:
    charge = import_urdb(rate, tier_rule=rule, zone=ZONE, where="drawn").tariff.energy
    assert isinstance(charge, EnergyCharge)
    return charge


@settings(max_examples=40, deadline=None)
@given(few_rows, few_rows, adjustments)
def test_each_hour_of_a_year_costs_what_the_schedules_say(
    weekdays: list[list[int]], weekends: list[list[int]], fuel: list[Decimal]
) -> None:
    charge = charge_of(
        {
            "energyratestructure": [[{"rate": price}] for price in PRICES],
            "energyweekdayschedule": weekdays,
            "energyweekendschedule": weekends,
            "fueladjustmentsmonthly": fuel,
        }
    )
    found = [
        charge.tiers[index][0].price_per_kwh
        for index in period_indices(charge.calendar, ZoneInfo(ZONE), HOURS_US)
    ]
    expected = []
    for hour in HOURS:
        schedule = weekends if hour.weekday() >= 5 else weekdays
        period = schedule[hour.month - 1][hour.hour]
        expected.append(PRICES[period] + fuel[hour.month - 1])
    assert found == expected


def cost_of(kwh: Decimal, tiers: list[tuple[Decimal | None, Decimal]]) -> Decimal:
    """Return what energy costs in blocks, block by block."""
    cost, below = Decimal(0), Decimal(0)
    for limit, price in tiers:
        top = kwh if limit is None else min(kwh, limit)
        cost += max(top - below, Decimal(0)) * price
        below = limit if limit is not None else below
    return cost


limits = st.sets(st.integers(1, 50), max_size=3).map(sorted)


@settings(max_examples=100, deadline=None)
@given(limits, limits, st.decimals(0, 60, places=2))
def test_blocks_with_the_limits_of_all_cost_the_same(
    summer: list[int], winter: list[int], kwh: Decimal
) -> None:
    ladders: list[list[dict[str, Decimal]]] = [
        [{"max": Decimal(limit), "rate": Decimal(number + 1)} for number, limit in enumerate(own)]
        + [{"rate": Decimal("0.5")}]
        for own in (summer, winter)
    ]
    schedule = [[1 if 4 <= month < 10 else 0] * 24 for month in range(12)]
    has_blocks = bool(summer or winter)
    charge = charge_of(
        {
            "energyratestructure": ladders,
            "energyweekdayschedule": schedule,
            "energyweekendschedule": schedule,
        },
        TierRule.MONTHLY_SHARE if has_blocks else None,
    )

    def pairs(tiers: tuple[Tier, ...]) -> list[tuple[Decimal | None, Decimal]]:
        return [(tier.up_to_kwh, tier.price_per_kwh) for tier in tiers]

    for tiers, ladder in zip(charge.tiers, ladders, strict=True):
        own = [(block.get("max"), block["rate"]) for block in ladder]
        assert cost_of(kwh, pairs(tiers)) == cost_of(kwh, own)
    assert len({tuple(tier.up_to_kwh for tier in tiers) for tiers in charge.tiers}) == 1
