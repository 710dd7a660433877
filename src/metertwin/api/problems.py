"""Errors as RFC 9457 problem documents, from one table of codes and statuses."""

from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from metertwin.core.errors import MeterTwinError

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:metertwin:problem:"

# Longest prefix wins; a code is its own prefix. What is not here is our fault: 500.
STATUS_OF_CODE = {
    "input": 400,
    "auth": 401,
    "auth.token_file": 500,  # not the caller's
    "refused": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "conflict": 409,
    "too_large": 413,
    "unavailable": 503,
    "deadline": 504,
}
_TITLE_OF_STATUS = {
    400: "The request breaks a rule",
    401: "Who is asking is not known",
    403: "This is not allowed",
    404: "There is no such thing",
    405: "This resource has no such method",
    406: "This resource has no such form",
    409: "The request contradicts what is so",
    413: "The request is too large",
    500: "MeterTwin failed",
    503: "A part does not answer",
    504: "The answer did not come in time",
}
_CODE_OF_HTTP_STATUS = {
    400: "input.invalid",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
}
_LOGGED = "An unexpected error was logged; the request may or may not have had effect."
_log = structlog.get_logger("api")


class ProblemDocument(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What went wrong (RFC 9457), with MeterTwin's stable code and the facts of the sentence."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    facts: dict[str, Any] = {}
    errors: list[dict[str, str]] = []  # several faults in one input, reported together


def status_of(code: str) -> int:
    """Return the HTTP status of an error code.

    Example:
        >>> status_of("input.obis"), status_of("deadline"), status_of("nonsense")
        (400, 504, 500)
    """
    parts = code.split(".")
    prefixes = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((STATUS_OF_CODE[each] for each in prefixes if each in STATUS_OF_CODE), 500)


def problem(code: str, detail: str, **extra: Any) -> ProblemDocument:  # noqa: ANN401  fields of the document
    """Return the document of one code and sentence; `extra` sets its facts and errors."""
    status = status_of(code)
    return ProblemDocument(
        type=TYPE_PREFIX + code,
        title=_TITLE_OF_STATUS[status],
        status=status,
        code=code,
        detail=detail,
        **extra,
    )


def encode_problem(document: ProblemDocument) -> bytes:
    """Return the document as JSON; facts that JSON does not know become text."""
    return msgspec.json.encode(document, enc_hook=str)


def on_known_error(_: Request[Any, Any, Any], error: MeterTwinError) -> Response[bytes]:
    """Answer an error raised on purpose."""
    return _response(problem(error.code, str(error), facts=error.facts))


def on_validation_error(_: Request[Any, Any, Any], error: ValidationException) -> Response[bytes]:
    """Answer parameters or a body that do not fit their types, all faults together."""
    faults = [
        {name: str(fault[name]) for name in ("source", "key", "message") if name in fault}
        for fault in (error.extra if isinstance(error.extra, list) else [])
        if isinstance(fault, dict)
    ]
    named = [
        f"{each.get('source', 'body')} {each.get('key', '')}: {each.get('message', '')}".strip()
        for each in faults
    ]
    detail = "; ".join(named) or str(error.detail)
    return _response(problem("input.invalid", detail + ".", errors=faults))


def on_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Answer what the web framework refuses: unknown paths, methods, bodies."""
    code = _CODE_OF_HTTP_STATUS.get(error.status_code, "internal")
    sentence = {
        "not_found": f"There is no {request.url.path}; /openapi.json lists what there is.",
        "method_not_allowed": f"{request.url.path} does not know {request.method}.",
        "input.invalid": f"The request cannot be read: {error.detail}.",
        "internal": _LOGGED,
    }.get(code, str(error.detail))
    return _response(problem(code, sentence))


def on_unexpected_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer a fault of ours: log it whole, tell the caller nothing of its insides."""
    _log.error("request failed", method=request.method, path=request.url.path, exc_info=error)
    return _response(problem("internal", _LOGGED))


def _response(document: ProblemDocument) -> Response[bytes]:
    return Response(
        content=encode_problem(document), status_code=document.status, media_type=MEDIA_TYPE
    )
