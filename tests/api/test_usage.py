# ruff: noqa: ANN401 - conftest's Site cannot be imported under importlib mode
"""A meter's usage as a file."""

from datetime import UTC, datetime
from typing import Any

from metertwin.exchange.comma_separated import read_usage_csv
from metertwin.exchange.green_button import read_green_button
from metertwin.exchange.usage_file import IMPORT

USAGE = "/v1/twins/m-00000/usage"


async def test_usage_comes_as_green_button(site: Any) -> None:
    answer = await site.http.get(USAGE, params={"zone": "Europe/Zurich"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/atom+xml")
    assert answer.headers["content-disposition"] == 'attachment; filename="usage-m-00000.xml"'
    file = read_green_button(answer.content)
    (series,) = file.series
    assert (series.meter, series.title) == ("m-00000", "Energy drawn")
    assert (series.register.obis, series.register.scaler) == (IMPORT, -1)
    assert series.intervals.gain.tolist() == [10, 25, 0, 5]
    assert str(file.zone) == "Europe/Zurich"


async def test_usage_comes_as_csv(site: Any) -> None:
    answer = await site.http.get(USAGE, params={"format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="usage-m-00000.csv"'
    (series,) = read_usage_csv(answer.content).series
    # Counts are 10^-1 Wh: 10 of them are 0.0010 kWh.
    assert series.intervals.gain.tolist() == [10, 25, 0, 5]
    assert series.register.scaler == -1


async def test_one_meter_is_asked_for_by_full_hours(site: Any) -> None:
    site.clock.advance(1234.5)
    await site.http.get(USAGE)
    asked = site.recorder.asked[0].arguments
    assert asked["meters"] == ["m-00000"]
    assert asked["start"] == datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert asked["end"] == datetime(2026, 3, 29, 12, tzinfo=UTC)


async def test_what_cannot_be_is_said(site: Any) -> None:
    zone = await site.http.get(USAGE, params={"zone": "Europe/Zürich"})
    assert (zone.status_code, zone.json()["code"]) == (400, "input.zone")
    meter = await site.http.get("/v1/twins/m-99999/usage")
    assert meter.status_code == 404
    form = await site.http.get(USAGE, params={"format": "pdf"})
    assert form.status_code == 400
