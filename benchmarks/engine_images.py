"""What the benchmarks of containers share: an engine, the image, and Python alone out of it."""

import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from metertwin.core.errors import MeterTwinError
from metertwin.fleet.image.engine_build import build_in_engine
from metertwin.fleet.local.containers import Containers
from metertwin.fleet.runtimes.choose import RuntimeChoice
from metertwin.fleet.runtimes.docker.runtime import DockerRuntime
from metertwin.fleet.runtimes.process.images import OWN_REFERENCE

PYTHON_IMAGE = f"metertwin-bench-python:{os.getpid()}"  # two runs at once do not meet

Row = dict[str, Any]


def image_argument() -> str:
    """Return the image that `--image REFERENCE` names, else this version's own."""
    return sys.argv[sys.argv.index("--image") + 1] if "--image" in sys.argv else OWN_REFERENCE


@contextlib.asynccontextmanager
async def engine(root: Path, networks: tuple[str, ...] = ()) -> AsyncIterator[Containers]:
    """Yield containers in the engine that answers, with an image whose entry point is Python.

    That image is MeterTwin's own in all its layers. Without an engine or the image the program
    ends with a sentence and prints no rows. At the end the containers and the networks are gone.
    """
    try:
        containers = await Containers.open(RuntimeChoice.DOCKER, root, image=image_argument())
    except MeterTwinError as error:
        sys.exit(f"{Path(sys.argv[0]).stem}: {error}")
    try:
        await _make_python_image(containers)
        yield containers
    finally:
        await containers.clear(networks)
        await containers.runtime.remove_image(PYTHON_IMAGE)
        await containers.close()


def docker_of(containers: Containers) -> DockerRuntime:
    """Return the runtime, which is an engine's."""
    assert isinstance(containers.runtime, DockerRuntime)
    return containers.runtime


async def _make_python_image(containers: Containers) -> None:
    with tempfile.TemporaryDirectory() as directory:
        containerfile = Path(directory) / "Containerfile"
        containerfile.write_text(f'FROM {containers.image}\nENTRYPOINT ["python3"]\n')
        context = {"Containerfile": containerfile}
        await build_in_engine(docker_of(containers).client, context, PYTHON_IMAGE, {})


def row(name: str, goal: float, figure: float, unit: str, *, is_most: bool = True) -> Row:
    """Return one figure with its goal; `ratio` is figure by goal."""
    is_ok = figure <= goal if is_most else figure >= goal
    return {
        "name": name,
        "goal": goal,
        "figure": figure,
        "unit": unit,
        "ratio": figure / goal,
        "ok": is_ok,
    }
