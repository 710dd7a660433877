"""The command line as a person meets it: help, misuse, errors in one sentence."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer

from metertwin.cli.commands.request import typed
from metertwin.cli.events_stream import parsed
from metertwin.cli.options import pairs
from metertwin.cli.service import hide_secrets
from metertwin.cli.tree import COMMANDS


def metertwin(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "metertwin.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_help_names_every_command_and_imports_none_of_them() -> None:
    lines = "import sys; from metertwin.cli.tree import app; app(['--help'], standalone_mode=False)"
    heavy = "print([m for m in ('httpx', 'nats', 'litestar', 'numpy') if m in sys.modules])"
    shown = subprocess.run(
        [sys.executable, "-c", f"{lines}; {heavy}"], capture_output=True, text=True, check=True
    )
    assert all(name in shown.stdout for name in COMMANDS)
    assert shown.stdout.strip().endswith("[]")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_says_the_same_in_both_places(name: str) -> None:
    module, summary = COMMANDS[name]
    assert callable(getattr(import_module(f"metertwin.cli.commands.{module}"), module))
    assert summary.endswith(".")


def test_misuse_ends_with_2_and_says_what_was_meant() -> None:
    ended = metertwin("histroy")
    assert ended.returncode == 2
    assert "'history'" in ended.stderr
    assert ended.stdout == ""


def test_a_site_that_is_not_there_is_one_sentence_and_1(tmp_path: Path) -> None:
    ended = metertwin("twins", "--state", str(tmp_path))
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"metertwin: No site file at {tmp_path}/site.json;")
    assert ended.stderr.count("\n") == 1
    assert "Traceback" not in ended.stderr


def test_a_role_without_a_site_says_so_too(tmp_path: Path) -> None:
    ended = metertwin("run", "api", "--state", str(tmp_path))
    assert ended.returncode == 1
    assert "No site file at" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_what_is_logged_while_a_command_runs_stays_out_of_its_answer() -> None:
    lines = "import sys; from metertwin.cli.tree import _load; _load('status'); import structlog"
    ended = subprocess.run(
        [sys.executable, "-c", f"{lines}; structlog.get_logger().warning('bus_lost')"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (ended.stdout, "bus_lost" in ended.stderr) == ("", True)


def test_pairs_are_names_with_values() -> None:
    assert pairs(["a=1", "b=x=y"], "NAME=VALUE") == {"a": "1", "b": "x=y"}
    for wrong, sentence in ((["a"], "'a' is not of the form"), (["a=1", "a=2"], "given twice")):
        with pytest.raises(typer.BadParameter, match=sentence):
            pairs(wrong, "NAME=VALUE")


def test_values_are_numbers_only_where_json_says_so() -> None:
    assert [typed(text) for text in ("3000", "1.5", "1.8.0", "null", "[1]", "01")] == [
        3000,
        1.5,
        "1.8.0",
        None,
        "[1]",
        "01",
    ]


def test_a_stream_is_read_frame_by_frame() -> None:
    lines = [": still here", "", "event: state", 'data: {"meter":"m"}', "", "event: x", ""]
    assert list(parsed(lines)) == [("state", {"meter": "m"})]


def test_logs_hide_what_sounds_like_a_secret() -> None:
    line = hide_secrets(None, "info", {"event": "x", "encryption_key": b"1", "Password": "2"})
    assert line == {"event": "x", "encryption_key": "(hidden)", "Password": "(hidden)"}


FAILING_ROLE = """
import asyncio, pathlib
from metertwin.cli.service import run_until_stopped
from metertwin.core.errors import ConflictError

async def fail():
    raise ConflictError("Another gateway has the group.")

async def role(state, stop):
    async with asyncio.TaskGroup() as outer, asyncio.TaskGroup() as inner:
        inner.create_task(fail())
        outer.create_task(asyncio.sleep(0))

try:
    run_until_stopped("gateway", role, pathlib.Path("."))
except ConflictError as error:
    print(error)
"""


def test_a_role_that_fails_in_a_group_of_tasks_says_why() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", FAILING_ROLE], capture_output=True, text=True, check=True
    )
    assert ended.stdout == "Another gateway has the group.\n"
    logged = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [line["event"] for line in logged] == ["role_started", "role_ended"]
    assert {line["role"] for line in logged} == {"gateway"}
