"""Why the bus's server does not run."""

from metertwin.core.errors import ConflictError, NotFoundError, UnavailableError


class ServerStartError(UnavailableError):
    """The server ended while starting, or does not answer."""

    code = "bus.server_start"


class ServerMissingError(NotFoundError):
    """The server's program is not installed."""

    code = "bus.server_missing"


class PortInUseError(ConflictError):
    """Somebody else listens on the bus's port."""

    code = "bus.port_in_use"


class StoreError(UnavailableError):
    """The place where streams are kept cannot be written, or is too small."""

    code = "bus.store"
