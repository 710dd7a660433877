"""How the arguments of a request are read, and of whom it is asked."""

from typing import TypeVar

import msgspec

from metertwin.bus.messages import Request
from metertwin.bus.subjects import WHOLE_GROUP, is_meter
from metertwin.core.errors import InvalidInputError
from metertwin.core.ids import MeterId, meter_id

Shape = TypeVar("Shape", bound=msgspec.Struct)


class ArgumentsError(InvalidInputError):
    """A request's arguments are not what it takes."""

    code = "input.arguments"


def arguments_of(request: Request, shape: type[Shape]) -> Shape:
    """Return a request's arguments as the shape it takes; raises ArgumentsError otherwise."""
    try:
        return msgspec.convert(request.arguments, shape)
    except msgspec.ValidationError as error:
        raise ArgumentsError(
            f"Arguments of {request.name} do not fit: {error}. It takes "
            f"{', '.join(shape.__struct_fields__) or 'none'}.",
            name=request.name,
        ) from None


def meter_of(request: Request, token: str) -> MeterId:
    """Return the meter a request is asked of; raises ArgumentsError for the whole group."""
    if not is_meter(token):
        raise ArgumentsError(
            f"{request.name} is asked of one meter; put its id into the subject.", name=request.name
        )
    return meter_id(token)


def check_whole_group(request: Request, token: str) -> None:
    """Raise ArgumentsError unless a request is asked of the whole group."""
    if is_meter(token):
        raise ArgumentsError(
            f"{request.name} is asked of the whole group; put {WHOLE_GROUP} into the subject, "
            f"not {token}.",
            name=request.name,
        )
