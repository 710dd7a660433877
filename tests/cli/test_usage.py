"""`metertwin usage` on files, without a site."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from metertwin.exchange.green_button import read_green_button

TARIFF = """
id: flat
version: 2
name: One price
currency: EUR
zone: Europe/Berlin
energy:
  periods:
    always: {price_per_kwh: 0.25}
"""


def metertwin(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "metertwin.cli", "usage", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def quarters(tmp_path: Path) -> Path:
    """Return a CSV of 0.1 kWh a quarter hour, 2026-01-30 to 2026-03-05, four missing."""
    start = datetime(2026, 1, 29, 23, tzinfo=UTC)
    missing = range(1000, 1004)
    rows = [
        f"{start + n * timedelta(minutes=15):%Y-%m-%dT%H:%M:%SZ};0,1;900"
        for n in range(34 * 96)
        if n not in missing
    ]
    path = tmp_path / "quarters.csv"
    path.write_text("\n".join(["start;kwh;interval_s", *rows]))
    return path


@pytest.fixture
def tariff(tmp_path: Path) -> Path:
    path = tmp_path / "flat.yaml"
    path.write_text(TARIFF)
    return path


def test_show_tells_months_gaps_and_the_shape_of_the_day(quarters: Path) -> None:
    shown = metertwin("show", str(quarters), "--zone", "Europe/Berlin")
    assert shown.returncode == 0, shown.stderr
    assert "2026-02" in shown.stdout
    assert "mean power by hour of the day" in shown.stdout
    assert "0.40 |██" in shown.stdout  # 0.1 kWh in a quarter hour


def test_show_as_json_is_exact(quarters: Path) -> None:
    shown = metertwin("show", str(quarters), "--zone", "Europe/Berlin", "--json")
    (series,) = json.loads(shown.stdout)["series"]
    # 34 days of 96 quarter hours less 4, 0.1 kWh each.
    assert series["energy"] == "326.0"
    assert (series["interval_count"], series["gap_count"], series["gap_s"]) == (3260, 1, 3600)
    assert [month["energy"] for month in series["months"]] == ["19.2", "268.4", "38.4"]
    assert series["hour_means_kw"] == [0.4] * 24


def test_convert_writes_green_button_and_back(quarters: Path, tmp_path: Path) -> None:
    xml, back = tmp_path / "usage.xml", tmp_path / "back.csv"
    to_xml = metertwin(
        "convert",
        str(quarters),
        "--to",
        "greenbutton",
        "--zone",
        "Europe/Berlin",
        "--out",
        str(xml),
    )
    assert to_xml.returncode == 0, to_xml.stderr
    assert str(read_green_button(xml.read_bytes()).zone) == "Europe/Berlin"
    assert metertwin("convert", str(xml), "--to", "csv", "--out", str(back)).returncode == 0
    lines = back.read_text().splitlines()
    assert len(lines) == 3261
    assert lines[1] == (
        "meter,2026-01-30T00:00:00+01:00,2026-01-29T23:00:00Z,900,import,0.1,,good,measured"
    )


def test_rate_bills_whole_months_and_says_what_was_left_out(quarters: Path, tariff: Path) -> None:
    rated = metertwin("rate", str(quarters), "--tariff", str(tariff), "--json")
    assert rated.returncode == 0, rated.stderr
    told = json.loads(rated.stdout)
    february, march = told["bills"]
    # 28 days of 96 quarter hours of 0.1 kWh, the four missing estimated like their neighbours:
    # 268.8 kWh at 0.25.
    assert (february["month"], february["total"]) == ("2026-02-01", "67.20")
    assert (february["estimated_count"], february["missing_count"]) == (4, 0)
    # Four days so far: 38.4 kWh.
    assert (march["total"], march["is_final"]) == ("9.60", False)
    assert told["notes"][0] == (
        "Left out what was used before 2026-02-01: the file begins on 2026-01-30 00:00, within a "
        "billing month."
    )
    assert any("estimated" in note for note in told["notes"][1:])


BY_HOUR = """
id: two-rate
version: 1
name: Day and night
currency: EUR
zone: Europe/Berlin
energy:
  calendar:
    days: {any: {00:00-08:00: night, 08:00-20:00: day, 20:00-24:00: night}}
    seasons: [{name: all, from: 1 January, every_day: any}]
  periods: {day: {price_per_kwh: 0.40}, night: {price_per_kwh: 0.10}}
"""


@pytest.fixture
def by_hour(tmp_path: Path) -> Path:
    path = tmp_path / "by-hour.yaml"
    path.write_text(BY_HOUR)
    return path


def test_daily_totals_are_billed_at_one_price_and_refused_by_the_hour(
    tmp_path: Path, tariff: Path, by_hour: Path
) -> None:
    days = tmp_path / "days.csv"
    days.write_text("start,kwh\n" + "".join(f"2026-03-{day:02},24\n" for day in range(1, 32)))
    rated = metertwin("rate", str(days), "--tariff", str(tariff), "--json")
    assert rated.returncode == 0, rated.stderr
    told = json.loads(rated.stdout)
    (bill,) = told["bills"]
    assert (bill["total"], bill["is_final"]) == ("186.00", True)  # 31 x 24 x 0.25
    assert told["notes"] == [
        (
            "Took local days of Europe/Berlin as the intervals of the import of meter: its starts "
            "are midnights, a day apart."
        ),
        (
            "2026-03-01T00:00+01:00 to 2026-04-01T00:00+02:00: only totals over 23 to 24 h are "
            "known, 31 of them with 744000 Wh in all; each shared in equal parts."
        ),
    ]
    refused = metertwin("rate", str(days), "--tariff", str(by_hour))
    assert refused.returncode == 1
    # Switches are at 7 and 19 h of UTC before 29 March, at 6 and 18 h then: multiples of 1 h.
    assert refused.stderr == (
        "metertwin: The price of energy of tariff two-rate changes from night to day at 2026-03-01 "
        "08:00 in Europe/Berlin, within an interval of 86400 s: how much was used before and after "
        "is not known. Give usage in intervals of 3600 s, or of a length that divides them, or "
        "take a tariff that does not depend on the hour.\n"
    )


def test_daily_totals_have_neither_hourly_prices_nor_hourly_peaks(tmp_path: Path) -> None:
    days, hours = tmp_path / "days.csv", tmp_path / "hours.csv"
    days.write_text("start,kwh\n" + "".join(f"2026-01-{day:02},24\n" for day in range(1, 32)))
    start = datetime(2025, 12, 31, 23, tzinfo=UTC)
    prices = [f"{start + timedelta(hours=n):%Y-%m-%dT%H:%M:%SZ},0.1" for n in range(744)]
    hours.write_text("\n".join(["start,price_per_kwh", *prices]))
    market, demand = tmp_path / "market.yaml", tmp_path / "demand.yaml"
    market.write_text(TARIFF.partition("energy")[0] + "energy: {real_time: {}}")
    demand.write_text(
        f"{TARIFF}demand: [{{name: Peak, window_s: 3600, periods: {{all: {{price_per_kw: 5}}}}}}]"
    )
    refused = metertwin("rate", str(days), "--tariff", str(market), "--prices", str(hours))
    assert refused.stderr == (
        "metertwin: Prices hold 3600 s each, and the file has intervals of 86400 s within which "
        "they change: how much was used at which price is not known. Give usage in intervals of "
        "3600 s, or of a length that divides them.\n"
    )
    refused = metertwin("rate", str(days), "--tariff", str(demand))
    assert refused.stderr == (
        "metertwin: Demand is averaged over 3600 s, and the file has intervals of 86400 s; give "
        "usage in intervals of a length that divides the window.\n"
    )


def test_a_real_time_tariff_is_billed_with_its_prices(
    tmp_path: Path, quarters: Path, tariff: Path
) -> None:
    market = tmp_path / "market.yaml"
    market.write_text(
        TARIFF.partition("energy")[0]
        + "energy: {real_time: {buy_adder_per_kwh: 0.02}}\ncritical_peak: {price_per_kwh: 1}\n"
    )
    hours = tmp_path / "prices.csv"
    start = datetime(2026, 1, 31, 23, tzinfo=UTC)
    # 100 EUR per MWh in even hours of the day, 50 in odd ones.
    rows = [
        f"{start + timedelta(hours=n):%Y-%m-%dT%H:%M:%SZ},{50 if n % 2 else 100}"
        for n in range(33 * 24)
    ]
    hours.write_text("\n".join(["start,EUR/MWh", *rows]))
    arguments = ("rate", str(quarters), "--tariff", str(market))
    rated = metertwin(*arguments, "--prices", str(hours), "--json", "--month", "2026-02")
    assert rated.returncode == 0, rated.stderr
    told = json.loads(rated.stdout)
    (bill,) = told["bills"]
    assert told["notes"][-1] == (
        "Critical peaks of flat are not billed: their events are not known."
    )
    # 268.8 kWh, half of them at 0.10 + 0.02, half at 0.05 + 0.02: 16.128 + 9.408 = 25.536
    assert bill["total"] == "25.54"
    missing = metertwin(*arguments)
    assert missing.returncode == 1
    assert missing.stderr == (
        "metertwin: Tariff flat has a real-time price; give the series with --prices, a CSV with "
        "columns start and price_per_kwh or price_per_mwh.\n"
    )
    short = tmp_path / "short.csv"
    short.write_text("\n".join(["start,EUR/MWh", *rows[:48]]))
    ended = metertwin(*arguments, "--prices", str(short))
    assert "Prices are known from 2026-01-31T23:00:00+00:00 to 2026-02-02T23:00:00" in ended.stderr
    needless = metertwin("rate", str(quarters), "--tariff", str(tariff), "--prices", str(hours))
    assert needless.stderr == (
        "metertwin: Tariff flat has no real-time price; leave --prices out.\n"
    )


def test_hours_before_quarter_hours_are_told_as_totals_in_one_sentence(
    tmp_path: Path, by_hour: Path
) -> None:
    start = datetime(2025, 12, 31, 23, tzinfo=UTC)
    rows = [(n * 3600, "1", 3600) for n in range(480)]
    rows += [(480 * 3600 + n * 900, "0.25", 900) for n in range(11 * 96)]
    path = tmp_path / "mixed.csv"
    lines = [f"{start + timedelta(seconds=at):%Y-%m-%dT%H:%M:%SZ},{kwh},{s}" for at, kwh, s in rows]
    path.write_text("\n".join(["start,kwh,interval_s", *lines]))
    rated = metertwin("rate", str(path), "--tariff", str(by_hour), "--json")
    assert rated.returncode == 0, rated.stderr
    told = json.loads(rated.stdout)
    # 31 days of 12 kWh at 0.40 and 12 kWh at 0.10
    assert told["bills"][0]["total"] == "186.00"
    assert told["notes"][0] == (
        "2026-01-01T00:00+01:00 to 2026-01-21T00:00+01:00: only totals over 1 h are known, 480 of "
        "them with 480000 Wh in all; each shared in equal parts."
    )
    assert len(told["notes"]) == 2  # the other is about one and the same value


def test_rate_shows_a_month_line_by_line(quarters: Path, tariff: Path) -> None:
    arguments = ("rate", str(quarters), "--tariff", str(tariff), "--month")
    shown = metertwin(*arguments, "2026-02")
    assert shown.returncode == 0, shown.stderr
    assert "67.20" in shown.stdout
    assert "because" in shown.stdout
    other = metertwin(*arguments, "2025-02")
    assert other.returncode == 1
    assert other.stderr == (
        "metertwin: Month 2025-02 is not in the file; billed are 2026-02, 2026-03.\n"
    )


def test_a_file_within_one_month_cannot_be_billed(tmp_path: Path, tariff: Path) -> None:
    path = tmp_path / "short.csv"
    path.write_text("start,kwh,interval_s\n2026-02-03T00:00:00+01:00,1,900\n")
    ended = metertwin("rate", str(path), "--tariff", str(tariff))
    assert ended.returncode == 1
    assert "No billing month of flat begins in the file" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("show", "nowhere.xml"), 1, "metertwin: nowhere.xml cannot be read: No such file"),
        (("show", __file__), 1, "has no column start_utc or start"),
        (("show", __file__, "--zone", "Mars"), 2, "'Mars' is not a time zone"),
        (("rate", __file__, "--tariff", "x.yaml", "--month", "May"), 2, "'May' is not a month"),
        (("rate", __file__, "--tariff", "x.yaml"), 1, "x.yaml cannot be read"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    arguments: tuple[str, ...], code: int, words: str
) -> None:
    ended = metertwin(*arguments)
    assert ended.returncode == code
    assert words in " ".join(ended.stderr.replace("│", " ").split())
    assert "Traceback" not in ended.stderr
