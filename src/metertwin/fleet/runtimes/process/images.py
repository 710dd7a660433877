"""Images of processes: references to an entry point of a Python environment on this machine."""

import hashlib
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from metertwin import __version__
from metertwin.fleet.runtimes.errors import EngineRefusedError, image_missing
from metertwin.fleet.runtimes.port import Image
from metertwin.fleet.runtimes.process.directory import ContainerDirectory, write_private

OWN_REFERENCE = f"metertwin:{__version__}"


class Entry(msgspec.Struct, frozen=True):
    """What an image of a process is: the arguments that come before a container's own."""

    entrypoint: tuple[str, ...]
    created_at: datetime


class ProcessImages:
    """The part of the runtime port that is about images.

    The program that runs is there from the beginning, as `metertwin:VERSION`.

    Args:
        root: Directory of the runtime.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._own = Entry((sys.executable, "-m", "metertwin.cli"), datetime.now(UTC))

    @property
    def _where(self) -> str:
        return f"the process runtime in {self._root}"

    async def add_image(self, reference: str, entrypoint: tuple[str, ...]) -> None:
        """Make an image known: the arguments before a container's own, none for none."""
        self._save({**self._entries(), reference: Entry(entrypoint, datetime.now(UTC))})

    async def images(self) -> list[Image]:
        """Return the images that are here."""
        references: dict[str, list[str]] = {}
        entries = self._entries()
        for reference, entry in entries.items():
            references.setdefault(image_id(entry), []).append(reference)
        return [
            Image(id=id_, references=tuple(names), created_at=entries[names[0]].created_at)
            for id_, names in references.items()
        ]

    async def has_image(self, reference: str) -> bool:
        """Say whether an image is here."""
        return _tagged(reference) in self._entries()

    async def tag(self, source: str, target: str) -> None:
        """Give an image a further reference."""
        self._save({**self._entries(), _tagged(target): self._entry(source)})

    async def remove_image(self, reference: str) -> None:
        """Remove a reference, and with the last one the image; an absent one is no error."""
        entries = self._entries()
        entry = entries.pop(_tagged(reference), None)
        if entry is None:
            return
        users = [name for name, image in self._used() if _tagged(image) == _tagged(reference)]
        if users and entry not in entries.values():
            raise EngineRefusedError(
                f"Image {reference} cannot be removed: container {users[0]} uses it.",
                image=reference,
                container=users[0],
            )
        self._save(entries)

    def _entry(self, reference: str) -> Entry:
        try:
            return self._entries()[_tagged(reference)]
        except KeyError:
            raise image_missing(reference, self._where) from None

    def _used(self) -> list[tuple[str, str]]:
        found = (ContainerDirectory(path).described() for path in sorted(self._root.iterdir()))
        return [(each.spec.name, each.spec.image) for each in found if each is not None]

    def _entries(self) -> dict[str, Entry]:
        try:
            content = (self._root / "images.json").read_bytes()
        except FileNotFoundError:
            return {OWN_REFERENCE: self._own}
        return msgspec.json.decode(content, type=dict[str, Entry])

    def _save(self, entries: dict[str, Entry]) -> None:
        write_private(self._root / "images.json", msgspec.json.encode(entries))


def _tagged(reference: str) -> str:
    return reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"


def image_id(entry: Entry) -> str:
    """Return what an image is, whatever it is called."""
    return "sha256:" + hashlib.sha256("\0".join(entry.entrypoint).encode()).hexdigest()
