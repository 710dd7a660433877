"""The image, built once for each engine; a later run finds it by its inputs."""

import asyncio
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.fleet.runtimes.engines import socket_of

from metertwin.cli.commands.image import cache_directory
from metertwin.fleet.image.build import Built, build_image
from metertwin.fleet.image.inputs import ImageInputs
from metertwin.fleet.runtimes.docker.runtime import DockerRuntime

EXAMPLE = Path(__file__).parents[3] / "examples" / "standby_watch" / "src" / "standby_watch"


@dataclass
class BuiltIn:
    """An image, and the engine it is in."""

    socket: Path
    reference: str
    built: Built


@pytest.fixture(scope="session")
def standby_watch_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example app as a wheel, as somebody would ship it."""
    wheel = tmp_path_factory.mktemp("wheel") / "standby_watch-1.0.0-py3-none-any.whl"
    described = "standby_watch-1.0.0.dist-info"
    files = {f"standby_watch/{path.name}": path.read_text() for path in EXAMPLE.glob("*.py")}
    files[f"{described}/METADATA"] = "Metadata-Version: 2.1\nName: standby-watch\nVersion: 1.0.0\n"
    files[f"{described}/METADATA"] += "Requires-Dist: metertwin\nRequires-Dist: numpy>=2.2\n"
    files[f"{described}/WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{described}/entry_points.txt"] = (
        "[metertwin.apps]\nstandby_watch = standby_watch.app:StandbyWatch\n"
    )
    record = "".join(f"{name},,\n" for name in files)
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {**files, f"{described}/RECORD": record}.items():
            # A fixed time: the same wheel gives the same image in every run.
            archive.writestr(zipfile.ZipInfo(name), text)
    return wheel


@pytest.fixture(scope="session")
def image_in(standby_watch_wheel: Path) -> Callable[[str], BuiltIn]:
    """Build the image in an engine, with the example app in it."""
    made: dict[str, BuiltIn] = {}

    async def build(kind: str) -> BuiltIn:
        socket = await socket_of(kind)
        inputs = ImageInputs("metertwin-test:1", added=(str(standby_watch_wheel),))
        runtime = await DockerRuntime.connect(socket)
        try:
            built = await build_image(runtime, inputs, cache_directory())
        finally:
            await runtime.close()
        return BuiltIn(socket, inputs.tag, built)

    def image(kind: str) -> BuiltIn:
        if kind not in made:
            made[kind] = asyncio.run(build(kind))
        return made[kind]

    return image


@pytest.fixture(params=["docker", "podman"])
def image(request: pytest.FixtureRequest, image_in: Callable[[str], BuiltIn]) -> BuiltIn:
    return image_in(request.param)
