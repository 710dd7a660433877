# ruff: noqa: ANN401 - conftest's Site cannot be imported under importlib mode
"""Commands over HTTP: accepted now, effected later, once."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from metertwin.api.answers import CommandRecord
from metertwin.api.commands import CommandBook
from metertwin.bus.messages import encode
from metertwin.core.command import CommandOutcome, CommandStatus
from metertwin.core.ids import CommandId, MeterId

NOW = datetime(2026, 3, 29, 12, 0, tzinfo=UTC)
PATH = "/v1/twins/m-00001/commands"


def outcome(command: str, status: CommandStatus) -> CommandOutcome:
    return CommandOutcome(CommandId(command), MeterId("m-00001"), status, NOW, "seen")


async def give(site: Any, key: str, kind: str = "disconnect", **fields: Any) -> Any:
    headers = {"idempotency-key": key}
    return await site.http.post(PATH, json={"kind": kind, **fields}, headers=headers)


async def test_an_accepted_command_says_where_its_second_answer_will_be(site: Any) -> None:
    answer = await give(site, "key-1", "set_limit", arguments={"limit_w": 3000}, expires_in_s=30)
    assert answer.status_code == 202
    assert answer.headers["location"] == "/v1/commands/key-1"
    record = answer.json()
    assert record["accepted"] == {"status": "accepted", "at": "2026-03-29T12:00:00Z", "reason": ""}
    assert record["effected"] is None
    # Issued at 12:00:00 of the site's clock, which runs at 1 s a second, and 30 s of life.
    assert record["expires_at"] == "2026-03-29T12:00:30Z"


async def test_expiry_counts_this_machines_seconds_however_fast_the_meters_live(site: Any) -> None:
    site.clock.speed_ratio = 60.0
    record = (await give(site, "key-2", expires_in_s=10)).json()
    assert record["expires_at"] == "2026-03-29T12:10:00Z"  # 10 s x 60


async def test_without_a_key_each_command_is_another_one(site: Any) -> None:
    first = await site.http.post(PATH, json={"kind": "reconnect"})
    second = await site.http.post(PATH, json={"kind": "reconnect"})
    assert first.json()["id"] != second.json()["id"]


async def test_one_key_is_one_command_and_another_under_it_a_conflict(site: Any) -> None:
    assert (await give(site, "key-3")).status_code == 202
    assert (await give(site, "key-3")).status_code == 202
    assert len(site.hosts["g1"].commands) == 1
    other = await give(site, "key-3", "reconnect")
    assert (other.status_code, other.json()["code"]) == (409, "conflict")


async def test_a_refused_command_is_403_with_the_reason(site: Any) -> None:
    answer = await site.http.post("/v1/twins/m-00009/commands", json={"kind": "disconnect"})
    assert (answer.status_code, answer.json()["code"]) == (403, "refused.command")
    assert "The meter is protected." in answer.json()["detail"]


async def test_the_second_answer_is_waited_for_and_comes_from_the_bus(site: Any) -> None:
    await give(site, "key-4")
    waiting = asyncio.create_task(site.http.get("/v1/commands/key-4", params={"wait_s": 20}))
    effected = encode(outcome("key-4", CommandStatus.EFFECTED))
    await site.twin_host.nc.publish("mt.g1.outcome.m-00001", effected)
    record = (await waiting).json()
    assert record["effected"] == {
        "status": "effected",
        "at": "2026-03-29T12:00:00Z",
        "reason": "seen",
    }


async def test_a_command_of_before_comes_from_the_audit_with_both_answers(site: Any) -> None:
    record = (await site.http.get("/v1/commands/old-command")).json()
    assert record["kind"] == "reconnect"
    assert record["accepted"]["at"] == "2026-03-29T12:00:00Z"
    assert record["effected"]["at"] == "2026-03-29T12:00:00.000001Z"


async def test_a_command_nobody_heard_of_is_404_or_503_when_the_audit_is_silent(site: Any) -> None:
    unknown = await site.http.get("/v1/commands/never-given")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found.command")
    await site.services[2].stop()
    silent = await site.http.get("/v1/commands/never-given")
    assert (silent.status_code, silent.json()["code"]) == (503, "unavailable")


def test_the_book_keeps_the_first_of_two_answers_and_forgets_the_oldest_command() -> None:
    book = CommandBook(limit=2)
    book.note_outcome(outcome("a", CommandStatus.EFFECTED))
    late = book.note_outcome(outcome("a", CommandStatus.FAILED))
    assert late.effected is not None
    assert late.effected.status is CommandStatus.EFFECTED
    for command in ("b", "c"):
        book.note_command(CommandRecord(id=CommandId(command), meter=MeterId("m-00001")))
    assert book.find(CommandId("a")) is None
    assert book.find(CommandId("c")) is not None


async def test_one_who_gives_up_waiting_does_not_take_the_answer_from_another() -> None:
    book = CommandBook()
    patient = asyncio.create_task(book.wait_until_final(CommandId("a"), timeout_s=20))
    await book.wait_until_final(CommandId("a"), timeout_s=0.01)
    assert not patient.done()
    book.note_outcome(outcome("a", CommandStatus.ACCEPTED))
    book.note_outcome(outcome("a", CommandStatus.EFFECTED))
    async with asyncio.timeout(5):
        await patient
