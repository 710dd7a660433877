"""The whole way: simulated meters, gateway, bus, twin host, recorder, API, command line."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pyarrow as pa
import pytest
from tests.cli.terminal import Terminal, running_site

from metertwin.apps.tariff.calendar_meaning import meaning
from metertwin.apps.tariff.calendar_text import calendar_from_plain
from metertwin.apps.tariff.documents import parse_tariff
from metertwin.apps.tariff.energy import EnergyCharge

METERS = 3


@pytest.fixture
async def terminal(tmp_path: Path) -> AsyncIterator[Terminal]:
    async with running_site(tmp_path / "site", meters_count=METERS, past_days=1) as here:
        yield here


async def test_people_see_ask_command_and_account_for_a_running_site(
    terminal: Terminal, tmp_path: Path
) -> None:
    page = await terminal.json("twins")
    meter = page["items"][0]["meter"]

    # Straight from the meter: the answer says so, and no value is older than the question.
    answer = await terminal.json("request", meter, "usage_now", "--max-age", "0")
    assert answer["source"] == "meter"
    assert float(answer["energy_import"]["value"]) >= 0

    # Both answers of a command, and the meter's own word for it.
    record = await terminal.json("command", meter, "disconnect", "--wait", "--key", "test-1")
    assert record["accepted"]["status"] == "accepted"
    assert record["effected"]["status"] == "effected"
    code, shown, _ = await terminal.run("command", meter, "disconnect", "--key", "test-1")
    assert code == 0
    assert "effected" in shown
    code, _, error = await terminal.run("command", meter, "reconnect", "--key", "test-1")
    assert code == 1
    assert error.startswith("metertwin: Command id test-1 already stands for disconnect")

    # What was read is history: the same integers in every form.
    history = ("history", meter, "1.8.0", "--period", "0", "--start", "2000-01-01T00:00:00Z")
    series = await terminal.json(*history)
    arrow = tmp_path / "history.arrow"
    assert (await terminal.run(*history, "--format", "arrow", "--out", str(arrow)))[0] == 0
    table = pa.ipc.open_stream(arrow.read_bytes()).read_all()
    count = series["count"]
    assert count > 0
    assert table["integer"].to_pylist()[:count] == series["columns"]["integer"]
    code, text, _ = await terminal.run(*history, "--format", "csv")
    assert code == 0
    assert len(text.splitlines()) - 1 >= table.num_rows

    # No app runs here, so none concluded anything.
    assert await terminal.json("outputs", meter, "--app", "tariff") == {"outputs": []}
    code, shown, _ = await terminal.run("outputs", meter)
    assert (code, "Outputs of" in shown) == (0, True)

    # And every reading is accounted for, by the twins and by the store.
    async with asyncio.timeout(30):
        while not (report := await terminal.json("ledger"))["total"]["balanced"]:
            pass  # a reader is catching up
    assert report["total"]["missing"] == 0
    assert report["total"]["received"] == report["total"]["stored"] > count


async def test_a_tariffs_calendar_is_written_into_a_meter_and_shown(terminal: Terminal) -> None:
    meter = (await terminal.json("twins"))["items"][0]["meter"]
    tariff = Path(__file__).parents[2] / "examples/tariffs/household-tou.yaml"
    write = ("calendar", "write", meter, "--tariff", str(tariff), "--wait")
    record = await terminal.json(*write)
    assert record["effected"]["status"] == "effected"
    assert record["effected"]["reason"].startswith("calendar ")
    again = await terminal.json(*write)
    assert again["effected"]["reason"] == "the meter was in this state already"
    answer = await terminal.json("calendar", "show", meter)
    energy = parse_tariff(tariff.read_text(), str(tariff)).energy
    assert isinstance(energy, EnergyCharge)
    assert meaning(calendar_from_plain(answer["calendar"])) == meaning(energy.calendar)
    code, shown, _ = await terminal.run("calendar", "show", meter)
    assert code == 0
    assert "Sunday, holidays" in shown
    assert "2026-05-25, every year's 10-03, every year's 12-25" in " ".join(shown.split())

    # A tariff without a calendar, and a time without its zone.
    priced = tariff.with_name("real-time-critical-peak.yaml")
    code, _, error = await terminal.run("calendar", "write", meter, "--tariff", str(priced))
    assert (code, error.count("\n")) == (1, 1)
    assert "charges energy at a price series; a meter can follow calendars alone" in error
    code, _, error = await terminal.run(*write, "--at", "2027-01-01T00:00")
    assert code == 2


async def test_the_parts_and_what_they_wrote_are_shown(terminal: Terminal) -> None:
    parts = await terminal.json("logs")
    roles = {"bus", "simulate", "recorder", "twin-host", "gateway", "api"}
    assert {name: each["phase"] for name, each in parts.items()} == dict.fromkeys(roles, "running")
    code, shown, _ = await terminal.run("logs", "gateway", "--lines", "20")
    assert (code, "gateway_runs" in shown) == (0, True)
    code, _, error = await terminal.run("logs", "getaway")
    assert code == 1
    assert "There is no part 'getaway'" in error


async def test_wrong_questions_end_in_one_sentence(terminal: Terminal) -> None:
    for arguments, sentence in (
        (("twin", "nobody"), "There is no twin of meter nobody"),
        (("request", "m000001", "usage_then"), "There is no request 'usage_then'"),
        (("outputs", "nobody"), "There is no twin of meter nobody"),
        (("outputs", "--group", "g-nowhere"), "There is no group 'g-nowhere'"),
        (("outputs", "m000001", "--from", "today"), "start is 'today', which is no ISO"),
        (("history", "m000001", "energy"), "'energy' is not an OBIS code"),
        (("history", "m000001", "1.8.0", "--start", "today"), "start is 'today', which is no ISO"),
        (("desired", "m000001", "colour=blue"), "cannot take colour='blue'"),
        (("command", "m000001", "set-limit", "--limit-w", "9999999"), "outside 0 to 1000000 W"),
    ):
        code, _, error = await terminal.run(*arguments)
        assert (code, error.count("\n")) == (1, 1), error
        assert sentence in error
