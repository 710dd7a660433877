"""A site set up from a list of meters: founded, started, struck by a power cut, ended, started."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.cli.terminal import Terminal

from metertwin.bus.server import free_port
from metertwin.meters.registry import load_registry, save_registry

TARIFF = Path("examples/tariffs/household-tou.yaml").resolve()
METERS_COUNT = 3
SHARE_TWINS_COUNT = 2
TWINS_COUNT = METERS_COUNT + 1  # the transformer has a meter as well


@pytest.fixture
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A list of meters that answer, as somebody in the field writes it."""
    command = [sys.executable, "-m", "metertwin.cli", "simulate", "--security", "high", "--json"]
    command += ["--meters", str(METERS_COUNT), "--port", "0"]
    file = tmp_path_factory.mktemp("field") / "meters.json"
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        text = ""
        while not text.endswith("\n}\n"):
            text += child.stdout.readline()
        file.touch(0o600)
        file.write_text(text)
        yield file
        child.send_signal(signal.SIGTERM)


async def refused(here: Terminal, *arguments: str) -> str:
    code, _, error = await here.run(*arguments)
    assert (code, "Traceback" in error) == (1, False), error
    return " ".join(error.split())


def of_site(state: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if any(str(state) in word for word in process.cmdline()):
                found.append(process)
    return found


async def until_in_step(here: Terminal, twins_count: int) -> None:
    async with asyncio.timeout(60):
        while (await here.json("twins", "--status", "in_step"))["total"] < twins_count:
            pass


@pytest.mark.fault
async def test_it_is_set_up_grows_and_lives_through_a_power_cut(
    registry: Path, tmp_path: Path
) -> None:
    first = tmp_path / "first.json"
    save_registry(first, load_registry(registry)[:SHARE_TWINS_COUNT])
    here = Terminal(tmp_path / "station")
    ports = ("--port", str(free_port()), "--bus-port", str(free_port()))
    wishes = ("--name", "station-12", "--poll", "2", "--tariff", str(TARIFF), *ports)
    cut = ("--twins-per-container", str(SHARE_TWINS_COUNT))
    made = await here.json("site", "init", str(first), *wishes, *cut)
    assert made["groups"] == {"feeder-1": SHARE_TWINS_COUNT}
    assert "has a site already" in await refused(here, "site", "init", str(registry))
    try:
        report = await here.json("site", "start", "--runtime", "process")
        assert report["is_up"]
        await until_in_step(here, SHARE_TWINS_COUNT)
        before = (await here.json("ledger"))["total"]
        began = {process.pid for process in of_site(tmp_path)}

        assert (await here.json("site", "start"))["is_up"]  # nothing to do
        assert {process.pid for process in of_site(tmp_path)} == began
        sentence = await refused(here, "site", "start", "--image", "metertwin:other")
        assert "runs in process from metertwin:0.1.0" in sentence

        for process in of_site(tmp_path):
            with contextlib.suppress(psutil.NoSuchProcess):
                os.kill(process.pid, signal.SIGKILL)
        assert (await here.json("site", "start"))["is_up"]
        await until_in_step(here, SHARE_TWINS_COUNT)
        change = await here.json("site", "meters", str(registry))
        assert (len(change["new"]), change["gone"]) == (TWINS_COUNT - SHARE_TWINS_COUNT, [])
        assert (await here.json("site", "stop"))["ended"][1] == "bus"
        assert not of_site(tmp_path)

        assert (await here.json("site", "start"))["is_up"]
        await until_in_step(here, TWINS_COUNT)
        async with asyncio.timeout(30):
            while not (after := (await here.json("ledger"))["total"])["balanced"]:
                pass
        assert after["received"] > before["received"] > 0
        shares = (await here.json("status"))["groups"]
        assert {each["group"]: each["apps"] for each in shares} == {
            "feeder-1/1": ["tariff 1.0.0 (running)"],
            "feeder-1/2": ["tariff 1.0.0 (running)"],
        }
    finally:
        await here.run("site", "stop")
    assert (await here.json("site", "stop"))["ended"] == []


@pytest.mark.fault
async def test_it_joins_a_cloud_on_another_machine_and_its_twins_move_there(
    registry: Path, tmp_path: Path
) -> None:
    edge, cloud = Terminal(tmp_path / "station"), Terminal(tmp_path / "cloud")
    edge_ports = ("--port", str(free_port()), "--bus-port", str(free_port()))
    await edge.json(
        "site", "init", str(registry), "--name", "station-12", "--poll", "2", *edge_ports
    )
    ports = ("--port", str(free_port()), "--bus-port", str(free_port()))
    links = ("--edge-port", str(free_port()), "--listen", "127.0.0.1")
    await cloud.json("site", "cloud", "127.0.0.1", *ports, *links)
    ticket = tmp_path / "ticket.json"
    settings = str(tmp_path / "station" / "site.json")
    try:
        await edge.json("site", "start", "--runtime", "process")
        await until_in_step(edge, TWINS_COUNT)
        alone = (await edge.json("ledger"))["total"]
        await cloud.json("site", "admit", settings, "--ticket", str(ticket))
        assert ticket.stat().st_mode & 0o777 == 0o600
        assert "end it first" in await refused(edge, "site", "join", str(ticket))
        await edge.json("site", "stop")
        joined = await edge.json("site", "join", str(ticket))
        assert joined["url"].startswith("nats-leaf://127.0.0.1:")
        await cloud.json("site", "start", "--runtime", "process")  # its edge is not there yet
        await edge.json("site", "start")
        await until_in_step(cloud, TWINS_COUNT)

        (move,) = await cloud.json("migrate", "feeder-1", "--to", "cloud")
        assert (move["source"], move["target"]) == ("station-12", "cloud")
        standing = await cloud.json("status")
        # A cloud's host stays where all edges are elsewhere, though it knows no group of its own.
        assert (standing["elsewhere"], standing["lacking"]) == (["station-12"], [])
        await until_in_step(edge, TWINS_COUNT)
        await cloud.json("migrate", "feeder-1", "--to", "station-12")
        async with asyncio.timeout(30):
            while not (after := (await cloud.json("ledger"))["total"])["balanced"]:
                pass
        assert after["received"] > alone["received"] > 0
    finally:
        await edge.run("site", "stop")
        await cloud.run("site", "stop")
    assert not of_site(tmp_path)


async def test_where_nothing_was_set_up_it_says_what_to_do(tmp_path: Path) -> None:
    here, file = Terminal(tmp_path / "station"), tmp_path / "meters.json"
    assert "cannot be read" in await refused(here, "site", "init", str(file))
    for command in ("start", "stop"):
        assert "metertwin site init" in await refused(here, "site", command)
    assert not (tmp_path / "station").exists()
