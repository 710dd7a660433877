"""What an image is made of, and how large each part is."""

import json
from collections.abc import Mapping
from pathlib import Path

import msgspec

from metertwin.fleet.runtimes.port import Image

INPUTS_LABEL = "io.metertwin.image.inputs"
COMPOSITION_LABEL = "io.metertwin.image.composition"
BASE_LABEL = "io.metertwin.image.base-parts"
_SHOWN_COUNT = 12
_SMALL = "everything else"


class Part(msgspec.Struct, frozen=True):
    """A part of an image."""

    name: str
    size_bytes: int


class ShownImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image as people see it; parts, the largest first, where it was made here."""

    references: tuple[str, ...]
    id: str
    size_bytes: int
    created_at: str
    version: str | None
    inputs: str | None
    parts: tuple[Part, ...]


def size_bytes(path: Path) -> int:
    """Return the bytes of all files below a path; a link counts nothing."""
    return sum(
        each.stat().st_size
        for each in (path, *path.rglob("*"))
        if each.is_file() and not each.is_symlink()
    )


def parts_of(directories: list[Path], base: Mapping[str, int]) -> dict[str, int]:
    """Return the bytes of each package and program below directories, beside those of the base.

    What belongs to a package under another name (`numpy.libs`, its metadata) counts with it.
    """
    parts = dict(base)
    for directory in directories:
        for place in (directory / "lib", directory / "bin"):
            for path in sorted(place.iterdir()) if place.is_dir() else ():
                name = _package_of(path.name)
                parts[name] = parts.get(name, 0) + size_bytes(path)
    return parts


def shown(image: Image) -> ShownImage:
    """Return an image as people see it."""
    parts: dict[str, int] = json.loads(image.labels.get(COMPOSITION_LABEL, "{}"))
    ordered = sorted(parts.items(), key=lambda part: -part[1])
    rest = sum(size for _, size in ordered[_SHOWN_COUNT:])
    named = [Part(name, size) for name, size in ordered[:_SHOWN_COUNT]]
    return ShownImage(
        references=image.references,
        id=image.id,
        size_bytes=image.size_bytes,
        created_at="" if image.created_at is None else image.created_at.isoformat(),
        version=image.labels.get("org.opencontainers.image.version"),
        inputs=image.labels.get(INPUTS_LABEL),
        parts=(*named, Part(_SMALL, rest)) if rest else tuple(named),
    )


def _package_of(name: str) -> str:
    for ending in (".dist-info", ".libs", ".data"):
        if name.endswith(ending):
            name = name.removesuffix(ending).partition("-")[0]
    return name.partition(".")[0].lstrip("_").lower()
