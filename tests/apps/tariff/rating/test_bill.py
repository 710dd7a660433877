"""What a bill says besides its amounts, and how two bills are compared."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.apps.tariff.rating.cases import (
    bills_of,
    d,
    flat_months_wh,
    one_price,
    peak_and_valley,
    tariff_of,
    usage_of,
)

from metertwin.apps.tariff.rating import (
    Carry,
    CarryError,
    Contract,
    RatingError,
    UsageBatch,
    compare,
    rate,
)
from metertwin.core.ids import MeterId
from metertwin.core.interval_table import IntervalTable, KnownSpans
from metertwin.core.obis import Obis
from metertwin.core.reading import Origin, Register
from metertwin.core.units import Unit

TARIFF = tariff_of(peak_and_valley("0.25", "0.15"))
JANUARY_US = 1_767_225_600_000_000  # 2026-01-01T00:00Z


def table(
    gain: list[list[int]], origin: list[list[Origin]] | None = None, **parts: int
) -> IntervalTable:
    """Return hours of January 2026, those of -1 not known."""
    counts = np.array(gain)
    facts = {"scaler": 0, "start_us": JANUARY_US, "period_s": 3600, **parts}
    return IntervalTable(
        meters=[MeterId(f"m{row}") for row in range(len(gain))],
        register=Register(Obis(1, 0, 1, 8, 0), Unit.WATT_HOUR, facts["scaler"], facts["period_s"]),
        start_us=facts["start_us"],
        gain=np.maximum(counts, 0),
        is_known=counts >= 0,
        quality=np.zeros(counts.shape, np.uint8),
        origin=np.array(origin or np.zeros(counts.shape), np.uint8),
        spans=KnownSpans.none(),
    )


def test_a_bill_counts_what_was_estimated_and_what_is_missing() -> None:
    measured, estimated, edited = Origin.MEASURED, Origin.ESTIMATED, Origin.SUBSTITUTED
    usage = UsageBatch.of(
        table([[1000, 2000, -1, 4000]], [[measured, estimated, measured, edited]])
    )
    (bill,) = bills_of(TARIFF, usage)
    assert (bill.interval_count, bill.estimated_count, bill.missing_count) == (4, 2, 1)
    assert bill.estimated_kwh == 6
    assert bill.import_kwh == 7


def test_energy_drawn_and_fed_in_are_estimated_apart() -> None:
    measured, estimated, edited = Origin.MEASURED, Origin.ESTIMATED, Origin.SUBSTITUTED
    drawn = table([[1000, 2000, 3000, 4000]], [[measured, measured, estimated, measured]])
    fed_in = table([[100, 200, 300, 400]], [[measured, estimated, edited, measured]])
    (bill,) = bills_of(TARIFF, UsageBatch.of(drawn, fed_in))
    # Drawn: the third hour. Fed in: the second and the third. Either: two hours.
    assert (bill.estimated_kwh, bill.estimated_export_kwh) == (d("3"), d("0.5"))
    assert bill.estimated_count == 2
    (bill,) = bills_of(TARIFF, UsageBatch.of(drawn, replace(fed_in, origin=drawn.origin * 0)))
    assert (bill.estimated_kwh, bill.estimated_export_kwh) == (d("3"), d("0"))


def test_totals_over_intervals_not_known_must_be_estimated_first() -> None:
    one = np.array([1])
    spans = KnownSpans(row=np.array([0]), first_index=one, interval_count=2 * one, gain=5000 * one)
    with_span = replace(table([[1000, -1, -1, 4000]]), spans=spans)
    told = (
        "1-0:1.8.0.* of meter m0 has only a total over 2 intervals from 2026-01-01T01:00:00"
        r".*estimate first"
    )
    with pytest.raises(RatingError, match=told):
        UsageBatch.of(with_span)
    with pytest.raises(RatingError, match=told):
        UsageBatch.of(table([[1] * 4]), with_span)


def test_a_carry_of_the_same_or_a_later_month_is_refused() -> None:
    carry = rate(TARIFF, usage_of(TARIFF, [[1000] * 744])).carry_after(0)
    carry = Carry.from_plain(carry.to_plain())
    with pytest.raises(RatingError, match="holds after 2026-01, and the usage begins with"):
        rate(TARIFF, usage_of(TARIFF, [[1000]]), carry=carry)
    # A carry written before months were kept in it is taken as it is.
    rate(TARIFF, usage_of(TARIFF, [[1000]]), carry=Carry.fresh(1))


def test_registers_of_another_unit_are_refused() -> None:
    plain = table([[1000]])
    wrong = replace(plain, register=plain.register._replace(unit=Unit.VAR_HOUR))
    with pytest.raises(RatingError, match="counts varh, and its place in a usage is for Wh"):
        UsageBatch.of(wrong)
    with pytest.raises(RatingError, match="counts varh, and its place in a usage is for Wh"):
        UsageBatch.of(plain, wrong)
    with pytest.raises(RatingError, match="counts Wh, and its place in a usage is for varh"):
        UsageBatch.of(plain, None, plain)
    assert UsageBatch.of(plain, None, wrong).import_varh_counts is not None


def test_tables_of_different_scalers_make_one_usage() -> None:
    usage = UsageBatch.of(table([[1, 2]], scaler=3), table([[5, 0]], scaler=0))
    assert usage.scaler == 0
    assert usage.import_counts.tolist() == [[1000, 2000]]
    assert usage.export_counts is not None
    assert usage.export_counts.tolist() == [[5, 0]]


def test_tables_of_different_ranges_make_none() -> None:
    with pytest.raises(RatingError, match="different meters, starts, periods or lengths"):
        UsageBatch.of(table([[1, 2]]), table([[1]]))


def test_the_digest_tells_energies_apart_and_nothing_else() -> None:
    usage = usage_of(TARIFF, [[1000] * 24, [1000] * 24])
    first, second = (rate(TARIFF, usage).bill(row, 0) for row in (0, 1))
    assert first.usage_digest == second.usage_digest
    narrow = replace(usage, import_counts=usage.import_counts.astype(np.int16))
    assert rate(TARIFF, narrow).bill(0, 0).usage_digest == first.usage_digest
    is_estimated = np.zeros((2, 24), bool)
    is_estimated[0, 3] = True
    marked = rate(TARIFF, replace(usage, is_estimated=is_estimated))
    assert marked.bill(0, 0).usage_digest != first.usage_digest
    assert marked.bill(1, 0).usage_digest == first.usage_digest
    exported = replace(usage, export_counts=usage.import_counts)
    assert rate(TARIFF, exported).bill(0, 0).usage_digest != first.usage_digest


def test_a_comparison_has_the_lines_that_differ_and_why() -> None:
    before, after = (
        rate(TARIFF, usage_of(TARIFF, [hours])).bill(0, 0)
        for hours in ([1000] * 24, [1000] * 12 + [3000] + [1000] * 11)
    )
    change = compare(before, after, ["The reading of 12:00 came late."])
    assert change.difference == d("0.50")  # 2 kWh x 0.25
    assert change.reasons == ["The reading of 12:00 came late."]
    (line,) = change.lines
    assert (line.name, line.period, line.difference) == ("Energy", "peak", d("0.50"))
    assert line.before is not None
    assert line.before.quantity == 12


def test_a_quantity_that_changed_is_told_though_it_costs_the_same() -> None:
    tariff = tariff_of(one_price("0.10"))
    before, after = (rate(tariff, usage_of(tariff, [[wh]])).bill(0, 0) for wh in (1000, 1001))
    change = compare(before, after, [])
    assert change.difference == 0
    assert len(change.lines) == 1


def test_lines_that_only_one_bill_has_are_told() -> None:
    usage = usage_of(TARIFF, [[1000] * 24])
    other = tariff_of(one_price("0.20"))
    change = compare(rate(TARIFF, usage).bill(0, 0), rate(other, usage).bill(0, 0), [])
    told = {(line.period, line.before is None, line.after is None) for line in change.lines}
    assert told == {("peak", False, True), ("valley", False, True), ("all", True, False)}
    assert sum(line.difference for line in change.lines) == change.difference


def test_bills_of_different_months_are_not_compared() -> None:
    january, february = bills_of(TARIFF, usage_of(TARIFF, flat_months_wh(1, 1)))
    with pytest.raises(RatingError, match="m0 for 2026-01-01 in CHF and of m0 for 2026-02-01"):
        compare(january, february, [])


@pytest.mark.parametrize(
    ("first", "told"),
    [
        (JANUARY_US + 3_600_000_000, "starts at 2026-01-01T01:00:00"),
        (
            JANUARY_US + 86_400_000_000,
            "billing months of tariff t begin at local midnight of day 1",
        ),
    ],
)
def test_usage_begins_with_a_billing_month(first: int, told: str) -> None:
    usage = replace(usage_of(TARIFF, [[1]]), start_us=first)
    with pytest.raises(RatingError, match=told):
        rate(TARIFF, usage)


def test_a_month_that_ends_within_an_interval_is_refused() -> None:
    tariff = tariff_of(one_price("0.1"), zone="Australia/Lord_Howe")
    usage = usage_of(tariff, [[1] * 24 * 60], first=date(2026, 10, 1))
    with pytest.raises(RatingError, match="ends within an interval of 3600 s"):
        rate(tariff, usage)
    half_hours = usage_of(tariff, [[1] * 48 * 60], first=date(2026, 10, 1), period_s=1800)
    assert rate(tariff, half_hours).months == [date(2026, 10, 1), date(2026, 11, 1)]


def test_impossible_usage_is_refused() -> None:
    with pytest.raises(RatingError, match="a count of -1"):
        rate(TARIFF, usage_of(TARIFF, [[1, -1]]))
    with pytest.raises(RatingError, match="would leave 64 bits"):
        rate(TARIFF, usage_of(TARIFF, [[2**62, 2**62]]))
    with pytest.raises(RatingError, match="no interval"):
        rate(TARIFF, usage_of(TARIFF, np.zeros((1, 0), np.int64)))
    with pytest.raises(RatingError, match="Usage has 1 meters, the carry 2"):
        rate(TARIFF, usage_of(TARIFF, [[1]]), carry=Carry.fresh(2))
    with pytest.raises(RatingError, match="columns of shapes"):
        usage_of(TARIFF, [[1, 2]], export_counts=[[1]])
    with pytest.raises(RatingError, match="1 meters has 2 contracts"):
        usage_of(TARIFF, [[1]], contracts=[Contract(), Contract()])
    with pytest.raises(RatingError, match="intervals of 0 s"):
        replace(usage_of(TARIFF, [[1]]), period_s=0)


PLAIN = st.recursive(
    st.none() | st.integers(-3, 3) | st.text(max_size=5) | st.sampled_from(["NaN", "1E+999999999"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["meter_count", "columns", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(PLAIN)
def test_anything_is_a_carry_or_an_error(plain: object) -> None:
    try:
        carry = Carry.from_plain(plain)  # type: ignore[arg-type]
    except CarryError:
        return
    assert Carry.from_plain(carry.to_plain()).to_plain() == carry.to_plain()


@given(
    st.lists(
        st.builds(
            lambda n, e: Decimal(f"{n}E-{e}"), st.integers(-(10**20), 10**20), st.integers(0, 15)
        ),
        min_size=1,
        max_size=3,
    )
)
def test_a_carry_survives_as_plain_values(values: list[Decimal]) -> None:
    plain = {"meter_count": len(values), "columns": {"credit": [f"{v:f}" for v in values]}}
    carry = Carry.from_plain(plain)
    assert carry.get("credit").rows() == values
    assert carry.get("other").rows() == [0] * len(values)
    assert Carry.joined([carry, Carry.fresh(1)]).get("credit").rows() == [*values, 0]


def test_a_month_that_loses_an_hour_ends_where_the_next_begins() -> None:
    tariff = tariff_of(one_price("1"), zone="America/Chicago", month_start_day=15)
    # 28 days from 2026-02-15 less the hour lost on 8 March are 671 h: 2684 quarter hours.
    usage = usage_of(tariff, [[1000] * 2687], first=date(2026, 2, 15), period_s=900)
    rated = rate(tariff, usage)
    assert rated.months == [date(2026, 2, 15), date(2026, 3, 15)]
    assert [rated.bill(0, at).total for at in (0, 1)] == [2684, 3]
