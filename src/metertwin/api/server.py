"""The API as a server: uvicorn in the caller's event loop, until it is asked to end."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address

import structlog
import uvicorn

from metertwin.api.application import build_application
from metertwin.api.commands import CommandBook
from metertwin.api.context import ApiContext, ApiSettings
from metertwin.api.directory import GroupDirectory
from metertwin.api.feed import LiveFeed
from metertwin.api.gate import Gate
from metertwin.api.health import HealthCheck
from metertwin.api.live import LiveHub
from metertwin.api.metrics import ApiMetrics
from metertwin.bus.connection import Bus
from metertwin.core.clock import Clock
from metertwin.core.errors import UnavailableError
from metertwin.fleet.token import ensure_token

_GRACE_S = 5  # for answers begun when the end is asked for
_log = structlog.get_logger(__name__)


class ApiPortError(UnavailableError):
    """The API cannot listen where it should."""

    code = "unavailable.api_port"


class _Server(uvicorn.Server):
    """uvicorn that tells when it listens, and leaves signals to whoever started the API."""

    def __init__(self, config: uvicorn.Config, on_listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self._on_listening()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def serve_api(
    settings: ApiSettings,
    bus: Bus,
    clock: Clock,
    stop: asyncio.Event,
    on_listening: Callable[[int], None] | None = None,
) -> None:
    """Serve until `stop` is set.

    Args:
        settings: Where to listen, which groups.
        bus: A connection of role api.
        clock: The site's clock.
        stop: Set it to end: streams are closed, answers begun are finished.
        on_listening: Told the port once the API listens.

    Raises:
        TokenError: The token file cannot be used.
        ApiPortError: Something else listens on the port.
    """
    token = ensure_token(settings.token_file)
    listening = _listen(settings)
    metrics = ApiMetrics()
    hub = LiveHub(metrics.stream_missed.inc)
    book = CommandBook()
    context = ApiContext(
        settings=settings,
        bus=bus,
        clock=clock,
        directory=GroupDirectory(bus, settings.groups, stood_in=settings.stood_in),
        live=hub,
        book=book,
        health=HealthCheck(bus, settings.site, settings.groups),
        metrics=metrics,
    )
    feed = LiveFeed(bus, hub, book)
    await feed.start()
    port = int(listening.getsockname()[1])

    def tell() -> None:
        _log.info("api_listens", host=settings.host, port=port)
        if on_listening is not None:
            on_listening(port)

    if not ip_address(listening.getsockname()[0]).is_loopback:
        # The token crosses the network in clear: a proxy with TLS belongs in front.
        _log.warning("api_reachable_from_outside_without_tls", host=settings.host)
    server = _Server(_uvicorn(build_application(context, token)), tell)
    try:
        async with asyncio.TaskGroup() as tasks:
            end = tasks.create_task(_end(server, feed, stop))
            await server.serve([listening])
            end.cancel()
    finally:
        await feed.stop()
        listening.close()


async def _end(server: uvicorn.Server, feed: LiveFeed, stop: asyncio.Event) -> None:
    await stop.wait()
    await feed.stop()  # first: a stream that is open would keep the server from ending
    server.should_exit = True


def _uvicorn(application: Gate) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        http="httptools",
        loop="none",  # the caller's
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # the gate counts; a line per request would cost more than the answer
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_S,
    )


def _listen(settings: ApiSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        raise ApiPortError(
            f"The API cannot listen on {settings.host}:{settings.port}: {error.strerror}; stop "
            "what listens there, or give the site another api_port.",
            host=settings.host,
            port=settings.port,
        ) from error
    return listening
