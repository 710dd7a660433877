"""What OpenAPI says of answers: real examples, and problems as the documents they are."""

from typing import cast

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.types import DataContainerType

from metertwin.api.problems import MEDIA_TYPE, ProblemDocument, problem

_SENTENCES = {
    "input.time": "start is 'yesterday', which is no ISO 8601 time; write for example "
    "2026-03-29T01:00:00Z.",
    "auth": "The request has no valid token; send 'Authorization: Bearer TOKEN'.",
    "not_found.twin": "There is no twin of meter m-00001 in 2 groups.",
    "unavailable": "Nobody answers at mt.g1.request.m-00001: the part that hosts it is not "
    "running.",
    "deadline": "usage_now at mt.g1.request.m-00001 was not answered within 10 s.",
}


def answers(
    status: int | None = None,
    kind: object = None,
    description: str = "",
    example: object = None,
) -> dict[int, ResponseSpec]:
    """Return the documented answers of a resource: its own, if given, and the problems."""
    documented = dict(_PROBLEMS)
    if status is not None:
        examples = [] if example is None else [Example(summary=description, value=example)]
        documented[status] = ResponseSpec(
            cast("DataContainerType | None", kind),
            description=description,
            generate_examples=False,
            examples=examples,
        )
    return documented


def _problem_spec(code: str, sentence: str) -> tuple[int, ResponseSpec]:
    document = problem(code, sentence)
    spec = ResponseSpec(
        ProblemDocument,
        description=document.title,
        media_type=MEDIA_TYPE,
        generate_examples=False,
        examples=[Example(summary=code, value=document)],
    )
    return document.status, spec


_PROBLEMS = dict(_problem_spec(code, sentence) for code, sentence in _SENTENCES.items())
_VALUE = {
    "obis": "1-0:1.7.0*255",
    "value": "512",
    "unit": "W",
    "integer": 512,
    "scaler": 0,
    "period_s": 0,
    "captured_at": "2026-03-29T11:59:56Z",
    "received_at": "2026-03-29T11:59:57Z",
    "age_s": 4.0,
    "quality": 0,
    "origin": "measured",
}
USAGE_NOW = {
    "meter": "m-00001",
    "answered_at": "2026-03-29T12:00:00Z",
    "source": "twin",
    "power_import": _VALUE,
    "power_export": None,
    "energy_import": None,
    "energy_export": None,
}
OF_GROUP = {"host": "twin-host", "epoch": 7, "twins": 100}
OUTPUT = {
    "app": "tariff",
    "app_version": "1.0",
    "meter": "m-00001",
    "name": "bill",
    "at": "2026-03-01T00:00:00Z",
    "revision": 0,
    "issued_at": "2026-04-01T00:15:00Z",
    "value": {"currency": "EUR", "total": "48.17"},
}
INTERVALS = {
    "group": "g1",
    "obis": "1-0:1.8.0*255",
    "unit": "Wh",
    "scaler": 0,
    "period_s": 900,
    "count": 3,
    "columns": {
        "meter": ["m-00001", "m-00001", "m-00001"],
        "interval_start": [
            "2026-03-29T12:00:00Z",
            "2026-03-29T12:15:00Z",
            "2026-03-29T12:45:00Z",
        ],
        "length_s": [900, 1800, 900],
        "value": ["120", "251", None],
        "integer": [120, 251, None],
        "quality": [0, 0, 0],
        "origin": ["measured", "measured", "measured"],
    },
}
SERIES = {
    "meter": "m-00001",
    "obis": "1-0:32.7.0*255",
    "unit": "V",
    "scaler": -1,
    "period_s": 0,
    "count": 2,
    "columns": {
        "captured_at": ["2026-03-29T12:00:00Z", "2026-03-29T12:15:00Z"],
        "value": ["230.4", "231.1"],
        "integer": [2304, 2311],
        "quality": [0, 8],
        "origin": ["measured", "measured"],
    },
}
COMMAND = {
    "id": "8f14e45f",
    "meter": "m-00001",
    "kind": "set_limit",
    "arguments": {"limit_w": 3000},
    "issued_by": "api",
    "issued_at": "2026-03-29T12:00:00Z",
    "expires_at": "2026-03-29T12:01:00Z",
    "accepted": {"status": "accepted", "at": "2026-03-29T12:00:00Z", "reason": ""},
    "effected": {"status": "effected", "at": "2026-03-29T12:00:01Z", "reason": ""},
}
