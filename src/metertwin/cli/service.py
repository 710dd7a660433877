"""A role as a process: event loop, logs, and an end that is asked for."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import structlog
import uvloop

from metertwin.cli.heartbeat import EVERY_S, VARIABLE, show_life
from metertwin.core.errors import MeterTwinError
from metertwin.fleet.state import StateDirectory

RoleRunner = Callable[[StateDirectory, asyncio.Event], Awaitable[None]]
_SECRET_WORDS = ("token", "password", "seed", "key", "secret", "authorization")


def run_until_stopped(name: str, role: RoleRunner, state_dir: Path) -> None:
    """Run a role until it ends or the process is asked to.

    Args:
        name: The role's name, in every line it logs.
        role: Called with the state directory and an event that is set when it must end.
        state_dir: The site's state directory.

    Raises:
        MeterTwinError: Why the role could not run.
    """
    configure_logs(name)
    uvloop.run(_serve(name, role, StateDirectory(state_dir)))


async def _serve(name: str, role: RoleRunner, state: StateDirectory) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    log = structlog.get_logger(name)
    log.info("role_started", state=str(state.root))
    heart = asyncio.create_task(_beat(log), name="heartbeat")
    try:
        await role(state, stop)
    except ExceptionGroup as group:
        raise _known(group) from group
    finally:
        heart.cancel()
        log.info("role_ended", was_asked=stop.is_set())


async def _beat(log: structlog.typing.FilteringBoundLogger) -> None:
    """Show that the event loop runs, where somebody says into which file."""
    path = os.environ.get(VARIABLE)
    if path is None:
        return
    try:
        while True:
            show_life(Path(path))
            await asyncio.sleep(EVERY_S)
    except OSError as error:
        log.warning("no_heartbeat", path=path, reason=str(error))


def _known(group: ExceptionGroup[Exception]) -> Exception:
    """Return the first error of a group whose reason is known, else the group itself."""
    for error in group.exceptions:
        inner = _known(error) if isinstance(error, ExceptionGroup) else error
        if isinstance(inner, MeterTwinError):
            return inner
    return group


def configure_logs(role: str) -> None:
    """Let everything log one JSON object a line to stderr, with role and time, without secrets."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="logged_at"),
            _with_role(role),
            hide_secrets,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Libraries log through the standard library; what they say below a warning is their own matter.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format=_library_format(role))


def hide_secrets(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace the value of every field whose name sounds like a secret.

    Example:
        >>> hide_secrets(None, "info", {"event": "start", "api_token": "abc"})
        {'event': 'start', 'api_token': '(hidden)'}
    """
    for name in event:
        if any(word in name.lower() for word in _SECRET_WORDS):
            event[name] = "(hidden)"
    return event


def _with_role(role: str) -> Callable[..., MutableMapping[str, Any]]:
    def add_role(
        _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        event["role"] = role
        return event

    return add_role


def _library_format(role: str) -> str:
    return f'{{"level": "%(levelname)s", "role": "{role}", "event": "%(name)s: %(message)s"}}'
