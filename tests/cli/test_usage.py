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
