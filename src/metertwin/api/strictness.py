"""Misspelt query parameters are refused: `limt=5` must not silently answer with everything."""

from functools import lru_cache
from typing import Any

from litestar import Request
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter

from metertwin.core.errors import InvalidInputError


class UnknownParameterError(InvalidInputError):
    """The resource has no such query parameter."""

    code = "input.unknown_parameter"


async def refuse_unknown_parameters(request: Request[Any, Any, Any]) -> None:
    """Raise UnknownParameterError if the query has a name the resource does not know."""
    # A hook that is no coroutine would run in a thread, which costs more than the whole answer.
    if not request.scope["query_string"]:
        return
    known = _known_parameters(request.route_handler)
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        raise UnknownParameterError(
            f"{request.url.path} does not know {', '.join(name[:40] for name in unknown)}; "
            f"it knows {', '.join(sorted(known)) or 'no parameters'}.",
            unknown=[name[:40] for name in unknown],
        )


@lru_cache(maxsize=64)
def _known_parameters(handler: BaseRouteHandler) -> frozenset[str]:
    parameters = handler.parsed_fn_signature.parameters.values()
    return frozenset(
        each.name for each in parameters if isinstance(each.kwarg_definition, QueryParameter)
    )
