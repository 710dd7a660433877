"""HTTP to a container engine over its Unix socket: the Docker Engine API, which Podman serves too.

The API is plain JSON over HTTP and carries its version in the path. Newer engines refuse old
versions and old engines do not know new ones, so the version is the engine's own, capped at the
newest this code was written against.
"""

import asyncio
import json
import math
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from metertwin.fleet.runtimes.errors import EngineRefusedError, EngineUnavailableError, SpecError

NEWEST_API = (1, 44)
_ANSWER_WITHIN_S = 60.0
_NOT_FOUND = 404
_ENGINE_FAILED = 500
# Podman fails to look at a container whose process ends just then; a moment later it can.
_LOOK_AGAIN_AFTER_S = (0.02, 0.1, 0.5)
# What Podman says, as an error of its own, of a container that is removed while it looks at it.
_GONE_MEANWHILE = "no such container"
_CONNECT_WITHIN_S = 5.0

Query = Mapping[str, str | int | bool]


class EngineClient:
    """A connection to one engine.

    Args:
        socket: The engine's Unix socket.
    """

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(socket)),
            base_url="http://engine",
            timeout=httpx.Timeout(_ANSWER_WITHIN_S, connect=_CONNECT_WITHIN_S),
        )
        self._prefix: str | None = None
        self.version: dict[str, Any] = {}

    @property
    def is_podman(self) -> bool:
        """Whether it is Podman, once `connect` was called."""
        parts = self.version.get("Components") or []
        return any("Podman" in str(part.get("Name")) for part in parts)

    async def connect(self) -> None:
        """Learn what engine it is; further calls do nothing.

        Raises:
            EngineUnavailableError: It does not answer.
        """
        if self._prefix is not None:
            return
        async with self._sent(self._http.build_request("GET", "/version")) as response:
            self.version = json.loads(await response.aread())
        spoken = tuple(int(part) for part in str(self.version["ApiVersion"]).split("."))
        self._prefix = "/v" + ".".join(str(part) for part in min(spoken, NEWEST_API))

    async def ask(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: object = None,
        timeout_s: float = _ANSWER_WITHIN_S,
    ) -> Any:  # noqa: ANN401 - JSON is anything
        """Return the JSON that the engine answers, None where it answers nothing.

        What only looks (GET) is asked again, three times at most, where the engine itself failed.

        Raises:
            EngineUnavailableError: It does not answer.
            EngineRefusedError: It answers with an error; its fact `status` is the HTTP status.
        """
        content = await self.read(method, path, query, body, timeout_s)
        return json.loads(content) if content.strip() else None

    async def read(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: object = None,
        timeout_s: float = _ANSWER_WITHIN_S,
    ) -> bytes:
        """Return the bytes that the engine answers; asks again and raises as `ask`."""

        async def once() -> bytes:
            async with self.stream(method, path, query, body=body, timeout_s=timeout_s) as response:
                return await response.aread()

        for pause_s in _LOOK_AGAIN_AFTER_S if method == "GET" else ():
            try:
                return await once()
            except EngineRefusedError as error:
                status = error.facts["status"]
                assert isinstance(status, int)  # as `_refused` says it
                if status < _ENGINE_FAILED:
                    raise
            await asyncio.sleep(pause_s)
        return await once()

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        *,
        body: object = None,
        content: AsyncIterator[bytes] | None = None,
        timeout_s: float | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """Open an answer that comes in pieces; raises as `ask`.

        What is sent is `body` as JSON or `content` as a tar file. An engine that says nothing for
        `timeout_s` counts as gone; None waits for ever.
        """
        await self.connect()
        assert self._prefix is not None
        request = self._http.build_request(
            method,
            self._prefix + path,
            params=dict(query or {}),
            json=body,
            content=content,
            headers={"Content-Type": "application/x-tar"} if content is not None else None,
            timeout=httpx.Timeout(timeout_s, connect=_CONNECT_WITHIN_S),
        )
        async with self._sent(request) as response:
            yield response

    @asynccontextmanager
    async def _sent(self, request: httpx.Request) -> AsyncIterator[httpx.Response]:
        try:  # around the caller's reading as well
            response = await self._http.send(request, stream=True)
            try:
                if response.is_error:
                    raise self._refused(response.status_code, await response.aread())
                yield response
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            raise self.gone(str(error) or type(error).__name__) from error

    def _refused(self, status: int, answer: bytes) -> EngineRefusedError:
        try:
            said = str(json.loads(answer)["message"])
        except (ValueError, KeyError, TypeError):
            said = answer.decode(errors="replace").strip() or f"HTTP status {status}"
        if said.endswith(_GONE_MEANWHILE):
            status = _NOT_FOUND
        return EngineRefusedError(
            f"The container engine at {self.socket} refused: {said.rstrip('.')}.",
            status=status,
            said=said,
        )

    def gone(self, reason: str) -> EngineUnavailableError:
        """Return the error for an engine that went away."""
        return EngineUnavailableError(
            f"The container engine at {self.socket} does not answer ({reason}); check that dockerd "
            "or `podman system service` runs and that you may use its socket.",
            socket=str(self.socket),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def engine_socket(address: str) -> Path:
    """Return the socket that an address such as DOCKER_HOST names.

    Raises:
        SpecError: It is not a Unix socket.

    Example:
        >>> engine_socket("unix:///run/docker.sock")
        PosixPath('/run/docker.sock')
    """
    scheme, separator, path = address.partition("://")
    if not separator and address.startswith("/"):
        return Path(address)
    if scheme != "unix" or not path.startswith("/"):
        raise SpecError(
            f"Engine address {address!r} is not of the form unix:///path/to/socket; reach another "
            "machine's engine by forwarding its socket (ssh -L /tmp/engine.sock:/run/docker.sock).",
            address=address,
        )
    return Path(path)


def usual_sockets() -> tuple[Path, ...]:
    """Return where engines usually listen, this user's own ones included, the likeliest first."""
    own = Path(os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}"))
    return (
        Path("/var/run/docker.sock"),
        own / "docker.sock",
        own / "podman" / "podman.sock",
        Path("/run/podman/podman.sock"),
    )


def whole_seconds(duration_s: float) -> int:
    """Return a duration as the API takes it: whole seconds, never less than asked."""
    return math.ceil(duration_s)


def in_path(name: str) -> str:
    """Return a name as a part of a path."""
    return quote(name, safe=":@/")
