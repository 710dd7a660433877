"""A cloud and two edges, in containers and as processes: a cut, moves and a rollout in one run."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.fleet.image.conftest import BuiltIn

from metertwin.bus.server import free_port

pytestmark = pytest.mark.fault


def demo(tmp_path: Path, *more: str, **environment: str) -> dict[str, Any]:
    """Run the demonstration with two edges and return its report."""
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "metertwin.cli", "demo", "--headless", "--edge", "2"]
    command += ["--meters", "6", "--past", "2", "--for", "20", "--port", str(free_port())]
    command += ["--state", str(tmp_path / "demo"), "--report", str(report), *more]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said: dict[str, Any] = json.loads(report.read_text())
    return said


def check(said: dict[str, Any]) -> None:
    readings, link = said["readings"], said["link"]
    assert readings["received"] == readings["applied"] == readings["stored"] > 0
    assert (readings["missing"], said["requests"]["failed"], said["restarts"]) == (0, 0, 0)
    # The edge went on while it was cut off, and all of it arrived afterwards.
    assert link["requests_at_edge"]["timed"] > 0
    assert link["requests_at_edge"]["failed"] == 0
    assert link["readings_behind"] > 0
    there, back = said["migration"]
    assert (there["source"], there["target"]) == (back["target"], back["source"])
    assert back["epoch"] > there["epoch"]
    assert [each["failed_requests"] for each in said["migration"]] == [0, 0]
    rollout = said["rollout"]
    assert (rollout["outcome"], rollout["failed_requests"]) == ("promoted", 0), rollout["reason"]


def test_processes_are_cut_moved_and_upgraded_without_a_loss(tmp_path: Path) -> None:
    check(demo(tmp_path))


@pytest.mark.parametrize("kind", ["docker", "podman"])
def test_containers_are_cut_moved_and_upgraded_without_a_loss(
    image_in: Callable[[str], BuiltIn], tmp_path: Path, kind: str
) -> None:
    built = image_in(kind)
    environment = {"DOCKER_HOST": f"unix://{built.socket}"}
    check(demo(tmp_path, "--runtime", "docker", "--image", built.reference, **environment))
