"""Laws of validation, estimation and editing, whatever is missing and whatever is wrong."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metertwin.core.clock import from_us
from metertwin.core.ids import MeterId
from metertwin.core.interval_table import IntervalTable, KnownSpans
from metertwin.core.reading import Origin
from metertwin.core.vee import (
    Edit,
    LastResort,
    RangeGains,
    VeeCheck,
    VeeResult,
    VeeRules,
    validate_estimate_edit,
)

MakeTable = Callable[..., IntervalTable]
SPOILT_AND_OUT = [0, 0, 0, 1, 2, 4, 16, 32, 128]


@st.composite
def faulty_tables(draw: st.DrawFn, hourly: MakeTable) -> IntervalTable:
    """Draw days of plausible load with holes, spikes, negative gains, zero and flat runs."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    meter_count, day_count = draw(st.integers(1, 3)), draw(st.integers(1, 15))
    shape = (meter_count, 24 * day_count + draw(st.integers(0, 5)))
    gain = random.integers(50, 800, shape)
    gain[random.random(shape) < 0.02] *= 20
    gain[random.random(shape) < 0.01] *= -1
    quality = random.choice(np.array(SPOILT_AND_OUT, np.uint8), shape)
    quality[random.random(shape) < 0.9] = 0
    known = np.ones(shape, dtype=bool)
    spans = []
    for row in range(meter_count):
        at = 0
        while at < shape[1]:
            count = min(int(random.integers(1, 60)), shape[1] - at)
            kind = random.choice(["good", "good", "gap", "span", "zero", "flat"])
            run = np.s_[row, at : at + count]
            if kind in ("gap", "span"):
                known[run] = False
                if kind == "span":
                    spans.append((row, at, count, int(random.integers(0, 500 * count))))
            elif kind in ("zero", "flat"):
                gain[run] = 0 if kind == "zero" else 333
            at += count
    rows = np.where(known, gain, 0)
    table = hourly(rows.tolist(), spans)
    return IntervalTable(
        table.meters,
        table.register,
        table.start_us,
        table.gain,
        known,
        quality,
        table.origin,
        table.spans,
    )


RULES = st.builds(
    VeeRules,
    zero_run_hours=st.sampled_from([None, 6.0, 48.0]),
    flat_hours=st.sampled_from([None, 4.0]),
    high_day_factor=st.sampled_from([None, 1.2]),
    usage_days_min=st.integers(1, 3),
    like_day_window_days=st.integers(1, 28),
    interpolation_hours=st.sampled_from([0.0, 2.0]),
    last_resort=st.sampled_from(LastResort),
    replaced_after=st.frozensets(
        st.sampled_from([each for each in VeeCheck if each.value not in ("missing", "sum")])
    ),
)


@st.composite
def edits_of(draw: st.DrawFn, table: IntervalTable) -> list[Edit]:
    edits = []
    for _ in range(draw(st.integers(0, 3))):
        first = draw(st.integers(0, table.interval_count - 1))
        count = draw(st.integers(1, table.interval_count - first))
        edit = Edit(
            meter=draw(st.sampled_from(list(table.meters))),
            obis=table.register.obis,
            interval_start=from_us(table.start_us + first * table.period_us),
            length_s=count * table.register.period_s,
            value=Decimal(draw(st.integers(0, 5000))),
            by="ana",
            at=datetime(2026, 4, 1, tzinfo=UTC) + timedelta(hours=draw(st.integers(0, 5))),
            reason="read on site",
        )
        if draw(st.booleans()):
            edit = edit.withdrawn(by="bo", at=datetime(2026, 4, 2, tzinfo=UTC), reason="mistyped")
        edits.append(edit)
    return edits


def columns_of(table: IntervalTable) -> list[object]:
    return [
        table.gain.tolist(),
        table.is_known.tolist(),
        table.quality.tolist(),
        table.origin.tolist(),
        len(table.spans),
    ]


@settings(max_examples=250)
@given(data=st.data(), rules=RULES, has_readings=st.booleans())
def test_again_changes_nothing_and_what_a_register_knows_is_kept(
    hourly: MakeTable,
    zone: ZoneInfo,
    data: st.DataObject,
    rules: VeeRules,
    has_readings: bool,  # noqa: FBT001
) -> None:
    table = data.draw(faulty_tables(hourly))
    edits = data.draw(edits_of(table))
    readings = None
    if has_readings:
        total = np.where(table.is_known, table.gain, 0).sum(axis=1)
        np.add.at(total, table.spans.row, table.spans.gain)
        readings = RangeGains(total + 1000, np.arange(len(total)) % 2 == 0)

    def done(table: IntervalTable) -> VeeResult:
        return validate_estimate_edit(
            table,
            rules,
            edits,
            zone=zone,
            holidays={date(2026, 3, 4)},
            register_readings=readings,
            limits_w=np.full(len(table.meters), 9000.0),
        )

    before = columns_of(table)
    result = done(table)
    assert columns_of(table) == before
    assert columns_of(done(table).table) == columns_of(result.table)
    assert columns_of(done(result.table).table) == columns_of(result.table)

    after = result.table
    is_kept = table.is_known & after.is_known & (after.origin == Origin.MEASURED)
    assert (after.gain[is_kept] == table.gain[is_kept]).all()
    taken = sum(
        before_count is not None
        for entry in result.audit
        if entry.action in ("estimated", "left_unknown")
        for before_count in entry.before_counts
    )
    is_measured = table.is_known & (after.origin != Origin.SUBSTITUTED)
    assert int((is_measured & ~is_kept).sum()) == taken
    if not rules.replaced_after:
        assert not taken
    assert (after.gain[~after.is_known] == 0).all()
    assert not len(after.spans)
    for row, first, count, gain in spans_of(table.spans):
        of_span = np.s_[row, first : first + count]
        if not (after.origin[of_span] == Origin.SUBSTITUTED).any():
            assert after.gain[of_span].sum() == gain
            assert after.is_known[of_span].all()


def spans_of(spans: KnownSpans) -> list[tuple[int, int, int, int]]:
    columns = (spans.row, spans.first_index, spans.interval_count, spans.gain)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize("shape", [(0, 0), (2, 0), (0, 5), (1, 1)])
@pytest.mark.parametrize("is_known", [True, False])
def test_a_table_of_nothing_is_a_table(
    hourly: MakeTable,
    shape: tuple[int, int],
    is_known: bool,  # noqa: FBT001
) -> None:
    register = hourly([[1]]).register
    bits = np.zeros(shape, np.uint8)
    table = IntervalTable(
        [MeterId(f"m{row}") for row in range(shape[0])],
        register,
        0,
        np.zeros(shape, np.int32),
        np.full(shape, is_known),
        bits,
        bits,
        KnownSpans.none(),
    )
    result = validate_estimate_edit(
        table,
        VeeRules(),
        zone=ZoneInfo("Australia/Lord_Howe"),
        register_readings=RangeGains(np.zeros(shape[0], np.int64), np.ones(shape[0], bool)),
        limits_w=np.ones(shape[0]),
    )
    assert result.table.is_known.all()
    assert not result.table.gain.any()


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    zone_name=st.sampled_from(
        ["America/Santiago", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kolkata", "UTC"]
    ),
    period_s=st.sampled_from([900, 3600, 7200, 86400]),
)
def test_any_zone_and_any_period_will_do(
    hourly: MakeTable, seed: int, zone_name: str, period_s: int
) -> None:
    random = np.random.default_rng(seed)
    shape = (1, 60 * 86_400 // period_s)
    known = random.random(shape) > 0.05
    bits = np.zeros(shape, np.uint8)
    sample = hourly([[1]])
    table = IntervalTable(
        sample.meters,
        sample.register._replace(period_s=period_s),
        int(random.integers(20_000, 20_400)) * 86_400 * 10**6,
        np.where(known, random.integers(10, 100, shape), 0),
        known,
        bits,
        bits,
        KnownSpans.none(),
    )
    rules = VeeRules(flat_hours=None)
    result = validate_estimate_edit(table, rules, zone=ZoneInfo(zone_name))
    assert {finding.check for finding in result.findings} <= {VeeCheck.MISSING}
    again = validate_estimate_edit(result.table, rules, zone=ZoneInfo(zone_name))
    assert columns_of(again.table) == columns_of(result.table)
