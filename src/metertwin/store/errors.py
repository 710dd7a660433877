"""What can be wrong with a history store: what, where, and what to do about it."""

from metertwin.core.errors import InvalidInputError, MeterTwinError, UnavailableError


class StoreUnavailableError(UnavailableError):
    """The store cannot be read or written now; nothing was changed, trying again can work."""

    code = "store.unavailable"


class StoreLockedError(StoreUnavailableError):
    """Another process has the history file open."""

    code = "store.locked"


class StoreFullError(StoreUnavailableError):
    """The disk under the history file takes no more."""

    code = "store.full"


class StoreDamagedError(MeterTwinError):
    """The history file is not what it was when it was written; waiting does not help."""

    code = "store.damaged"


class StoreVersionError(MeterTwinError):
    """The history file has a layout this program does not know."""

    code = "store.version"


class LimitError(InvalidInputError):
    """A question asks for more rows than one answer may have."""

    code = "input.limit"
