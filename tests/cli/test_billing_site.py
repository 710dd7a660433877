"""Bills from a running site: asked for, issued, exported, rehearsed."""

import asyncio
import csv
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from tests.cli.terminal import Terminal, running_site

from metertwin.cli.demo.plan import HOUSEHOLD_TARIFF
from metertwin.core.obis import Obis
from metertwin.exchange.green_button import read_green_button

PAST_DAYS = 62  # holds the whole of last month on any day
METER, GROUP = "m000001", "feeder-1"
ZONE = ZoneInfo("Europe/Berlin")


@pytest.fixture
async def terminal(tmp_path: Path) -> AsyncIterator[Terminal]:
    async with running_site(tmp_path / "site", meters_count=2, past_days=PAST_DAYS) as here:
        async with asyncio.timeout(90):
            while not await is_whole(here, METER):
                pass  # two months of profile are on their way
        yield here


async def is_whole(here: Terminal, meter: str) -> bool:
    """Say whether the month so far is known without a gap, up to the last hours."""
    code, out, _ = await here.run("request", meter, "bill_so_far", "--json")
    basis = json.loads(out)["basis"] if code == 0 else {"age_s": None}
    return basis["age_s"] is not None and basis["age_s"] < 7_200 and not basis["missing_count"]


def last_month() -> str:
    first = datetime.now(UTC).astimezone(ZONE).replace(day=1)
    return (first - timedelta(days=1)).strftime("%Y-%m")


async def issued(here: Terminal) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            answer: dict[str, Any] = await here.json(
                "request", METER, "bill", "-a", f"month={last_month()}"
            )
            if answer["is_issued"]:
                return answer


async def test_a_street_is_billed_explained_exported_and_rehearsed(
    terminal: Terminal, tmp_path: Path
) -> None:
    # The bill so far, as a customer reads it: every line has its reason, and the lines add up.
    code, shown, error = await terminal.run("request", METER, "bill_so_far")
    assert code == 0, error
    assert f"Bill of {METER} for the month from" in " ".join(shown.split())
    assert "VAT" in shown
    so_far = (await terminal.json("request", METER, "bill_so_far"))["bill"]
    assert sum(Decimal(line["amount"]) for line in so_far["lines"]) == Decimal(so_far["total"])
    assert all(line["because"] for line in so_far["lines"])

    # Last month was issued by itself; the group's bill says the same, in files.
    answer = await issued(terminal)
    bill = answer["bill"]
    assert bill["is_final"]
    assert bill["missing_count"] == bill["estimated_count"] == 0
    assert answer["revisions"][-1]["total"] == bill["total"]
    out = tmp_path / "bills"
    code, shown, error = await terminal.run(
        "bill", "--group", GROUP, "--month", last_month(), "--out", str(out)
    )
    assert code == 0, error
    assert json.loads((out / f"{METER}-{last_month()}.json").read_text()) == bill
    rows = csv.DictReader((out / f"summary-{last_month()}.csv").read_text().splitlines())
    assert {row["meter"]: row["total"] for row in rows}[METER] == bill["total"]
    outputs = (await terminal.json("outputs", METER, "--app", "tariff"))["outputs"]
    assert bill["total"] in {output["value"]["total"] for output in outputs}

    # What a customer asks.
    hours = await terminal.json("request", METER, "cheapest_hours", "-a", "hours=2")
    assert Decimal(hours["saving_dearest_per_kwh"]) > 0
    code, shown, error = await terminal.run("request", METER, "usage_breakdown", *days_of(bill))
    assert code == 0, error
    assert "peak" in shown

    await check_export(terminal, tmp_path, bill)
    await check_rehearsal(terminal, tmp_path, bill)
    await check_refusals(terminal)


def days_of(bill: dict[str, Any]) -> list[str]:
    arguments = {"start": bill["month"], "end": bill["month"][:8] + "07", "by": "period"}
    return [part for name, value in arguments.items() for part in ("-a", f"{name}={value}")]


async def check_export(terminal: Terminal, tmp_path: Path, bill: dict[str, Any]) -> None:
    """The month as a Green Button file: its energies and its bill are those of the twin."""
    out = tmp_path / "usage.xml"
    span = ("--from", bill["start"], "--to", bill["end"])
    export = ("usage", "export", METER, *span, "--zone", str(ZONE), "--bills", "--out", str(out))
    code, _, error = await terminal.run(*export)
    assert code == 0, error
    file = read_green_button(out.read_bytes())
    drawn = next(series for series in file.series if series.register.obis == Obis(1, 0, 1, 8, 0))
    assert int(drawn.intervals.gain.sum()) == Decimal(bill["import_kwh"]) * 1000
    told = [(each.last_total, each.start, each.end) for each in file.bills]
    moments = [datetime.fromisoformat(bill[name]) for name in ("start", "end")]
    assert told == [(Decimal(bill["total"]), *moments)]


async def check_rehearsal(terminal: Terminal, tmp_path: Path, bill: dict[str, Any]) -> None:
    """A dearer basic charge changes the month's bill, and the rehearsal says so beforehand."""
    dearer = tmp_path / "dearer.yaml"
    text = HOUSEHOLD_TARIFF.read_text().replace("amount: 0.32", "amount: 0.42")
    dearer.write_text(yaml.safe_dump({"tariffs": [text], "default": "household-tou"}))
    start = (datetime.now(UTC) - timedelta(days=PAST_DAYS)).strftime("%Y-%m-%d")
    told = await terminal.json(
        "rehearse", GROUP, "tariff", "--config", str(dearer), "--start", start
    )
    month_start = bill["month"]
    totals = {
        (change["meter"], change["after"]["month"]): (
            Decimal(change["before"]["total"]),
            Decimal(change["after"]["total"]),
        )
        for change in told["changed_outputs"]
    }
    before, after = totals[METER, month_start]
    days = sum(Decimal(line["quantity"]) for line in bill["lines"] if line["kind"] == "fixed")
    # Ten cents a day more and the VAT of 19 % on it, each rounded for itself.
    assert abs((after - before) - days * Decimal("0.10") * Decimal("1.19")) <= Decimal("0.01")


async def check_refusals(terminal: Terminal) -> None:
    for arguments, sentence in (
        (("request", METER, "bill", "-a", "month=2026-13"), "Month 2026-13"),
        (("request", METER, "bill", "-a", "moon=1"), "moon"),
        (("bill", "--group", "nowhere", "--month", "2026-03"), "nowhere"),
        (("rehearse", GROUP, "nothing"), "No app 'nothing' is at work for group feeder-1"),
    ):
        code, _, error = await terminal.run(*arguments)
        assert code == 1
        assert sentence in error
        assert error.count("\n") == 1
