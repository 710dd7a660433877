"""The image in real engines: every role runs from it, and nothing is in it that need not be."""

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from packaging.requirements import Requirement
from tests.fleet.image.conftest import BuiltIn
from tests.fleet.runtimes.engines import TINY, make_tiny_image

from metertwin import __version__
from metertwin.cli.commands.image import cache_directory
from metertwin.core.ids import SiteId
from metertwin.fleet.image.build import SBOM_IN_IMAGE, build_image, find_image
from metertwin.fleet.image.errors import ImageInputError
from metertwin.fleet.image.inputs import ImageInputs, lock_file
from metertwin.fleet.runtimes.docker.runtime import DockerRuntime
from metertwin.fleet.runtimes.docker.wire import log_text
from metertwin.fleet.runtimes.errors import ImageMissingError
from metertwin.fleet.runtimes.port import Health, Phase
from metertwin.fleet.runtimes.spec import ContainerSpec, HealthCheck, Mount
from metertwin.fleet.site import SiteSettings, save_site

WITHIN_S = 60.0
HEARTBEAT = HealthCheck(("python3", "-S", "-m", "metertwin.cli.heartbeat"), every_s=0.5, start_s=30)
MEBIBYTE = 1024 * 1024


@pytest.fixture
async def runtime(image: BuiltIn) -> AsyncIterator[DockerRuntime]:
    runtime = await DockerRuntime.connect(image.socket)
    yield runtime
    for status in await runtime.containers({"io.metertwin.test": "image"}):
        await runtime.remove(status.name)
    await runtime.close()


async def said(runtime: DockerRuntime, image: BuiltIn, script: str) -> str:
    """Return what a Python script says inside, as the user and with the files of every role."""
    body: dict[str, Any] = {
        "Image": image.reference,
        "Entrypoint": ["python3", "-c", script],
        "HostConfig": {"NetworkMode": "none", "ReadonlyRootfs": True},
    }
    made = await runtime.client.ask("POST", "/containers/create", body=body)
    path = f"/containers/{made['Id']}"
    await runtime.client.ask("POST", f"{path}/start")
    await runtime.client.ask("POST", f"{path}/wait")
    log = await runtime.client.read("GET", f"{path}/logs", {"stdout": True, "stderr": True})
    await runtime.client.ask("DELETE", path, {"force": True})
    return log_text(log).strip()


def locked_here() -> list[tuple[str, str]]:
    """Return names and versions that the lock gives for this machine."""
    lines = re.findall(r"^[A-Za-z0-9][^\\\n]*", lock_file().read_text(), re.MULTILINE)
    wanted = [Requirement(line.strip()) for line in lines]
    return [
        (each.name.lower(), str(each.specifier).removeprefix("=="))
        for each in wanted
        if each.marker is None or each.marker.evaluate()
    ]


async def test_it_says_its_version_on_a_read_only_root(
    runtime: DockerRuntime, image: BuiltIn
) -> None:
    labels = {"io.metertwin.test": "image"}
    spec = ContainerSpec(
        name="mt-test-version", image=image.reference, argv=("--version",), labels=labels
    )
    await runtime.start(spec)
    async with asyncio.timeout(WITHIN_S):
        while (status := await runtime.status(spec.name)).phase is not Phase.EXITED:  # noqa: ASYNC110 - it has no event that it missed
            await asyncio.sleep(0.05)
    assert status.exit_code == 0
    assert await runtime.logs(spec.name) == f"metertwin {__version__}\n"


@contextlib.asynccontextmanager
async def bus_in(image: BuiltIn, runtime: DockerRuntime, state: Path) -> AsyncIterator[str]:
    """Run the role `bus` in a container until it is healthy, and give the container's name."""
    if os.getuid() != 0:
        pytest.skip("Only root can give a directory to the image's user.")
    save_site(state / "site.json", SiteSettings(1, SiteId("north"), "nats://127.0.0.1:4222", ()))
    for path in (state, state / "site.json"):
        os.chown(path, 10001, 10001)
    spec = ContainerSpec(
        name="mt-test-bus",
        image=image.reference,
        argv=("run", "bus", "--state", "/state"),
        labels={"io.metertwin.test": "image"},
        mounts=(Mount(str(state), "/state", is_read_only=False),),
        tmpfs=("/tmp",),
        health=HEARTBEAT,
    )
    await runtime.start(spec)
    await until_health(runtime, spec.name, Health.HEALTHY)
    try:
        yield spec.name
    finally:
        await runtime.remove(spec.name)


async def until_health(runtime: DockerRuntime, name: str, health: Health) -> None:
    async with asyncio.timeout(WITHIN_S):
        while (await runtime.status(name)).health is not health:  # noqa: ASYNC110 - polls an engine
            await asyncio.sleep(0.05)


async def test_the_bus_runs_healthy_in_it_and_ends_when_it_is_asked(
    runtime: DockerRuntime, image: BuiltIn, tmp_path: Path
) -> None:
    async with bus_in(image, runtime, tmp_path) as name:
        assert list((tmp_path / "bus").iterdir()), "its streams are where it was told"
        await runtime.stop(name)
        ended = await runtime.status(name)
        log = await runtime.logs(name)
        assert (ended.phase, ended.exit_code) == (Phase.EXITED, 0), log
        assert '"was_asked": true' in log


@pytest.mark.fault
async def test_a_role_that_hangs_becomes_unhealthy(
    image_in: Callable[[str], BuiltIn], tmp_path: Path
) -> None:
    image = image_in("docker")
    runtime = await DockerRuntime.connect(image.socket)
    async with bus_in(image, runtime, tmp_path) as name:
        pid = (await runtime.status(name)).pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        await until_health(runtime, name, Health.UNHEALTHY)
        os.kill(pid, signal.SIGCONT)
        await until_health(runtime, name, Health.HEALTHY)
    await runtime.close()


async def test_every_role_can_be_imported_and_finds_its_libraries(
    runtime: DockerRuntime, image: BuiltIn
) -> None:
    roles = ("api", "bus", "gateway", "recorder", "simulate", "twin_host")
    imports = "; ".join(f"import metertwin.cli.roles.{role}" for role in roles)
    script = f"{imports}; from metertwin.bus.server import find_server; print(find_server())"
    assert await said(runtime, image, script) == "/opt/metertwin/bin/nats-server"


async def test_it_is_nobody_may_write_nothing_and_has_no_tools(
    runtime: DockerRuntime, image: BuiltIn
) -> None:
    script = """
import importlib.util, os, shutil
print(os.getuid(), os.getgid())
print([tool for tool in ("pip", "gcc", "cc", "make", "sh", "bash", "apt", "dpkg", "curl")
       if shutil.which(tool, path=os.defpath + ":" + os.environ["PATH"])])
packages = ("pip", "setuptools", "ensurepip", "test")
print([name for name in packages if importlib.util.find_spec(name)])
writable = [place for place, _, _ in os.walk("/") if os.access(place, os.W_OK)
            and not place.startswith(("/proc", "/dev", "/sys"))]
print(set(writable) - {"/run", "/tmp", "/var/tmp"})  # Podman mounts memory there
"""
    lines = (await said(runtime, image, script)).splitlines()
    assert lines == ["10001 10001", "[]", "[]", "set()"]


async def test_modules_are_compiled_beforehand(runtime: DockerRuntime, image: BuiltIn) -> None:
    script = """
import importlib.util, os
for name in ("json", "msgspec", "metertwin.cli.main", "standby_watch.app"):
    print(os.path.exists(importlib.util.find_spec(name).cached))
"""
    assert (await said(runtime, image, script)).split() == ["True"] * 4


async def test_an_added_package_brings_its_app(runtime: DockerRuntime, image: BuiltIn) -> None:
    script = """
from importlib.metadata import entry_points
print(sorted(point.name for point in entry_points(group="metertwin.apps")))
print(entry_points(group="metertwin.apps")["standby_watch"].load().__name__)
"""
    lines = (await said(runtime, image, script)).splitlines()
    assert lines == ["['standby_watch', 'tariff']", "StandbyWatch"]


async def test_its_bill_of_materials_lists_each_locked_package(
    runtime: DockerRuntime, image: BuiltIn
) -> None:
    bill = msgspec.json.decode(await said(runtime, image, f"print(open('{SBOM_IN_IMAGE}').read())"))
    assert bill == image.built.sbom
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    listed = {each.get("purl") for each in bill["components"]}
    locked = {f"pkg:pypi/{name}@{version}" for name, version in locked_here()}
    assert len(locked) > 30
    assert not locked - listed
    assert "pkg:pypi/standby-watch@1.0.0" in listed
    assert any(str(purl).startswith("pkg:generic/cpython@") for purl in listed)


async def test_its_size_is_known_part_by_part(image: BuiltIn) -> None:
    parts = {part.name: part.size_bytes for part in image.built.image.parts}
    assert {"duckdb", "numpy", "pyarrow", "python"} <= parts.keys()
    assert sum(parts.values()) == pytest.approx(image.built.image.size_bytes, rel=0.1)
    assert image.built.image.size_bytes < 420 * MEBIBYTE


async def test_a_build_of_the_same_inputs_only_tags(
    runtime: DockerRuntime, image: BuiltIn, standby_watch_wheel: Path
) -> None:
    inputs = ImageInputs("metertwin-test:2", added=(str(standby_watch_wheel),))
    again = await build_image(runtime, inputs, cache_directory())
    assert again.was_there
    assert again.image.id == image.built.image.id
    await runtime.remove_image("metertwin-test:2")


async def test_an_image_can_be_built_on_a_given_base(
    image_in: Callable[[str], BuiltIn],
) -> None:
    image = image_in("docker")
    runtime = await DockerRuntime.connect(image.socket)
    inputs = ImageInputs("metertwin-test:3", base=image.reference)
    built = await build_image(runtime, inputs, cache_directory())
    assert f"base {image.reference}" in {part.name for part in built.image.parts}
    assert {"type": "container", "name": image.reference} in built.sbom["components"]  # type: ignore[operator]  # JSON
    await runtime.close()


async def test_a_base_without_python_is_refused(
    runtime: DockerRuntime, image: BuiltIn, tmp_path: Path
) -> None:
    await make_tiny_image(image.socket, tmp_path)
    with pytest.raises(ImageMissingError, match="no image metertwin-test-none:1"):
        await find_image(runtime, "metertwin-test-none:1")
    with pytest.raises(ImageInputError, match=f"Base {TINY} has no python3 that runs"):
        await build_image(runtime, ImageInputs("metertwin-test:4", base=TINY), cache_directory())
