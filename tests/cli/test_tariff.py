"""`metertwin tariff` as a person meets it."""

import json
import subprocess
import sys
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from metertwin.apps.tariff.calendar import Calendar, MonthDay, Season, Switch
from metertwin.apps.tariff.documents import parse_tariff
from metertwin.cli.commands.tariff import UnsupportedRateError, tariff
from metertwin.cli.tariff_grid import PeriodMarks, grids
from metertwin.core.errors import MeterTwinError

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "tariffs").glob("*.yaml"))
HOUSEHOLD = next(path for path in EXAMPLES if path.stem == "household-tou")
run = CliRunner().invoke


def rate_file(path: Path, **fields: object) -> str:
    rate = {"name": "LP1", "energyratestructure": [[{"rate": 0.1, "unit": "kWh"}]], **fields}
    path.write_text(json.dumps(rate))
    return str(path)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_can_be_applied_and_shown(path: Path) -> None:
    checked = run(tariff, ["check", str(path)])
    assert checked.stdout == f"{path}: {path.stem} version 1 can be applied.\n"
    shown = run(tariff, ["show", str(path)])
    assert shown.exit_code == 0, shown.output
    assert path.stem in shown.stdout


def test_check_names_the_problems_of_every_file_and_ends_with_1(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(HOUSEHOLD.read_text().replace("price_per_kwh: 0.3390", "price_per_kwh: dear"))
    checked = run(tariff, ["check", str(wrong), str(tmp_path / "none.yaml"), str(HOUSEHOLD)])
    assert checked.exit_code == 1
    line_number = next(n for n, t in enumerate(wrong.read_text().splitlines(), 1) if "dear" in t)
    assert (
        f"{wrong}: line {line_number}, energy.periods.peak.price_per_kwh: 'dear' money per kWh is "
        "no number; write digits and nothing else, as in 0.25, 40 characters at most."
    ) in checked.stderr
    assert "none.yaml cannot be read" in checked.stderr
    assert "household-tou version 1 can be applied." in checked.stdout


def test_check_as_json_has_a_report_for_each_file(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("id: x\nversion: 1\nnome: y\n")
    checked = run(tariff, ["check", "--json", str(wrong), str(HOUSEHOLD)])
    assert checked.exit_code == 1
    bad, good = json.loads(checked.stdout)
    assert [(problem["line"], problem["path"]) for problem in bad["problems"]] == [
        *[(1, "")] * 4,  # name, currency, zone and energy are missing
        (3, "nome"),
    ]
    assert bad["problems"][4]["sentence"] == "This key is not known; did you mean name."
    assert (good["id"], good["problem_count"]) == ("household-tou", 0)


def test_show_as_json_is_the_tariff_in_plain_values() -> None:
    shown = json.loads(run(tariff, ["show", "--json", str(HOUSEHOLD)]).stdout)
    assert shown["energy"]["periods"]["peak"] == {
        "price_per_kwh": "0.3390",
        "sell_per_kwh": "0.0786",
    }


def test_the_grid_has_a_row_where_a_season_begins_within_a_month() -> None:
    day, night = (Switch(0, 0), Switch(6 * 60, 1)), (Switch(0, 0),)
    seasons = (
        Season("spring", MonthDay(4, 15), (0,) * 5 + (1,) * 2, 1),
        Season("autumn", MonthDay(10, 1), (1,) * 7, 1),
    )
    calendar = Calendar(("low", "high"), (day, night), seasons)
    shown = run_console(calendar)
    # Six hours are twelve half-hours.
    assert "Apr     " + "L" * 48 in shown
    assert "Apr 15  " + "L" * 12 + "H" * 36 in shown
    assert "Oct     " + "L" * 48 in shown
    assert "Monday to Friday\n" in shown
    assert "Saturday, Sunday, holidays\n" in shown


def run_console(calendar: Calendar) -> str:
    console = Console(file=StringIO(), width=80)
    marks = PeriodMarks(["L", "H"], ["black on green", "black on red"])
    for grid in grids(calendar, marks):
        console.print(grid)
    assert isinstance(console.file, StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def test_marks_differ_though_names_begin_alike_or_have_no_letters() -> None:
    prices = [Decimal(price) for price in (3, 2, 1, 1)]
    marks = PeriodMarks.of(["peak", "part-peak", "峰", ""], prices)
    assert marks.letters == ["P", "A", "B", "C"]
    assert marks.styles == ["black on #d73027", "black on #d9ef8b", *["black on #1a9850"] * 2]


def test_a_rate_is_imported_with_its_notes(tmp_path: Path) -> None:
    out = tmp_path / "lp1.yaml"
    rate = rate_file(tmp_path / "lp1.json", description="For all.\nReally.")
    done = run(tariff, ["import-urdb", rate, "--out", str(out), "--zone", "America/Chicago"])
    assert done.exit_code == 0, done.output
    assert done.stderr == f"note: description says: For all. Really.\nWrote lp1 to {out}.\n"
    assert out.read_text().startswith(
        "# Imported from lp1.json, OpenEI's utility rate database.\n"
        "# Note: description says: For all. Really.\n"
    )
    assert parse_tariff(out.read_text(), "out").zone == "America/Chicago"


def test_a_rate_that_does_not_reach_the_bill_is_refused_unless_allowed(tmp_path: Path) -> None:
    out = tmp_path / "lp1.yaml"
    rate = rate_file(tmp_path / "lp1.json", demandreactivepowercharge=0.2)
    arguments = ["import-urdb", rate, "--out", str(out), "--zone", "America/Chicago"]
    refused = run(tariff, arguments)
    assert isinstance(refused.exception, UnsupportedRateError)
    assert "unsupported: demandreactivepowercharge = 0.2: " in refused.stderr
    assert not out.exists()
    assert run(tariff, [*arguments, "--allow-unsupported"]).exit_code == 0
    assert "# UNSUPPORTED: demandreactivepowercharge = 0.2: " in out.read_text()


def test_a_file_with_several_rates_needs_a_choice(tmp_path: Path) -> None:
    path, out = tmp_path / "rates.json", tmp_path / "out.yaml"
    rate = {"energyratestructure": [[{"rate": 0.1, "unit": "kWh"}]]}
    path.write_text(json.dumps({"items": [{**rate, "name": "A"}, {**rate, "name": "B"}]}))
    arguments = ["import-urdb", str(path), "--out", str(out), "--zone", "UTC"]
    missing = run(tariff, arguments).exception
    assert isinstance(missing, MeterTwinError)
    assert str(missing) == f"{path} has 2 rates; choose one with --rate 1 to 2."
    assert run(tariff, [*arguments, "--rate", "2"]).exit_code == 0
    assert parse_tariff(out.read_text(), "out").id == "b"


def test_an_error_is_said_without_a_traceback_and_ends_with_1(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "metertwin.cli", "tariff", "show", str(tmp_path / "none.yaml")],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"metertwin: {tmp_path}/none.yaml cannot be read: ")
    assert "Traceback" not in ended.stderr
