"""What only processes need to be asked: who ends with whom, and what cannot be enforced."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from tests.fleet.runtimes.engines import SHELL

from metertwin.fleet.runtimes.errors import SpecError
from metertwin.fleet.runtimes.port import EventKind, Phase, RuntimeEvent
from metertwin.fleet.runtimes.process.cgroups import control_groups
from metertwin.fleet.runtimes.process.directory import ContainerDirectory
from metertwin.fleet.runtimes.process.runtime import ProcessRuntime
from metertwin.fleet.runtimes.spec import ContainerSpec, Limits, Mount, PublishedPort

WITHIN_S = 15.0
FOR_EVER = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"
CONTROLLER = """
import asyncio, sys
from pathlib import Path
from metertwin.fleet.runtimes.process.runtime import ProcessRuntime
from metertwin.fleet.runtimes.spec import ContainerSpec

async def main():
    runtime = ProcessRuntime(Path(sys.argv[1]), is_tied=sys.argv[2] == "tied")
    await runtime.add_image("shell:1", ())
    await runtime.start(ContainerSpec(name="a", image="shell:1", argv=tuple(sys.argv[3:])))
    print("started", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[ProcessRuntime]:
    runtime = ProcessRuntime(tmp_path)
    await runtime.add_image("shell:1", ())
    yield runtime
    for status in await runtime.containers({}):
        await runtime.remove(status.name)
    await runtime.close()


def spec(script: str = FOR_EVER, **more: object) -> ContainerSpec:
    return ContainerSpec(name="a", image="shell:1", argv=(*SHELL, script), **more)  # type: ignore[arg-type]


async def controller(root: Path, tie: str) -> asyncio.subprocess.Process:
    """Start a controller that starts one container, and return when it has."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CONTROLLER, str(root), tie, *SHELL, FOR_EVER),
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    assert await child.stdout.readline() == b"started\n"
    return child


async def died(runtime: ProcessRuntime) -> RuntimeEvent:
    async with asyncio.timeout(WITHIN_S):
        async for event in runtime.events():
            if event.kind is EventKind.DIED:
                return event
    raise AssertionError("events end only with an error")


@pytest.mark.fault
async def test_a_container_outlives_a_controller_that_is_killed(
    runtime: ProcessRuntime, tmp_path: Path
) -> None:
    child = await controller(tmp_path, "free")
    before = await runtime.status("a")
    child.kill()
    await child.wait()
    assert (await runtime.start(spec())).pid == before.pid
    await runtime.stop("a")
    assert (await runtime.status("a")).exit_code == 7


@pytest.mark.fault
async def test_a_tied_container_ends_with_a_controller_that_is_killed(
    runtime: ProcessRuntime, tmp_path: Path
) -> None:
    child = await controller(tmp_path, "tied")
    watch = asyncio.create_task(died(runtime))
    await asyncio.sleep(0)
    child.kill()
    await child.wait()
    assert (await watch).exit_code == 7, "it was asked, not killed"


@pytest.mark.fault
async def test_a_container_dies_with_its_keeper_and_is_started_anew(
    runtime: ProcessRuntime, tmp_path: Path
) -> None:
    first = await runtime.start(spec())
    state = ContainerDirectory(tmp_path / "a").state()
    assert first.pid is not None
    assert state is not None
    program = psutil.Process(first.pid)
    os.kill(state.keeper_pid, signal.SIGKILL)
    await asyncio.to_thread(psutil.wait_procs, [program], WITHIN_S)
    assert not program.is_running()
    lost = await runtime.status("a")
    assert (lost.phase, lost.exit_code, lost.pid) == (Phase.EXITED, 137, None)
    assert (await runtime.start(spec())).phase is Phase.RUNNING


async def test_a_pid_that_became_another_processs_is_left_alone(
    runtime: ProcessRuntime, tmp_path: Path
) -> None:
    await runtime.start(spec())
    await runtime.stop("a")
    other = await asyncio.create_subprocess_exec("sleep", "60")
    state_file = tmp_path / "a" / "state.json"
    state = json.loads(state_file.read_text())
    state_file.write_text(
        json.dumps({**state, "phase": "running", "keeper_pid": other.pid, "pid": other.pid})
    )
    assert (await runtime.status("a")).phase is Phase.EXITED
    await runtime.kill("a")
    await runtime.remove("a")
    assert psutil.Process(other.pid).status() != psutil.STATUS_ZOMBIE, "it was not ours to end"
    other.kill()
    await other.wait()


async def test_what_a_program_started_ends_with_it(runtime: ProcessRuntime) -> None:
    watch = asyncio.create_task(died(runtime))
    await asyncio.sleep(0)
    await runtime.start(spec("sleep 60 & echo $!; exit 0"))
    await watch
    left = int(await runtime.logs("a"))
    assert not psutil.pid_exists(left) or psutil.Process(left).status() == psutil.STATUS_ZOMBIE


async def test_memory_is_watched_where_no_control_group_can_be_made(
    runtime: ProcessRuntime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(control_groups, "__defaults__", (tmp_path / "none",))
    limits = Limits(cpu_ratio=0.5, memory_bytes=64 * 1024 * 1024)
    watch = asyncio.create_task(died(runtime))
    await asyncio.sleep(0)
    grows = "x = []\nwhile True: x.append(bytearray(b'x') * 2**20); __import__('time').sleep(0.005)"
    limited = ContainerSpec(
        name="a", image="shell:1", argv=(sys.executable, "-c", grows), limits=limits
    )
    status = await runtime.start(limited)
    assert [said.split(" ")[0] for said in status.unenforced] == ["memory", "CPU", "files"]
    event = await watch
    assert (event.exit_code, event.was_out_of_memory) == (137, True)


async def test_what_a_process_cannot_have_is_refused_in_one_sentence(
    runtime: ProcessRuntime,
) -> None:
    with pytest.raises(SpecError, match=re.escape("source and target must be equal; port 80 c")):
        await runtime.start(
            spec(mounts=(Mount("/srv/a", "/state"),), ports=(PublishedPort(80, 8080),))
        )


def test_a_unified_tree_of_control_groups_is_used_where_it_may_be_written(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory")
    groups = control_groups("a", 0.5, 1 << 20, tmp_path)
    assert [Path(directory).name for directory in groups.directories] == ["a"]
    groups.make()
    assert (tmp_path / "metertwin" / "a" / "cpu.max").read_text() == "50000 100000"
    assert (tmp_path / "metertwin" / "a" / "memory.max").read_text() == str(1 << 20)
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu +memory"
