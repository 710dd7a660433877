"""An engine builds an image from a Containerfile and what it copies."""

import asyncio
import io
import json
import tarfile
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from metertwin.fleet.image.errors import ImageBuildError
from metertwin.fleet.runtimes.docker.client import EngineClient, Query

_PIECE_BYTES = 1024 * 1024
_WITHIN_S = 600.0

Say = Callable[[str], None]


async def build_in_engine(
    client: EngineClient,
    context: Mapping[str, Path],
    reference: str,
    arguments: Mapping[str, str],
    *,
    labels: Mapping[str, str] | None = None,
    say: Say = lambda _: None,
) -> None:
    """Build an image.

    Args:
        client: The engine.
        context: What the Containerfile copies, itself included: file or directory by its name
            there. Owners are left out: in the image files belong to root.
        reference: Name and tag of the image.
        arguments: Values of the Containerfile's ARGs.
        labels: Labels of the image.
        say: Told each step.

    Raises:
        ImageBuildError: A step failed; its words are in the sentence.
    """
    query: Query = {
        "t": reference,
        "dockerfile": "Containerfile",
        "buildargs": json.dumps(dict(arguments)),
        "labels": json.dumps(dict(labels or {})),
        "rm": True,
        "forcerm": True,
    }
    async with client.stream(
        "POST", "/build", query, content=_pieces(context), timeout_s=_WITHIN_S
    ) as response:
        async for line in response.aiter_lines():
            said = json.loads(line) if line.strip() else {}
            if "error" in said:
                raise ImageBuildError(
                    f"Image {reference} cannot be built: {str(said['error']).strip()}.",
                    image=reference,
                )
            if text := str(said.get("stream", "")).strip():
                say(text)


async def read_file(client: EngineClient, image: str, path: str) -> bytes:
    """Return a file of an image; nothing of the image runs for it."""
    made = await client.ask("POST", "/containers/create", body={"Image": image})
    container = f"/containers/{made['Id']}"
    try:
        content = await client.read("GET", f"{container}/archive", {"path": path})
    finally:
        await client.ask("DELETE", container, {"force": True})
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            if (file := archive.extractfile(member)) is not None:
                return file.read()
    raise ImageBuildError(f"{path} of image {image} is no file.", image=image, path=path)


async def _pieces(context: Mapping[str, Path]) -> AsyncIterator[bytes]:
    """Give the context as a tar file, without ever holding all of it in memory."""
    sink = _Sink()
    archive = tarfile.open(fileobj=sink, mode="w|", bufsize=_PIECE_BYTES)  # noqa: SIM115 - closed below
    for path, name in await asyncio.to_thread(_members, context):
        await asyncio.to_thread(archive.add, path, name, recursive=False, filter=_of_root)
        if piece := sink.take():
            yield piece
    archive.close()
    yield sink.take()


def _members(context: Mapping[str, Path]) -> list[tuple[Path, str]]:
    return [
        (path, str(Path(name) / path.relative_to(top)))
        for name, top in sorted(context.items())
        for path in (top, *sorted(top.rglob("*")))
    ]


def _of_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


class _Sink(io.RawIOBase):
    """Takes what a tar writes until somebody fetches it."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        assert isinstance(data, bytes | bytearray | memoryview)
        self._kept += data
        return len(data)

    def take(self) -> bytes:
        piece = bytes(self._kept)
        self._kept.clear()
        return piece
