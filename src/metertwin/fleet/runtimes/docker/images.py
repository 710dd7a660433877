"""The images of an engine."""

from metertwin.fleet.runtimes.docker import wire
from metertwin.fleet.runtimes.docker.client import EngineClient, in_path
from metertwin.fleet.runtimes.errors import (
    EngineRefusedError,
    ImageMissingError,
    image_missing,
)
from metertwin.fleet.runtimes.port import Image

_NOT_FOUND = 404


class EngineImages:
    """The part of the runtime port that is about images.

    Args:
        client: The engine.
    """

    def __init__(self, client: EngineClient) -> None:
        self._client = client

    @property
    def client(self) -> EngineClient:
        """The engine, for what goes beyond the port: building images."""
        return self._client

    @property
    def _where(self) -> str:
        return f"the engine at {self._client.socket}"

    def no_image(self, reference: str) -> ImageMissingError:
        """Return the error for an image that is not here."""
        return image_missing(reference, self._where)

    async def images(self) -> list[Image]:
        """Return the images that are here."""
        return [wire.image_of(listed) for listed in await self._client.ask("GET", "/images/json")]

    async def has_image(self, reference: str) -> bool:
        """Say whether an image is here."""
        try:
            await self._client.ask("GET", f"/images/{in_path(reference)}/json")
        except EngineRefusedError as error:
            if error.facts["status"] == _NOT_FOUND:
                return False
            raise
        return True

    async def tag(self, source: str, target: str) -> None:
        """Give an image a further reference."""
        repository, tag = split_reference(target)
        query = {"repo": repository, "tag": tag}
        try:
            await self._client.ask("POST", f"/images/{in_path(source)}/tag", query)
        except EngineRefusedError as error:
            if error.facts["status"] == _NOT_FOUND:
                raise image_missing(source, self._where) from error
            raise

    async def remove_image(self, reference: str) -> None:
        """Remove a reference, and with the last one the image; an absent one is no error."""
        try:
            await self._client.ask("DELETE", f"/images/{in_path(reference)}")
        except EngineRefusedError as error:
            if error.facts["status"] != _NOT_FOUND:
                raise


def split_reference(reference: str) -> tuple[str, str]:
    """Return repository and tag of a reference; without a tag it is `latest`.

    Example:
        >>> split_reference("localhost:5000/metertwin"), split_reference("metertwin:0.1.0")
        (('localhost:5000/metertwin', 'latest'), ('metertwin', '0.1.0'))
    """
    repository, colon, tag = reference.rpartition(":")
    if not colon or "/" in tag:
        return reference, "latest"
    return repository, tag
