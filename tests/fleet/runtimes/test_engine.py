"""What only engines need to be asked: that they go away, and which one is chosen."""

import asyncio
import contextlib
from pathlib import Path

import pytest
from tests.fleet.runtimes.engines import SHELL, TINY

from metertwin.fleet.runtimes.choose import RuntimeChoice, choose_runtime, find_engine
from metertwin.fleet.runtimes.docker.runtime import DockerRuntime
from metertwin.fleet.runtimes.docker.wire import creation_of
from metertwin.fleet.runtimes.errors import (
    ContainerStartError,
    EngineRefusedError,
    EngineUnavailableError,
    SpecError,
)
from metertwin.fleet.runtimes.spec import ContainerSpec

WITHIN_S = 15.0
_SAID = b'{"message": "read /proc/12899/cgroup: no such process"}'
ENDED_WHILE_PODMAN_LOOKED = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_SAID), _SAID)
)


class Door:
    """A socket before a real engine's, which can be closed in the middle of a conversation.

    Looks at containers are answered with a failure of the engine `failures` times.
    """

    def __init__(self, engine: Path, path: Path) -> None:
        self.path = path
        self.failures = 0
        self._engine = engine
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._pass_on, self.path)

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        self.path.unlink(missing_ok=True)
        for writer in self._writers:
            writer.close()

    async def _pass_on(self, here: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self._writers.append(back)
        there, to = await asyncio.open_unix_connection(self._engine)
        self._writers.append(to)
        if back.is_closing():
            to.close()
        await asyncio.gather(self._ask(here, to, back), _copy(there, back))

    async def _ask(
        self, here: asyncio.StreamReader, to: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await here.read(65536):
                if self.failures and b"/containers/" in piece:
                    self.failures -= 1
                    back.write(ENDED_WHILE_PODMAN_LOOKED)
                else:
                    to.write(piece)
        to.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65536):
            writer.write(piece)
    writer.close()


@pytest.mark.fault
async def test_an_engine_that_goes_away_is_told_in_one_sentence(
    engine_socket: Path, tmp_path: Path
) -> None:
    door = Door(engine_socket, tmp_path / "engine.sock")
    await door.open()
    runtime = await DockerRuntime.connect(door.path)
    events = asyncio.ensure_future(anext(runtime.events()))
    assert (await runtime.facts()).has_networks
    await runtime.containers({})
    await door.close()
    for ask in (runtime.status("a"), runtime.images(), events):
        with pytest.raises(EngineUnavailableError, match=r"engine at .*engine\.sock does not ans"):
            await ask
    await door.open()
    assert (await runtime.status("mt-test-none")).phase == "absent", "it came back"
    await runtime.close()
    await door.close()


@pytest.mark.fault
async def test_an_engine_that_fails_to_look_is_asked_again_and_told_when_it_goes_on_failing(
    engine_socket: Path, tmp_path: Path
) -> None:
    door = Door(engine_socket, tmp_path / "engine.sock")
    await door.open()
    runtime = await DockerRuntime.connect(door.path)
    door.failures = 3
    assert (await runtime.status("mt-test-none")).phase == "absent"
    assert door.failures == 0
    door.failures = 4
    with pytest.raises(EngineRefusedError, match=r"refused: read /proc/12899/cgroup: no such proc"):
        await runtime.status("mt-test-none")
    assert door.failures == 0, "it is not asked for ever"
    door.failures = 1
    with pytest.raises(EngineRefusedError, match="no such process"):
        await runtime.client.ask("POST", "/containers/mt-test-none/start")
    await runtime.close()
    await door.close()


async def test_an_internal_network_has_no_way_out(engine_socket: Path) -> None:
    runtime = await DockerRuntime.connect(engine_socket)
    await runtime.ensure_network("mt-test-internal", is_internal=True)
    made = await runtime._client.ask("GET", "/networks/mt-test-internal")
    assert made["Internal"]
    await runtime.remove_network("mt-test-internal")
    await runtime.close()


@pytest.mark.fault
async def test_a_container_whose_maker_died_before_its_second_network_is_made_anew(
    engine_socket: Path,
) -> None:
    runtime = await DockerRuntime.connect(engine_socket)
    networks = ("mt-test-one", "mt-test-two")
    for network in networks:
        await runtime.ensure_network(network)
    spec = ContainerSpec(
        name="mt-test-half",
        image=TINY,
        argv=(*SHELL, "ls /sys/class/net; echo end; sleep 60"),
        networks=networks,
    )
    body = creation_of(spec, splits_checks=False)
    await runtime.client.ask("POST", "/containers/create", {"name": spec.name}, body)
    try:
        await runtime.start(spec)
        async with asyncio.timeout(WITHIN_S):
            while "end" not in (log := await runtime.logs(spec.name)):  # noqa: ASYNC110 - a log
                await asyncio.sleep(0.02)
        assert log.split() == ["eth0", "eth1", "lo", "end"]
    finally:
        await runtime.remove(spec.name)
        for network in networks:
            await runtime.remove_network(network)
        await runtime.close()


async def test_a_network_that_is_not_there_leaves_no_container(engine_socket: Path) -> None:
    runtime = await DockerRuntime.connect(engine_socket)
    await runtime.ensure_network("mt-test-one")
    spec = ContainerSpec(
        name="mt-test-half", image=TINY, argv=(*SHELL, ""), networks=("mt-test-one", "mt-no-such")
    )
    with pytest.raises(ContainerStartError, match=r"half cannot be \w+: .*mt-no-such"):
        await runtime.start(spec)
    assert (await runtime.status(spec.name)).phase == "absent"
    await runtime.remove_network("mt-test-one")
    await runtime.close()


async def test_auto_takes_the_engine_that_is_named_and_says_so(
    engine_socket: Path, tmp_path: Path
) -> None:
    chosen = await choose_runtime(
        RuntimeChoice.AUTO, tmp_path, environment={"DOCKER_HOST": f"unix://{engine_socket}"}
    )
    facts = await chosen.runtime.facts()
    assert chosen.reason == (
        f"Containers run in {facts.kind.capitalize()} {facts.version}, which answers at "
        f"{engine_socket} (DOCKER_HOST)."
    )
    await chosen.runtime.close()


async def test_auto_takes_processes_where_no_engine_answers_and_says_why(tmp_path: Path) -> None:
    named = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    chosen = await choose_runtime(RuntimeChoice.AUTO, tmp_path / "p", environment=named)
    assert (await chosen.runtime.facts()).kind == "process"
    assert chosen.reason.startswith(
        "Containers are processes of this machine: No container engine answers at "
        f"{tmp_path}/none.sock (DOCKER_HOST). Start dockerd or"
    )
    await chosen.runtime.close()


async def test_an_engine_that_was_asked_for_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailableError, match=r"No container engine answers at /no/such"):
        await choose_runtime(RuntimeChoice.DOCKER, tmp_path, engine="unix:///no/such.sock")
    with pytest.raises(EngineUnavailableError, match="name its socket in DOCKER_HOST"):
        await choose_runtime(RuntimeChoice.AUTO, tmp_path, engine="/no/such.sock")


async def test_an_engine_on_another_machine_is_refused_with_the_way_to_reach_it() -> None:
    with pytest.raises(SpecError, match=r"'tcp://10\.0\.0\.1:2375' is not .*ssh -L"):
        await find_engine("tcp://10.0.0.1:2375")
