# ruff: noqa: ANN401 - conftest's Site cannot be imported under importlib mode
"""What apps concluded, a group's interval energies, and requests to a group, over HTTP."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from metertwin.api.intervals import interval_rows
from metertwin.core.ids import MeterId
from metertwin.core.interval_table import IntervalTable, KnownSpans
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.units import Unit
from metertwin.store.formats import from_arrow_ipc
from metertwin.store.series import SeriesLabel

INTERVALS = "/v1/groups/g1/intervals"
IMPORT = {"obis": "1.8.0", "start": "1970-01-01T00:00:00Z", "end": "1970-01-01T01:00:00Z"}


async def test_outputs_are_records_with_their_values(site: Any) -> None:
    chosen = {"app": "tariff", "name": "bill", "limit": 7, "start": "2026-01-01T00:00:00Z"}
    page = (await site.http.get("/v1/twins/m-00003/outputs", params=chosen)).json()
    assert page["outputs"][0] == {
        "app": "tariff",
        "app_version": "1.0",
        "meter": "m-00003",
        "name": "bill",
        "at": "2026-03-29T12:00:00Z",
        "revision": 2,
        "issued_at": "2026-03-29T12:00:00Z",
        "value": {"total": "48.17", "lines": [1]},
    }
    assert site.recorder.asked[0].arguments == {
        "app": "tariff",
        "name": "bill",
        "limit": 7,
        "newest_revision": True,
        "start": datetime(2026, 1, 1, tzinfo=UTC),
        "end": datetime(2026, 3, 29, 12, tzinfo=UTC),
    }


async def test_a_groups_outputs_reach_back_to_the_beginning(site: Any) -> None:
    page = (await site.http.get("/v1/groups/g2/outputs", params={"all_revisions": True})).json()
    assert [each["meter"] for each in page["outputs"]] == ["m-00001", None]
    asked = site.recorder.asked[0].arguments
    assert asked["start"] == datetime(1970, 1, 1, tzinfo=UTC)
    assert (asked["newest_revision"], asked["limit"]) == (False, 100)


async def test_interval_energies_are_columns(site: Any) -> None:
    answer = (await site.http.get(INTERVALS, params=IMPORT)).json()
    assert (answer["group"], answer["obis"], answer["unit"]) == ("g1", "1-0:1.8.0*255", "Wh")
    assert (answer["scaler"], answer["period_s"], answer["count"]) == (-1, 900, 7)
    columns = answer["columns"]
    assert columns["meter"] == ["m-00000"] * 4 + ["m-00001"] * 3
    starts = [
        f"1970-01-01T00:{minute}:00Z" for minute in ("00", "15", "30", "45", "00", "15", "45")
    ]
    assert columns["interval_start"] == starts
    # The second meter gained 7.7 Wh in the half hour from 00:15; nothing is known from 00:45.
    assert columns["length_s"] == [900, 900, 900, 900, 900, 1800, 900]
    assert columns["value"] == ["1.0", "2.5", "0.0", "0.5", "0.3", "7.7", None]
    assert columns["integer"] == [10, 25, 0, 5, 3, 77, None]
    assert set(columns["quality"]) == {8}
    assert set(columns["origin"]) == {"measured"}


async def test_interval_energies_come_as_csv_and_arrow(site: Any) -> None:
    csv = await site.http.get(INTERVALS, params={**IMPORT, "format": "csv"})
    assert csv.headers["content-type"].startswith("text/csv")
    lines = csv.text.splitlines()
    assert lines[0].replace('"', "") == (
        "meter,interval_start,length_s,integer,quality,origin,value,unit"
    )
    assert lines[6] == "m-00001,1970-01-01T00:15:00+00:00,1800,77,8,measured,7.7,Wh"
    assert lines[7] == "m-00001,1970-01-01T00:45:00+00:00,900,,8,measured,,Wh"
    arrow = await site.http.get(INTERVALS, params={**IMPORT, "format": "arrow"})
    table = from_arrow_ipc(arrow.content)
    label = SeriesLabel.read_from(table)
    assert label == SeriesLabel("", "1-0:1.8.0*255", "Wh", -1, 900)
    assert table["integer"].to_pylist() == [10, 25, 0, 5, 3, 77, None]


async def test_the_recorder_is_asked_for_what_the_caller_chose(site: Any) -> None:
    chosen = IMPORT | {"period_s": 900, "meter": ["m-00002", "m-00001"]}
    await site.http.get(INTERVALS, params=chosen)
    assert site.recorder.asked[0].arguments == {
        "obis": "1-0:1.8.0*255",
        "start": datetime(1970, 1, 1, tzinfo=UTC),
        "end": datetime(1970, 1, 1, 1, tzinfo=UTC),
        "period_s": 900,
        "meters": ["m-00002", "m-00001"],
    }


async def test_a_group_is_asked_as_a_whole(site: Any) -> None:
    path = "/v1/groups/g2/requests/usage_of_all"
    answer = await site.http.post(path, json={"arguments": {"month": "2026-03"}, "deadline_s": 60})
    assert answer.status_code == 200
    assert answer.json() == {"token": "_", "deadline_s": 60, "total": "1.50", "month": "2026-03"}
    for path, body, status, code in (
        ("/v1/groups/g9/requests/host", {}, 404, "not_found.group"),
        ("/v1/groups/g1/requests/nonsense", {}, 404, "not_found.request"),
        ("/v1/groups/g1/requests/host", {"deadline_s": 61}, 400, "input.invalid"),
        ("/v1/groups/g1/requests/host", {"deadline": 6}, 400, "input.invalid"),
    ):
        problem = await site.http.post(path, json=body)
        assert (problem.status_code, problem.json()["code"]) == (status, code)


@st.composite
def tables(draw: st.DrawFn) -> IntervalTable:
    """Draw tables of which each interval is known, within a span, or neither."""
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 8)))
    gain = draw(arrays.arrays(np.int64, shape, elements=st.integers(0, 99)))
    is_known = draw(arrays.arrays(np.bool_, shape))
    gain[~is_known] = 0
    spans = []
    for row, known in enumerate(is_known):
        edges = np.flatnonzero(np.diff(np.concatenate(([True], known, [True])).astype(int)))
        for first, last in zip(edges[::2], edges[1::2], strict=True):
            if last - first > 1 and draw(st.booleans()):
                spans.append((row, first, last - first, draw(st.integers(0, 99))))
    columns = np.array(spans, np.int64).reshape(-1, 4).T
    none = np.zeros(shape, np.uint8)
    register = Register(Obis(1, 0, 1, 8, 0), Unit.WATT_HOUR, 0, 900)
    meters = [MeterId(f"m{row}") for row in range(shape[0])]
    return IntervalTable(meters, register, 0, gain, is_known, none, none, KnownSpans(*columns))


@given(tables())
def test_rows_cover_the_range_and_sum_to_all_that_is_known(table: IntervalTable) -> None:
    rows = interval_rows(table).to_pylist()
    for meter in table.meters:
        of_meter = [row for row in rows if row["meter"] == meter]
        next_us = table.start_us
        for row in of_meter:
            assert row["interval_start_us"] == next_us
            next_us += row["length_s"] * 1_000_000
        assert next_us == table.end_us
    known = sum(row["integer"] for row in rows if row["integer"] is not None)
    assert known == table.gain.sum() + table.spans.gain.sum()
    singles = [row for row in rows if row["integer"] is not None and row["length_s"] == 900]
    assert len(singles) == table.is_known.sum()
