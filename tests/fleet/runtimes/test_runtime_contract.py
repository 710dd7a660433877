"""What the fleet may rely on, whatever runs its containers."""

import asyncio
import re
import time

import msgspec
import pytest
from tests.fleet.runtimes.conftest import LABEL, WITHIN_S, Bench
from tests.fleet.runtimes.engines import SHELL, TINY, lacking

from metertwin.bus.server import free_port
from metertwin.core.errors import ConflictError, NotFoundError
from metertwin.fleet.runtimes.errors import (
    ContainerMissingError,
    ContainerStartError,
    EngineRefusedError,
    ImageMissingError,
    SpecError,
)
from metertwin.fleet.runtimes.port import EventKind, Health, Phase
from metertwin.fleet.runtimes.spec import (
    HealthCheck,
    Limits,
    Mount,
    PublishedPort,
    Restart,
    RestartKind,
)

FOR_EVER = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"
MEBIBYTE = 1024 * 1024


async def test_a_container_described_twice_is_started_once(bench: Bench) -> None:
    first = await bench.start(FOR_EVER)
    again = await bench.start(FOR_EVER)
    assert (first.phase, first.exit_code, first.restart_count) == (Phase.RUNNING, None, 0)
    assert first.pid is not None
    assert (again.pid, again.started_at) == (first.pid, first.started_at)
    assert first.spec_digest == bench.spec(FOR_EVER).digest
    assert first.image == TINY
    (image,) = [image for image in await bench.runtime.images() if TINY in image.references]
    assert first.image_id == image.id


async def test_another_description_under_the_name_is_a_conflict_or_replaces(bench: Bench) -> None:
    first = await bench.start(FOR_EVER)
    other = bench.spec(FOR_EVER, environment={"COLOUR": "red"})
    with pytest.raises(ConflictError, match="another description; remove it first, or"):
        await bench.runtime.start(other)
    assert (await bench.runtime.status(first.name)).pid == first.pid
    replaced = await bench.runtime.start(other, replace=True)
    assert replaced.pid not in (None, first.pid)
    assert replaced.spec_digest == other.digest


async def test_a_container_that_ended_is_started_again_by_its_own_description(bench: Bench) -> None:
    await bench.start("echo once")
    await bench.event(EventKind.DIED)
    ended = await bench.until(lambda status: status.phase is Phase.EXITED)
    assert (ended.exit_code, ended.restart_count, ended.pid) == (0, 0, None)
    await bench.start("echo once")
    await bench.event(EventKind.DIED, count=2)


async def test_an_absent_container_is_absent(bench: Bench) -> None:
    assert (await bench.runtime.status("mt-test-none")).phase is Phase.ABSENT
    await bench.runtime.remove("mt-test-none")
    for ask in (bench.runtime.stop, bench.runtime.kill, bench.runtime.logs, bench.runtime.usage):
        with pytest.raises(ContainerMissingError, match="no container mt-test-none"):
            await ask("mt-test-none")


async def test_an_image_that_is_not_here_is_not_fetched(bench: Bench) -> None:
    spec = msgspec.structs.replace(bench.spec(FOR_EVER), image="metertwin-test-none:9")
    with pytest.raises(ImageMissingError, match=r"no image metertwin-test-none:9 in .*none is fet"):
        await bench.runtime.start(spec)
    assert (await bench.runtime.status(spec.name)).phase is Phase.ABSENT


async def test_a_program_that_does_not_exist_leaves_nothing(bench: Bench) -> None:
    spec = msgspec.structs.replace(bench.spec(""), argv=("/no/such/program",))
    with pytest.raises(ContainerStartError, match=r"cannot be started.*/no/such/program"):
        await bench.runtime.start(spec)
    assert (await bench.runtime.status(spec.name)).phase is Phase.ABSENT


async def test_all_mistakes_in_a_description_are_told_at_once(bench: Bench) -> None:
    spec = bench.spec(
        "",
        labels={"io.metertwin.runtime.digest": "mine"},
        limits=Limits(cpu_ratio=0.0, memory_bytes=1),
        mounts=(Mount("relative", "relative"),),
        ports=(PublishedPort(0, 0),),
        user="root",
    )
    with pytest.raises(SpecError) as caught:
        await bench.runtime.start(spec)
    problems = caught.value.facts["problems"]
    assert isinstance(problems, list)
    assert len(problems) == 7


async def test_a_failure_is_tried_again_as_often_as_said(bench: Bench) -> None:
    await bench.start("exit 5", restart=Restart(RestartKind.ON_FAILURE, 2))
    died = await bench.event(EventKind.DIED, count=3)
    status = await bench.until(lambda status: status.phase is Phase.EXITED)
    assert (died.exit_code, status.exit_code, status.restart_count) == (5, 5, 2)


async def test_a_success_is_not_a_failure(bench: Bench) -> None:
    await bench.start("exit 0", restart=Restart(RestartKind.ON_FAILURE, 2))
    await bench.event(EventKind.DIED)
    status = await bench.until(lambda status: status.phase is Phase.EXITED)
    assert (status.exit_code, status.restart_count) == (0, 0)


async def test_a_crash_loop_goes_on_until_it_is_stopped(bench: Bench) -> None:
    await bench.start("exit 1", restart=Restart(RestartKind.ALWAYS))
    await bench.event(EventKind.STARTED, count=3)
    await bench.until(lambda status: status.restart_count >= 2)
    name = bench.spec("").name
    await bench.runtime.stop(name)
    stopped = await bench.until(lambda status: status.phase is Phase.EXITED)
    await asyncio.sleep(0.5)  # longer than its next pause would have been
    assert (await bench.runtime.status(name)).restart_count == stopped.restart_count


async def test_who_takes_more_memory_than_its_limit_is_ended_and_it_is_told(bench: Bench) -> None:
    hungry = "x=0123456789; while :; do x=$x$x; done"
    await bench.start(hungry, limits=Limits(memory_bytes=16 * MEBIBYTE))
    died = await bench.event(EventKind.DIED)
    status = await bench.until(lambda status: status.phase is Phase.EXITED)
    assert (died.exit_code, died.was_out_of_memory) == (137, True)
    assert (status.exit_code, status.was_out_of_memory) == (137, True)


async def test_it_is_still_told_once_it_was_started_again(bench: Bench) -> None:
    hungry = "sleep 0.5; x=0123456789; while :; do x=$x$x; done"
    limits = Limits(memory_bytes=16 * MEBIBYTE)
    await bench.start(hungry, limits=limits, restart=Restart(RestartKind.ALWAYS))
    again = await bench.until(lambda status: status.restart_count > 0 and status.pid is not None)
    # Podman forgets the exit code from which it is concluded there.
    assert (again.phase, again.was_out_of_memory) == (Phase.RUNNING, bench.kind != "podman")


async def test_a_container_has_its_share_of_the_processor(bench: Bench) -> None:
    status = await bench.start("while :; do :; done", limits=Limits(cpu_ratio=0.2))
    if any("CPU time is not limited" in said for said in status.unenforced):
        lacking("This user may make no control groups.")
    before, began_s = await bench.runtime.usage(status.name), time.monotonic()
    await asyncio.sleep(1.0)
    after, ended_s = await bench.runtime.usage(status.name), time.monotonic()
    # One period of 0.1 s may be in full at either end; unlimited it would be about 1.
    assert 0.02 < (after.cpu_s - before.cpu_s) / (ended_s - began_s) < 0.45
    assert after.memory_bytes > 0


async def test_what_it_says_can_be_read_running_and_ended(bench: Bench) -> None:
    await bench.start("echo one; echo two >&2; echo three; sleep 0.2; exit 3")
    log = await bench.said("three")
    assert sorted(log.split()) == ["one", "three", "two"]
    await bench.event(EventKind.DIED)
    name = bench.spec("").name
    assert len((await bench.runtime.logs(name, 2)).splitlines()) == 2


async def test_events_tell_what_happened_in_order(bench: Bench) -> None:
    await bench.start("exit 4", labels={"colour": "red"})
    started = await bench.event(EventKind.STARTED)
    died = await bench.event(EventKind.DIED)
    assert bench.began_at <= started.occurred_at <= died.occurred_at
    assert (died.exit_code, died.was_out_of_memory) == (4, False)
    assert died.labels["colour"] == "red"
    assert died.labels[LABEL] == bench.prefix


async def test_containers_reach_each_other_by_name_in_their_network(bench: Bench) -> None:
    port = free_port()
    network = f"{bench.prefix}-net"
    await bench.runtime.ensure_network(network)
    await bench.runtime.ensure_network(network)
    try:
        server = await bench.start(
            f"while :; do echo hello | nc -l -p {port}; done", "server", networks=(network,)
        )
        host = bench.runtime.host_of(server.name)
        await bench.start(
            f"until nc {host} {port} </dev/null; do sleep 0.05; done", "client", networks=(network,)
        )
        assert "hello" in await bench.said("hello", "client")
    finally:
        await bench.clear()
        await bench.runtime.remove_network(network)
    await bench.runtime.remove_network(network)


async def test_a_published_port_answers_on_the_loopback_interface(bench: Bench) -> None:
    port = free_port()
    serve = f"while :; do echo hello | nc -l -p {port}; done"
    await bench.start(serve, ports=(PublishedPort(port, port),))
    assert await _first_words(port) == b"hello\n"


async def _first_words(port: int) -> bytes:
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                words = await reader.read(100)
                writer.close()
            except ConnectionError:
                words = b""
            if words:
                return words
            await asyncio.sleep(0.05)


async def test_health_follows_the_check(bench: Bench) -> None:
    check = HealthCheck((*SHELL, "test -e /tmp/$MARK"), every_s=0.3, retries_count=2)
    script = "touch /tmp/$MARK; sleep 1; rm /tmp/$MARK; while :; do sleep 1; done"
    mark = {"MARK": f"{bench.prefix}-well"}
    started = await bench.start(script, health=check, environment=mark, tmpfs=("/tmp",))
    assert started.health is Health.STARTING
    assert (await bench.event(EventKind.HEALTH)).health is Health.HEALTHY
    assert (await bench.event(EventKind.HEALTH, count=2)).health is Health.UNHEALTHY
    assert (await bench.runtime.status(started.name)).health is Health.UNHEALTHY


async def test_no_check_is_no_health(bench: Bench) -> None:
    assert (await bench.start(FOR_EVER)).health is Health.NONE


async def test_who_is_asked_to_end_may_end_in_its_own_way(bench: Bench) -> None:
    status = await bench.start(FOR_EVER, restart=Restart(RestartKind.ALWAYS))
    await bench.said("ready")
    await bench.runtime.stop(status.name)
    ended = await bench.runtime.status(status.name)
    assert (ended.phase, ended.exit_code, ended.was_out_of_memory) == (Phase.EXITED, 7, False)
    await bench.runtime.stop(status.name)


async def test_who_does_not_end_in_time_is_ended(bench: Bench) -> None:
    status = await bench.start("trap '' TERM; echo ready; while :; do sleep 0.05; done")
    await bench.said("ready")
    began_s = time.monotonic()
    await bench.runtime.stop(status.name, grace_s=1.0)
    assert 0.9 < time.monotonic() - began_s < 5.0
    ended = await bench.runtime.status(status.name)
    assert (ended.phase, ended.exit_code) == (Phase.EXITED, 137)


async def test_a_killed_container_is_not_started_again(bench: Bench) -> None:
    limits = Limits(memory_bytes=64 * MEBIBYTE)
    status = await bench.start(FOR_EVER, restart=Restart(RestartKind.ALWAYS), limits=limits)
    await bench.runtime.kill(status.name)
    ended = await bench.until(lambda status: status.phase is not Phase.RUNNING)
    assert (ended.phase, ended.restart_count) == (Phase.EXITED, 0)
    assert not ended.was_out_of_memory


async def test_containers_are_found_by_their_labels(bench: Bench) -> None:
    await bench.start(FOR_EVER, "a", labels={"role": "gateway", "site": "north"})
    await bench.start("exit 0", "b", labels={"role": "gateway", "site": "south"})
    mine = {LABEL: bench.prefix}

    async def names(labels: dict[str, str]) -> list[str]:
        found = await bench.runtime.containers({**mine, **labels})
        return [status.name.removeprefix(f"{bench.prefix}-") for status in found]

    assert await names({}) == ["a", "b"]
    assert await names({"role": "gateway", "site": "south"}) == ["b"]
    assert await names({"role": "api"}) == []


async def test_a_controller_that_is_started_again_finds_its_containers(bench: Bench) -> None:
    first = await bench.start(FOR_EVER)
    await bench.runtime.close()
    bench.runtime = await bench.connect()
    (found,) = await bench.runtime.containers({LABEL: bench.prefix})
    assert (found.pid, found.spec_digest) == (first.pid, first.spec_digest)
    assert (await bench.start(FOR_EVER)).pid == first.pid
    await bench.runtime.stop(first.name)
    assert (await bench.runtime.status(first.name)).phase is Phase.EXITED


async def test_a_container_has_its_own_environment_only(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METERTWIN_TEST_SECRET", "hidden")
    await bench.start(
        "echo $COLOUR ${METERTWIN_TEST_SECRET-nothing}", environment={"COLOUR": "red = 1"}
    )
    assert await bench.said("red") == "red = 1 nothing\n"


async def test_a_container_runs_as_the_user_it_is_given(bench: Bench) -> None:
    await bench.start("echo user $(id -u) $(id -g)", user="10001:10002")
    assert await bench.said("user") == "user 10001 10002\n"


async def test_files_are_as_described(bench: Bench) -> None:
    facts = await bench.runtime.facts()
    status = await bench.start(
        "(echo x > /mark) 2>/dev/null || echo refused; echo y > /tmp/mark && echo written",
        tmpfs=("/tmp",),
        user="10001",
    )
    assert (await bench.said("written")).split() == ["refused", "written"]
    assert bool(status.unenforced) is not facts.has_own_files


async def test_images_have_references(bench: Bench) -> None:
    other = f"{bench.prefix}-image:2"
    await bench.runtime.tag(TINY, other)
    assert await bench.runtime.has_image(other)
    (image,) = [image for image in await bench.runtime.images() if TINY in image.references]
    assert other in image.references
    assert re.fullmatch("sha256:[0-9a-f]{64}", image.id)
    await bench.runtime.remove_image(other)
    await bench.runtime.remove_image(other)
    assert not await bench.runtime.has_image(other)
    assert await bench.runtime.has_image(TINY)
    with pytest.raises(NotFoundError, match="no image metertwin-test-none:1"):
        await bench.runtime.tag("metertwin-test-none:1", other)


async def test_an_image_in_use_is_kept(bench: Bench) -> None:
    await bench.start(FOR_EVER)
    with pytest.raises(EngineRefusedError, match=r"\bus(e|ed|es|ing)\b"):
        await bench.runtime.remove_image(TINY)
    assert await bench.runtime.has_image(TINY)
