"""What can go wrong between the fleet and a runtime."""

from metertwin.core.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    UnavailableError,
)


class SpecError(InvalidInputError):
    """A container is described in a way that this runtime cannot honour."""

    code = "fleet.container_spec"


class ContainerConflictError(ConflictError):
    """A container of this name runs from another description."""

    code = "fleet.container_conflict"


class ContainerMissingError(NotFoundError):
    """There is no container of this name."""

    code = "not_found.container"


class ImageMissingError(NotFoundError):
    """The runtime does not have the image, and fetches none by itself."""

    code = "not_found.image"


class EngineUnavailableError(UnavailableError):
    """The container engine does not answer."""

    code = "fleet.engine_unavailable"


class EngineRefusedError(UnavailableError):
    """The container engine answered, and could not do what it was asked."""

    code = "fleet.engine_refused"


class ContainerStartError(UnavailableError):
    """A container could not be started."""

    code = "fleet.container_start"


def conflict(name: str) -> ContainerConflictError:
    """Return the error for a name that another description has taken."""
    return ContainerConflictError(
        f"Container {name} exists and was started from another description; remove it first, or "
        "start it with replace=True.",
        container=name,
    )


def missing(name: str, where: str) -> ContainerMissingError:
    """Return the error for a container that is not there."""
    return ContainerMissingError(f"There is no container {name} in {where}.", container=name)


def image_missing(image: str, where: str) -> ImageMissingError:
    """Return the error for an image that is not there."""
    return ImageMissingError(
        f"There is no image {image} in {where}, and none is fetched by itself; make it with "
        "`metertwin image build --tag`, or load it into the engine. Parts that are processes run "
        "from the program itself; to try another image start the site with `--runtime docker`.",
        image=image,
    )
