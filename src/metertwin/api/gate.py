"""The gate before the application: who asks, how long it took, how it ended.

It stands outside the web framework, so that no route, however written, is reachable without it.
"""

import hmac
import time

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from metertwin.api.metrics import ApiMetrics
from metertwin.api.problems import MEDIA_TYPE, encode_problem, problem

OPEN_PATHS = frozenset({"/healthz"})
_SCHEME = b"bearer "


class Gate:
    """An ASGI application that lets through what carries the token, and counts everything."""

    def __init__(self, application: ASGIApp, token: str, metrics: ApiMetrics) -> None:
        self._application = application
        self._token = token.encode("ascii")
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != ScopeType.HTTP:
            await self._application(scope, receive, send)
            return
        status = 500
        started_s = time.perf_counter()

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if scope["path"] in OPEN_PATHS or self._is_known(scope["headers"]):
                await self._application(scope, receive, send_noting_status)
            else:
                await _refuse(send_noting_status)
        finally:
            route = str(scope.get("path_template", "unknown"))
            self._metrics.count(route, status, time.perf_counter() - started_s)

    def _is_known(self, headers: object) -> bool:
        assert isinstance(headers, list)
        given = next((value for name, value in headers if name == b"authorization"), b"")
        if given[: len(_SCHEME)].lower() != _SCHEME:
            return False
        # Constant time: how long a refusal takes must not say how much of a guess was right.
        return hmac.compare_digest(given[len(_SCHEME) :].strip(), self._token)


async def _refuse(send: Send) -> None:
    body = encode_problem(
        problem(
            "auth",
            "The request has no valid token; send 'Authorization: Bearer TOKEN' with the token "
            "from secrets/api.token in the site's state directory.",
        )
    )
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"www-authenticate", b'Bearer realm="metertwin"'),
    ]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
