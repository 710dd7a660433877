"""Laws that hold for every tariff and usage, over made-up rates and random energies."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from benchmarks.rate_population import cases_of
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from metertwin.apps.tariff.bill import Bill
from metertwin.apps.tariff.energy import EnergyCharge, TierScope, TierUnit
from metertwin.apps.tariff.rating import Carry, Rated, UsageBatch, engine, rate
from metertwin.apps.tariff.schedule import billing_month_edges_us
from metertwin.apps.tariff.tariff import ChargeKind, Levy, Metering, Tariff, Tax
from metertwin.core.ids import MeterId
from metertwin.core.money import Rounding, RoundingMode, RoundingPlace

PERIOD_S = 3600
NETTED = {Metering.NET_METERING_KWH, Metering.NET_METERING_MONEY}
SEEDS = st.integers(1, 400).filter(lambda seed: seed % 12 != 0)  # those have real-time prices


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    """Return a made-up rate in Zurich, with taxes and levies, in any metering scheme."""
    case = draw(st.sampled_from(cases_of(draw(SEEDS))[0]))
    energy = case.tariff.energy
    assert isinstance(energy, EnergyCharge)
    scopes = list(TierScope) if energy.tier_unit is TierUnit.KWH else [TierScope.MONTH]
    place, mode = draw(st.sampled_from(RoundingPlace)), draw(st.sampled_from(RoundingMode))
    return replace(
        case.tariff,
        zone="Europe/Zurich",
        energy=replace(energy, tier_scope=draw(st.sampled_from(scopes))),
        rounding=Rounding(draw(st.integers(0, 4)), mode, place),
        year_start_month=draw(st.integers(1, 12)),
        levies=(Levy("Levy", Decimal("0.0123")),),
        taxes=(Tax("VAT", Decimal("8.1")),),
    )


def usage_of(tariff: Tariff, seed: int, meter_count: int, month_count: int) -> UsageBatch:
    edges_us = billing_month_edges_us(tariff, date(2026, 2, 1), month_count)
    count = int(edges_us[-1] - edges_us[0]) // (PERIOD_S * 10**6)
    chance = np.random.default_rng(seed)
    sizes = 10 ** chance.integers(1, 6, (meter_count, 1))
    return UsageBatch(
        meters=[MeterId(f"m{row}") for row in range(meter_count)],
        start_us=int(edges_us[0]),
        period_s=PERIOD_S,
        scaler=0,
        import_counts=chance.integers(0, sizes + 1, (meter_count, count)),
        export_counts=chance.integers(0, sizes + 1, (meter_count, count)),
    )


def all_bills(rated: Rated, meter_count: int) -> list[list[Bill]]:
    months = range(len(rated.months))
    return [[rated.bill(row, month) for month in months] for row in range(meter_count)]


def some(usage: UsageBatch, rows: Sequence[int], columns: slice = slice(None)) -> UsageBatch:
    at: NDArray[np.int64] = np.asarray(rows)
    assert usage.export_counts is not None
    return replace(
        usage,
        meters=[usage.meters[row] for row in rows],
        start_us=usage.start_us + (columns.start or 0) * usage.period_us,
        import_counts=usage.import_counts[at, columns],
        export_counts=usage.export_counts[at, columns],
    )


@settings(max_examples=40, deadline=None)
@given(tariffs(), st.integers(0, 99))
def test_lines_sum_to_the_total_and_energy_is_conserved(tariff: Tariff, seed: int) -> None:
    usage = usage_of(tariff, seed, 2, 3)
    for bills in all_bills(rate(tariff, usage), 2):
        for bill in bills:
            assert sum((line.amount for line in bill.lines), Decimal(0)) == bill.total
            assert len({line.key for line in bill.lines}) == len(bill.lines)
            energy = [line for line in bill.lines if line.kind is ChargeKind.ENERGY]
            drawn = sum((line.quantity or Decimal(0) for line in energy), Decimal(0))
            if bill.metering in NETTED:
                assert drawn <= bill.import_kwh
            else:
                assert drawn == bill.import_kwh


@settings(max_examples=40, deadline=None)
@given(tariffs(), st.integers(0, 99))
def test_month_by_month_with_carry_equals_all_at_once(tariff: Tariff, seed: int) -> None:
    usage = usage_of(tariff, seed, 2, 4)
    at_once = rate(tariff, usage)
    carry = Carry.fresh(2)
    for index, month in enumerate(at_once.months):
        edges_us = billing_month_edges_us(tariff, month, 1)
        first, end = ((int(e) - usage.start_us) // usage.period_us for e in edges_us)
        alone = rate(tariff, some(usage, [0, 1], slice(first, end)), carry=carry)
        assert [alone.bill(row, 0) for row in (0, 1)] == [
            at_once.bill(row, index) for row in (0, 1)
        ]
        carry = Carry.from_plain(alone.carry_after(0).to_plain())
        assert carry.to_plain() == at_once.carry_after(index).to_plain()


@settings(max_examples=30, deadline=None)
@given(tariffs(), st.integers(0, 99), st.permutations(range(4)))
def test_a_batch_is_its_meters_one_by_one_in_any_order(
    tariff: Tariff, seed: int, order: list[int]
) -> None:
    usage = usage_of(tariff, seed, 4, 2)
    together = all_bills(rate(tariff, usage), 4)
    one_by_one = [all_bills(rate(tariff, some(usage, [row])), 1)[0] for row in range(4)]
    assert together == one_by_one
    assert all_bills(rate(tariff, some(usage, order)), 4) == [together[row] for row in order]


@settings(max_examples=20, deadline=None)
@given(tariffs(), st.integers(0, 99))
def test_a_batch_taken_in_parts_is_the_batch(tariff: Tariff, seed: int) -> None:
    usage = usage_of(tariff, seed, 5, 2)
    whole = rate(tariff, usage)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_INTERVALS_AT_ONCE_COUNT", 2 * usage.interval_count)
        parts = rate(tariff, usage)
    assert len(parts.parts) == 3
    assert all_bills(parts, 5) == all_bills(whole, 5)
    assert parts.totals(1) == whole.totals(1) == [bills[1].total for bills in all_bills(whole, 5)]
    assert parts.carry_after(1).to_plain() == whole.carry_after(1).to_plain()


@settings(max_examples=20, deadline=None)
@given(tariffs(), st.integers(0, 99))
def test_counts_of_any_scaler_and_integer_type_give_the_same_bill(
    tariff: Tariff, seed: int
) -> None:
    usage = usage_of(tariff, seed, 2, 2)
    assert usage.export_counts is not None
    # Energies beyond 64 bits' reach in the smallest unit go through Python's integers.
    fine = replace(
        usage,
        scaler=-6,
        import_counts=usage.import_counts * 10**6,
        export_counts=usage.export_counts * 10**6,
    )
    narrow = replace(
        usage,
        import_counts=usage.import_counts.astype(np.int32),
        export_counts=usage.export_counts.astype(np.int32),
    )
    bills = all_bills(rate(tariff, usage), 2)
    assert all_bills(rate(tariff, narrow), 2) == bills
    fine_bills = all_bills(rate(tariff, fine), 2)
    for row, fine_row in zip(bills, fine_bills, strict=True):
        assert [bill.total for bill in row] == [bill.total for bill in fine_row]
        assert [bill.lines for bill in row] == [bill.lines for bill in fine_row]


@settings(max_examples=15, deadline=None)
@given(tariffs(), st.integers(0, 99), st.integers(1, 27))
def test_energy_so_far_never_falls_as_time_goes_on(tariff: Tariff, seed: int, day: int) -> None:
    usage = usage_of(tariff, seed, 1, 1)
    hours = day * 24
    so_far = rate(tariff, some(usage, [0], slice(0, hours))).bill(0, 0)
    whole = rate(tariff, usage).bill(0, 0)
    assert so_far.import_kwh <= whole.import_kwh
    assert so_far.interval_count == hours
    demand = [
        sum((line.quantity or Decimal(0) for line in bill.lines if line.unit == "kW"), Decimal(0))
        for bill in (so_far, whole)
    ]
    assert demand[0] <= demand[1]
