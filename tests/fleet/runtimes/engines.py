"""Real engines for tests, and a tiny image in them."""

import os
import shutil
from pathlib import Path

import pytest

from metertwin.core.errors import UnavailableError
from metertwin.fleet.image.engine_build import build_in_engine
from metertwin.fleet.runtimes.docker.client import EngineClient, engine_socket

TINY = "metertwin-test-tiny:1"
BUSYBOX = "/bin/busybox"
SHELL = (BUSYBOX, "sh", "-c")
_SOCKETS = {
    "docker": ("METERTWIN_TEST_DOCKER", "unix:///var/run/docker.sock"),
    "podman": ("METERTWIN_TEST_PODMAN", "unix:///run/podman/podman.sock"),
}


def lacking(reason: str) -> None:
    """Skip what cannot be tested here; in CI that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} CI must have it; see .ci/run.")
    pytest.skip(reason)


async def socket_of(kind: str) -> Path:
    """Return the socket of an engine that answers."""
    variable, usual = _SOCKETS[kind]
    socket = engine_socket(os.environ.get(variable, usual))
    client = EngineClient(socket)
    try:
        await client.connect()
        assert client.is_podman == (kind == "podman"), f"{socket} is not {kind}'s"
    except UnavailableError as error:
        lacking(f"No {kind}: {error} Name another socket in {variable}.")
    finally:
        await client.close()
    return socket


async def make_tiny_image(socket: Path, directory: Path) -> None:
    """Build an image of busybox and nothing else."""
    try:
        shutil.copy(BUSYBOX, directory / "busybox")
    except FileNotFoundError:
        lacking(f"No {BUSYBOX}: install busybox-static.")
    containerfile = directory / "Containerfile"
    containerfile.write_text(f"FROM scratch\nCOPY busybox {BUSYBOX}\n")
    client = EngineClient(socket)
    try:
        context = {"Containerfile": containerfile, "busybox": directory / "busybox"}
        await build_in_engine(client, context, TINY, {})
    finally:
        await client.close()
