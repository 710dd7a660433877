"""Edits: over everything, by time, on record, withdrawn, stored and read again."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metertwin.core.ids import MeterId
from metertwin.core.interval_table import IntervalTable
from metertwin.core.obis import Obis
from metertwin.core.reading import Origin, Quality
from metertwin.core.vee import (
    AuditAction,
    Edit,
    EditError,
    EstimationMethod,
    VeeCheck,
    VeeResult,
    VeeRules,
    edit_from_plain,
    edit_to_plain,
    edits_about,
    validate_estimate_edit,
)

MakeTable = Callable[..., IntervalTable]
ZONE = ZoneInfo("Europe/Zurich")
OBIS = Obis.parse("1-0:1.8.0*255")
MIDNIGHT = datetime(2026, 3, 2, tzinfo=ZONE)
MADE = datetime(2026, 4, 1, 9, tzinfo=UTC)


def edit(hour: int, value: str, *, hours: int = 1, at: datetime = MADE) -> Edit:
    return Edit(
        meter=MeterId("m0"),
        obis=OBIS,
        interval_start=MIDNIGHT + timedelta(hours=hour),
        length_s=3600 * hours,
        value=Decimal(value),
        by="ana",
        at=at,
        reason="read on site",
    )


def edited(table: IntervalTable, *edits: Edit) -> VeeResult:
    return validate_estimate_edit(table, VeeRules(), edits, zone=ZONE)


def test_an_edit_stands_over_measured_values_and_is_on_record(hourly: MakeTable) -> None:
    table = hourly([[10, 20, 30, 40]], quality={(0, 1): Quality.DATA_INVALID})
    result = edited(table, edit(1, "25"))
    assert result.table.gain.tolist() == [[10, 25, 30, 40]]
    assert result.table.origin[0].tolist() == [0, Origin.SUBSTITUTED, 0, 0]
    assert result.is_substituted().sum() == 1
    assert not result.table.quality.any()
    (entry,) = result.audit
    assert (entry.action, entry.before_counts, entry.after_counts) == (
        AuditAction.EDITED,
        (20,),
        (25,),
    )
    assert result.explained(0) == [
        (
            "2026-03-02T01:00+01:00 to 2026-03-02T02:00+01:00: corrected from 20 Wh to 25 Wh by "
            "ana on 2026-04-01 09:00 UTC: read on site."
        )
    ]
    assert table.gain.tolist() == [[10, 20, 30, 40]]


def test_a_longer_edit_is_shared_evenly_in_whole_counts_of_the_scaler(hourly: MakeTable) -> None:
    table = hourly([[1, 2, 3, None]], scaler=1)
    result = edited(table, edit(1, "80", hours=3))
    assert result.table.gain.tolist() == [[1, 3, 3, 2]]  # 8 counts of 10 Wh
    assert result.table.is_known.all()


def test_the_later_edit_wins_whatever_the_order_and_a_withdrawn_one_does_nothing(
    hourly: MakeTable,
) -> None:
    table = hourly([[10, 20, 30, 40]])
    early, late = edit(1, "25", hours=2), edit(2, "7", at=MADE + timedelta(days=1))
    for edits in ([early, late], [late, early]):
        result = edited(table, *edits)
        assert result.table.gain.tolist() == [[10, 13, 7, 40]]
        assert [entry.before_counts for entry in result.audit] == [(20, 30), (12,)]
    gone = late.withdrawn(by="bo", at=MADE + timedelta(days=2), reason="mistyped")
    assert gone.is_withdrawn
    result = edited(table, early, gone)
    assert result.table.gain.tolist() == [[10, 13, 12, 40]]
    assert result.explained(0)[1] == (
        "2026-03-02T02:00+01:00 to 2026-03-02T03:00+01:00: a correction was withdrawn by bo on "
        "2026-04-03 09:00 UTC: mistyped."
    )


def test_a_span_keeps_its_total_around_an_edit_and_says_when_it_cannot(hourly: MakeTable) -> None:
    table = hourly([[10, None, None, None, 50]], spans=[(0, 1, 3, 30)])
    result = edited(table, edit(2, "21"))
    assert result.table.gain.tolist() == [[10, 5, 21, 4, 50]]
    assert [entry.method for entry in result.audit[1:]] == [EstimationMethod.EVEN] * 2
    over = edited(table, edit(2, "31"))
    assert over.table.gain.tolist() == [[10, 0, 31, 0, 50]]
    checks = [(each.check, each.value, each.limit) for each in over.findings]
    assert (VeeCheck.SUM, Decimal(31), Decimal(30)) in checks


def test_edits_that_do_not_fit_the_table_are_told_together(hourly: MakeTable) -> None:
    table = hourly([[10, 20, 30, 40]], scaler=1)
    wrong = [
        replace(edit(0, "10"), meter=MeterId("m7")),
        replace(edit(0, "10"), length_s=1800),
        edit(3, "10", hours=2),
        edit(0, "5"),
    ]
    with pytest.raises(EditError) as caught:
        edited(table, *wrong)
    assert str(caught.value) == (
        "4 edits cannot be applied: edit of 1-0:1.8.0*255 of meter m7 at "
        "2026-03-02T00:00:00+01:00: the table has no such meter or counts 1-0:1.8.0*255; edit of "
        "1-0:1.8.0*255 of meter m0 at 2026-03-02T00:00:00+01:00: it does not begin and end on the "
        "grid of 3600 s; edit of 1-0:1.8.0*255 of meter m0 at 2026-03-02T03:00:00+01:00: it "
        "reaches over the table's time; cut it there or take more time; edit of 1-0:1.8.0*255 of "
        "meter m0 at 2026-03-02T00:00:00+01:00: 5 Wh is no whole number of counts of 10^1 Wh."
    )


def test_an_edit_that_says_nothing_sensible_is_refused_with_all_reasons() -> None:
    with pytest.raises(EditError) as caught:
        replace(
            edit(0, "1"),
            value=Decimal(-1),
            interval_start=datetime(2026, 3, 2),  # noqa: DTZ001 - that is what is wrong
            length_s=0,
            by=" ",
            withdrawn_by="bo",
        )
    assert str(caught.value) == (
        "Edit of 1-0:1.8.0*255 of meter m0 cannot be used: interval_start 2026-03-02T00:00:00 has "
        "no zone; length 0 s is not above 0 or beyond 10000000000 s; value -1 is not finite, below "
        "0 or of more than 20 digits; it does not say by whom and why; a withdrawal says by whom, "
        "when and why, or nothing at all."
    )


def test_edits_about_a_table_are_those_of_its_meters_register_and_time(hourly: MakeTable) -> None:
    table = hourly([[10, 20, 30, 40]])
    inside = edit(3, "1")
    others = [
        edit(4, "1"),
        edit(-1, "1"),
        replace(inside, meter=MeterId("m7")),
        replace(inside, obis=Obis.parse("1-0:2.8.0*255")),
    ]
    assert edits_about([*others, inside], table) == [inside]


EDITS = st.builds(
    edit,
    st.integers(-1000, 1000),
    st.decimals(0, 10**9, places=3).map(str),
    hours=st.integers(1, 100),
    at=st.datetimes(timezones=st.just(UTC)),
)


@given(made=EDITS, is_withdrawn=st.booleans())
def test_an_edit_reads_back_as_it_was_stored(made: Edit, is_withdrawn: bool) -> None:  # noqa: FBT001
    if is_withdrawn:
        made = made.withdrawn(by="bo", at=MADE, reason="mistyped")
    assert edit_from_plain(edit_to_plain(made)) == made


PLAIN = edit_to_plain(edit(0, "1"))
VALUES = st.one_of(
    st.text(max_size=8),
    st.integers(),
    st.none(),
    st.booleans(),
    st.sampled_from(
        ["NaN", "1e-999999", "1E+999999", "-0", "sNaN", "2026-03-02", "0001-01-01T00:00+23:59"]
    ),
)


@given(
    changed=st.dictionaries(st.sampled_from([*PLAIN, "other"]), VALUES, max_size=3),
    dropped=st.sets(st.sampled_from(list(PLAIN)), max_size=1),
)
def test_whatever_is_stored_an_edit_or_the_documented_error_comes_back(
    changed: dict[str, Any], dropped: set[str]
) -> None:
    plain = {name: value for name, value in (PLAIN | changed).items() if name not in dropped}
    try:
        back = edit_from_plain(plain)
    except EditError:
        return
    assert edit_from_plain(edit_to_plain(back)) == back
