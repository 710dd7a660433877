"""The base of an image, in the engine: of a Python of this machine, or given and looked at."""

import asyncio
import hashlib
import json
import platform
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from metertwin.fleet.image import system_base as system_base_module
from metertwin.fleet.image.composition import BASE_LABEL, size_bytes
from metertwin.fleet.image.engine_build import Say, build_in_engine
from metertwin.fleet.image.errors import ImageBuildError, ImageInputError
from metertwin.fleet.image.interpreter import Interpreter, find_interpreter
from metertwin.fleet.image.packages import compile_in
from metertwin.fleet.image.system_base import PYTHON, make_root, missing_libraries
from metertwin.fleet.runtimes.docker.client import EngineClient, in_path
from metertwin.fleet.runtimes.docker.runtime import DockerRuntime
from metertwin.fleet.runtimes.docker.wire import log_text
from metertwin.fleet.runtimes.errors import EngineRefusedError, image_missing

_FROM_SCRATCH = "FROM scratch\nCOPY root/ /\n"
_ASK = "import json, sys; print(json.dumps([sys.executable, *sys.version_info[:2]]))"
_LIBRARIES_LABEL = "io.metertwin.image.libraries"


@dataclass(frozen=True, slots=True)
class Base:
    """A base that is in the engine.

    Attributes:
        reference: Its name there.
        python: Path of its interpreter.
        parts: Bytes of what it is made of, by name.
        interpreter: This machine's Python that is in it; None where the base was given.
        libraries: Files of this machine that are in it.
    """

    reference: str
    python: str
    parts: Mapping[str, int]
    interpreter: Interpreter | None = None
    libraries: tuple[Path, ...] = field(default=())


async def system_base(runtime: DockerRuntime, packages: Path, say: Say) -> Base:
    """Return the base made from a Python of this machine; it is made where it is missing.

    Args:
        runtime: The engine.
        packages: The packages that shall find their libraries in it.
        say: Told each step.

    Raises:
        ImageBuildError: It cannot be made, or lacks a library that a package needs.
    """
    interpreter = await asyncio.to_thread(find_interpreter)
    reference = f"metertwin-base:{_version_digest(interpreter)}"
    for image in await runtime.images():
        if reference in image.references:
            return _of_labels(reference, interpreter, image.labels)
    whose = "the system's" if interpreter.is_system else "this"
    say(f"making a base of {whose} Python {interpreter.version} and its libraries")
    with tempfile.TemporaryDirectory(prefix="metertwin-base-") as work:
        root = Path(work) / "root"
        libraries = await asyncio.to_thread(_make, root, interpreter, packages)
        containerfile = Path(work) / "Containerfile"
        await asyncio.to_thread(containerfile.write_text, _FROM_SCRATCH)
        library = root / "usr" / "local"
        parts = {"python": await asyncio.to_thread(size_bytes, library)}
        parts["c libraries"] = await asyncio.to_thread(size_bytes, root) - parts["python"]
        labels = {
            BASE_LABEL: json.dumps(parts),
            _LIBRARIES_LABEL: json.dumps([str(path) for path in libraries]),
        }
        context = {"Containerfile": containerfile, "root": root}
        await build_in_engine(runtime.client, context, reference, {}, labels=labels)
    return _of_labels(reference, interpreter, labels)


async def given_base(runtime: DockerRuntime, reference: str) -> Base:
    """Return a base that somebody made, once its Python is known to be the right one.

    Raises:
        ImageMissingError: The engine does not have it.
        ImageInputError: It has no Python, or another than the packages are made for.
    """
    if not await runtime.has_image(reference):
        raise image_missing(reference, f"the engine at {runtime.client.socket}")
    wanted = (sys.version_info.major, sys.version_info.minor)
    said = await _ask_python(runtime.client, reference)
    try:
        python, major, minor = json.loads(said)
    except ValueError:
        raise ImageInputError(
            f"Base {reference} has no python3 that runs ({said.strip()[:200] or 'no answer'}).",
            base=reference,
        ) from None
    if (major, minor) != wanted:
        raise ImageInputError(
            f"Base {reference} has Python {major}.{minor}, and packages are made here for "
            f"{wanted[0]}.{wanted[1]}; choose a base of that version, or run this with "
            f"METERTWIN_PYTHON=python{major}.{minor}.",
            base=reference,
        )
    sizes = [image.size_bytes for image in await runtime.images() if reference in image.references]
    return Base(reference, python, {f"base {reference}": sizes[0] if sizes else 0})


async def _ask_python(client: EngineClient, reference: str) -> str:
    body = {
        "Image": reference,
        "Entrypoint": ["python3", "-c", _ASK],
        "Cmd": [],
        "HostConfig": {"NetworkMode": "none"},
    }
    made = await client.ask("POST", "/containers/create", body=body)
    path = f"/containers/{in_path(made['Id'])}"
    try:
        await client.ask("POST", f"{path}/start")
        await client.ask("POST", f"{path}/wait")
        return log_text(await client.read("GET", f"{path}/logs", {"stdout": True, "stderr": True}))
    except EngineRefusedError as error:  # there is no python3: the engine's words are the answer
        return str(error)
    finally:
        await client.ask("DELETE", path, {"force": True})


def _make(root: Path, interpreter: Interpreter, packages: Path) -> list[Path]:
    libraries = make_root(root, interpreter)
    compile_in(root / "usr", "/usr")
    if missing := missing_libraries(root, packages):
        raise ImageBuildError(
            f"Packages need {', '.join(missing)}, which Python here does not; give a base that has "
            "them with --base.",
            libraries=missing,
        )
    return libraries


def _of_labels(reference: str, interpreter: Interpreter, labels: Mapping[str, str]) -> Base:
    libraries = tuple(Path(path) for path in json.loads(labels[_LIBRARIES_LABEL]))
    return Base(reference, PYTHON, json.loads(labels[BASE_LABEL]), interpreter, libraries)


def _version_digest(interpreter: Interpreter) -> str:
    """Return what tells one Python and C library from another's."""
    machine = f"{'-'.join(platform.libc_ver())}\0{platform.machine()}"
    said = f"{interpreter.build}\0{interpreter.program}\0{machine}\0{_FROM_SCRATCH}"
    maker = Path(system_base_module.__file__).read_bytes()
    return hashlib.sha256(said.encode() + maker).hexdigest()[:12]
