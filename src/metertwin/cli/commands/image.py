"""`metertwin image`: make the image of all roles, and show what it is made of."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer
from rich.console import Console

from metertwin import __version__
from metertwin.cli.options import JsonOption
from metertwin.cli.show import console, moment, print_json, table
from metertwin.core.errors import UnavailableError
from metertwin.fleet.image.build import Built, build_image, find_image
from metertwin.fleet.image.composition import INPUTS_LABEL, ShownImage, shown
from metertwin.fleet.image.inputs import ImageInputs
from metertwin.fleet.runtimes.choose import find_engine
from metertwin.fleet.runtimes.docker.runtime import DockerRuntime

image = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode="rich")

_Work = TypeVar("_Work")
_MEBIBYTE = 1024 * 1024
_progress = Console(stderr=True)

EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine",
        help="Socket of the engine, unix:///path; else DOCKER_HOST, CONTAINER_HOST, usual places.",
    ),
]


class SbomFileError(UnavailableError):
    """The bill of materials cannot be written."""

    code = "cli.sbom_file"


@image.command()
def build(
    *,
    tag: Annotated[
        str, typer.Option("--tag", help="Name and tag of the image.")
    ] = f"metertwin:{__version__}",
    base: Annotated[
        str | None,
        typer.Option("--base", help="Image with Python to build on; else this machine's Python."),
    ] = None,
    added: Annotated[
        list[str] | None,
        typer.Option("--with", help="Further package: PACKAGE==VERSION, or a wheel's path."),
    ] = None,
    sbom: Annotated[
        Path | None, typer.Option("--sbom", help="Write the bill of materials here as well.")
    ] = None,
    engine: EngineOption = None,
    json: JsonOption = False,
) -> None:
    """Build the image; no registry is needed, and one of the same inputs is only tagged."""
    inputs = ImageInputs(tag, base, tuple(added or ()))
    inputs.check()
    with _progress.status("looking for an engine") as status:
        say = status.update if _progress.is_terminal else _say_plainly
        built = _in_engine(
            engine, lambda runtime: build_image(runtime, inputs, cache_directory(), say)
        )
    if sbom is not None:
        _write_sbom(sbom, built)
    if json:
        print_json(msgspec.structs.replace(built, sbom={"at": str(sbom)} if sbom else {}))
        return
    what = "was there already" if built.was_there else f"was built in {built.took_s:.0f} s"
    typer.echo(f"{tag} {what}.", err=True)
    _show(built.image)


@image.command("list")
def list_images(*, engine: EngineOption = None, json: JsonOption = False) -> None:
    """List the images of MeterTwin that the engine has."""
    found = _in_engine(engine, _ours)
    if json:
        print_json(found)
        return
    rows = [
        (
            ", ".join(each.references) or each.id[7:19],
            each.version,
            each.size_bytes / _MEBIBYTE,
            moment(each.created_at),
        )
        for each in found
    ]
    console.print(table("", ("image", "version", "MiB", "created"), rows))


@image.command()
def show(
    reference: Annotated[str, typer.Argument(help="Name and tag of the image.")],
    *,
    engine: EngineOption = None,
    json: JsonOption = False,
) -> None:
    """Show the size of an image and what it is made of."""
    found = shown(_in_engine(engine, lambda runtime: find_image(runtime, reference)))
    if json:
        print_json(found)
    else:
        _show(found)


def cache_directory() -> Path:
    """Return where installed dependencies are kept from one build to the next."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "metertwin"


def _say_plainly(step: str) -> None:
    typer.echo(step, err=True)


async def _ours(runtime: DockerRuntime) -> list[ShownImage]:
    return [shown(each) for each in await runtime.images() if INPUTS_LABEL in each.labels]


def _in_engine(engine: str | None, work: Callable[[DockerRuntime], Awaitable[_Work]]) -> _Work:
    async def connect_and_work() -> _Work:
        chosen = await find_engine(engine)
        try:
            return await work(chosen.runtime)
        finally:
            await chosen.runtime.close()

    return asyncio.run(connect_and_work())


def _write_sbom(path: Path, built: Built) -> None:
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(built.sbom), indent=1))
    except OSError as error:
        raise SbomFileError(
            f"The bill of materials cannot be written to {path}: {error.strerror}.", path=str(path)
        ) from error


def _show(shown_image: ShownImage) -> None:
    title = f"{', '.join(shown_image.references)}: {shown_image.size_bytes / _MEBIBYTE:.0f} MiB"
    rows = [(part.name, part.size_bytes / _MEBIBYTE) for part in shown_image.parts]
    console.print(table(title, ("part", "MiB"), rows))
