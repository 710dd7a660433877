"""What can go wrong in making an image."""

from metertwin.core.errors import InvalidInputError, NotFoundError, UnavailableError


class ImageInputError(InvalidInputError):
    """What shall go into the image is not said in a usable way."""

    code = "fleet.image_input"


class ImageBuildError(UnavailableError):
    """The image could not be made."""

    code = "fleet.image_build"


class ImagePartMissingError(NotFoundError):
    """Something that shall go into the image does not exist."""

    code = "not_found.image_part"
