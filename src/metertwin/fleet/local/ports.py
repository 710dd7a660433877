"""Ports of this machine that a site needs for itself."""

from metertwin.bus.server import why_taken
from metertwin.core.errors import UnavailableError


class PortTakenError(UnavailableError):
    """A port the site needs is in use."""

    code = "fleet.port_taken"


def port_of(url: str) -> int:
    """Return the port of a URL that has one.

    Example:
        >>> port_of("nats://127.0.0.1:4222")
        4222
    """
    return int(url.rsplit(":", 1)[1])


def check_api_port(host: str, port: int) -> None:
    """Raise PortTakenError if somebody already listens where the API shall."""
    if why := why_taken(host, port):
        raise PortTakenError(
            f"The API cannot listen on {host}:{port}: {why}. Stop what listens there (an earlier "
            "demonstration?), or give another port with --port.",
            port=port,
        )
