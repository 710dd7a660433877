"""Making the image: inputs in, an image in an engine out, and its bill of materials."""

import asyncio
import hashlib
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import msgspec

import metertwin
from metertwin.fleet.image.base_image import Base, given_base, system_base
from metertwin.fleet.image.composition import (
    COMPOSITION_LABEL,
    INPUTS_LABEL,
    ShownImage,
    parts_of,
    shown,
)
from metertwin.fleet.image.engine_build import Say, build_in_engine, read_file
from metertwin.fleet.image.inputs import ImageInputs, lock_file
from metertwin.fleet.image.packages import (
    compile_in,
    copy_metertwin,
    install_added,
    install_locked,
    installer_source,
)
from metertwin.fleet.image.sbom import bill_of_materials
from metertwin.fleet.runtimes.docker.runtime import DockerRuntime
from metertwin.fleet.runtimes.port import Image

SBOM_IN_IMAGE = "/opt/metertwin/sbom.cdx.json"
SBOM_LABEL = "io.metertwin.image.sbom"
_PROGRAMS = {"nats-server"}


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """An image that was made, or was there already.

    Attributes:
        took_s: Seconds it took.
        was_there: Whether an image of the same inputs was found and only tagged.
        sbom: Its bill of materials, CycloneDX.
    """

    image: ShownImage
    took_s: float
    was_there: bool
    sbom: dict[str, object]


async def build_image(
    runtime: DockerRuntime, inputs: ImageInputs, cache: Path, say: Say = lambda _: None
) -> Built:
    """Make the image, or tag the one of the same inputs.

    Args:
        runtime: The engine it is made in.
        inputs: What it is made of.
        cache: Directory where installed dependencies are kept from one build to the next.
        say: Told each step.

    Raises:
        ImageInputError: The inputs are not usable.
        ImagePartMissingError: A package does not exist.
        ImageMissingError: The base is not in the engine.
        ImageBuildError: A step failed.
    """
    inputs.check()
    began_s = time.monotonic()
    digest = await asyncio.to_thread(inputs.digest)
    dependencies = await _dependencies(cache, say)
    base = await _base(runtime, inputs, dependencies / "lib", say)
    digest = f"{digest}-{await _id_of(runtime, base.reference)}"
    was_there = await _tag_if_there(runtime, digest, inputs.tag)
    if not was_there:
        await _make(runtime, inputs, dependencies, base, digest=digest, say=say)
    return Built(
        image=shown(await find_image(runtime, inputs.tag)),
        took_s=round(time.monotonic() - began_s, 1),
        was_there=was_there,
        sbom=msgspec.json.decode(await read_file(runtime.client, inputs.tag, SBOM_IN_IMAGE)),
    )


async def _make(
    runtime: DockerRuntime,
    inputs: ImageInputs,
    dependencies: Path,
    base: Base,
    *,
    digest: str,
    say: Say,
) -> None:
    with tempfile.TemporaryDirectory(prefix="metertwin-image-") as work:
        application = Path(work) / "application"
        say("installing MeterTwin" + "".join(f", {each}" for each in inputs.added))
        await asyncio.to_thread(_application, application, dependencies, inputs, base)
        parts = await asyncio.to_thread(parts_of, [dependencies, application], base.parts)
        say("building in the engine")
        context = {
            "Containerfile": Path(__file__).with_name("Containerfile"),
            "dependencies": dependencies,
            "application": application,
        }
        await build_in_engine(
            runtime.client,
            context,
            inputs.tag,
            {"BASE": base.reference},
            labels=_labels(digest, parts),
        )


async def find_image(runtime: DockerRuntime, reference: str) -> Image:
    """Return an image by its reference.

    Raises:
        ImageMissingError: The engine does not have it.
    """
    wanted = reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"
    for image in await runtime.images():
        if wanted in image.references:
            return image
    raise runtime.no_image(reference)


async def _dependencies(cache: Path, say: Say) -> Path:
    """Return the directory of the locked dependencies, installed where the cache lacks them."""
    made_from = sys.version.encode() + lock_file().read_bytes() + installer_source()
    place = cache / f"dependencies-{hashlib.sha256(made_from).hexdigest()[:16]}"
    if place.is_dir():
        return place
    say("installing the locked dependencies")
    await asyncio.to_thread(cache.mkdir, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="new-", dir=cache) as work:
        fresh = Path(work) / "dependencies"
        await asyncio.to_thread(_install, fresh)
        fresh.rename(place)
    return place


def _install(fresh: Path) -> None:
    install_locked(fresh / "lib")
    _keep_programs(fresh)
    compile_in(fresh / "lib", "/opt/metertwin/lib")


def _keep_programs(directory: Path) -> None:
    """Move the programs that roles start out of the packages; no other is needed."""
    scripts = directory / "lib" / "bin"
    if not scripts.is_dir():
        return
    (directory / "bin").mkdir(exist_ok=True)
    for path in scripts.iterdir():
        if path.name in _PROGRAMS:
            path.rename(directory / "bin" / path.name)
    shutil.rmtree(scripts)


async def _base(runtime: DockerRuntime, inputs: ImageInputs, packages: Path, say: Say) -> Base:
    if inputs.base is not None:
        return await given_base(runtime, inputs.base)
    return await system_base(runtime, packages, say)


async def _id_of(runtime: DockerRuntime, reference: str) -> str:
    return (await find_image(runtime, reference)).id.removeprefix("sha256:")[:12]


def _application(application: Path, dependencies: Path, inputs: ImageInputs, base: Base) -> None:
    """Lay out what changes often, and the bill of materials of all."""
    library = application / "lib"
    library.mkdir(parents=True)
    if inputs.added:
        work = application.parent / "work"
        work.mkdir()
        already = {path.name for path in (dependencies / "lib").iterdir()}
        install_added(library, inputs.added, work, already)
        _keep_programs(application)
    copy_metertwin(library)
    compile_in(library, "/opt/metertwin/lib")
    programs = application / "bin"
    programs.mkdir(exist_ok=True)
    start = programs / "metertwin"
    start.write_text(
        f"#!{base.python}\nimport sys\nfrom metertwin.cli.main import main\nsys.exit(main())\n",
        encoding="utf-8",
    )
    start.chmod(0o755)
    sbom = bill_of_materials((dependencies / "lib", library), base)
    (application / "sbom.cdx.json").write_bytes(
        msgspec.json.format(msgspec.json.encode(sbom), indent=1)
    )


async def _tag_if_there(runtime: DockerRuntime, digest: str, tag: str) -> bool:
    for image in await runtime.images():
        if image.labels.get(INPUTS_LABEL) == digest and image.references:
            if tag not in image.references:
                await runtime.tag(image.references[0], tag)
            return True
    return False


def _labels(digest: str, parts: dict[str, int]) -> dict[str, str]:
    return {
        "org.opencontainers.image.title": "MeterTwin",
        "org.opencontainers.image.description": "A digital twin in a container for every meter",
        "org.opencontainers.image.version": metertwin.__version__,
        "org.opencontainers.image.licenses": "Apache-2.0",
        INPUTS_LABEL: digest,
        COMPOSITION_LABEL: json.dumps(parts),
        SBOM_LABEL: SBOM_IN_IMAGE,
    }
