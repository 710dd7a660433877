# ruff: noqa: ANN401 - conftest's Site cannot be imported under importlib mode
"""History, events and the ledger over HTTP."""

from datetime import UTC, datetime
from typing import Any

from metertwin.store.formats import from_arrow_ipc
from metertwin.store.series import SeriesLabel

HISTORY = "/v1/twins/m-00001/history/32.7.0"


async def test_a_history_is_columns_with_exact_values_and_utc_times(site: Any) -> None:
    series = (await site.http.get(HISTORY)).json()
    assert (series["obis"], series["unit"]) == ("1-0:32.7.0*255", "V")
    assert (series["scaler"], series["count"]) == (-1, 2)
    # 1,774,785,600 s after 1970 is 2026-03-29 12:00:00 UTC; 2304 x 10^-1 = 230.4.
    assert series["columns"] == {
        "captured_at": ["2026-03-29T12:00:00Z", "2026-03-29T12:15:00Z"],
        "value": ["230.4", "231.1"],
        "integer": [2304, 2311],
        "quality": [0, 8],
        "origin": ["measured", "simulated"],
    }


async def test_the_range_defaults_to_the_last_24_h_of_the_meters_time(site: Any) -> None:
    await site.http.get(HISTORY)
    asked = site.recorder.asked[0]
    assert asked.name == "range"
    assert asked.arguments["start"] == datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert asked.arguments["end"] == datetime(2026, 3, 29, 12, tzinfo=UTC)


async def test_resampling_is_asked_of_the_recorder(site: Any) -> None:
    await site.http.get(HISTORY, params={"every_s": 900, "how": "gain", "period_s": 900})
    asked = site.recorder.asked[0]
    assert asked.name == "resample"
    assert (asked.arguments["every_s"], asked.arguments["how"]) == (900, "gain")
    assert asked.arguments["period_s"] == 900


async def test_the_form_is_the_callers_choice(site: Any) -> None:
    csv = await site.http.get(HISTORY, headers={"accept": "text/csv"})
    assert csv.headers["content-type"].startswith("text/csv")
    assert csv.text.splitlines()[1].endswith("230.4,V")
    arrow_type = "application/vnd.apache.arrow.stream"
    arrow = await site.http.get(HISTORY, headers={"accept": arrow_type})
    assert arrow.headers["content-type"] == arrow_type
    table = from_arrow_ipc(arrow.content)
    label = SeriesLabel.read_from(table)
    assert label is not None
    assert (label.unit, label.scaler, table.num_rows) == ("V", -1, 2)
    other = await site.http.get(HISTORY, headers={"accept": "image/png"})
    assert (other.status_code, other.json()["code"]) == (406, "not_acceptable")


async def test_registers_and_events_are_rows(site: Any) -> None:
    registers = (await site.http.get("/v1/twins/m-00001/registers")).json()
    assert registers == [{"obis": "1-0:32.7.0*255", "unit": "V", "first": "1970-01-01T00:00:00Z"}]
    events = (await site.http.get("/v1/twins/m-00001/events", params={"limit": 5})).json()
    assert events["events"][0]["name"] == "power_up"
    assert events["events"][0]["captured_at"] == "2026-03-29T12:00:00Z"
    assert site.recorder.asked[0].arguments["limit"] == 5


async def test_the_ledger_joins_twins_and_store_and_says_what_is_missing(site: Any) -> None:
    report = (await site.http.get("/v1/ledger", params={"group": "g1"})).json()
    # Ten meters with 10 readings each in the twins; the store took 8 of the last one's and heard
    # of 9: the highest number heard of is 10, so 2 are missing there.
    assert report["total"] == {
        "meters": 10,
        "received": 100,
        "applied": 100,
        "stored": 98,
        "duplicate": 10,
        "missing": 2,
        "balanced": False,
    }
    last = report["meters"][-1]
    assert (last["meter"], last["received"], last["stored"]) == ("m-00009", 10, 8)
    one = (await site.http.get("/v1/ledger", params={"meter": "m-00001"})).json()
    assert [entry["meter"] for entry in one["meters"]] == ["m-00001"]
    assert one["total"]["balanced"]


async def test_a_ledger_without_one_of_its_parts_does_not_balance(site: Any) -> None:
    await site.services[2].stop()  # the recorder of g1
    report = (await site.http.get("/v1/ledger", params={"group": "g1"})).json()
    assert not report["total"]["balanced"]
    assert report["meters"][0]["stored"] is None
    assert list(report["silent"]) == ["recorder of g1"]
