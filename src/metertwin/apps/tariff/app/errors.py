"""Why a request about bills cannot be answered."""

from metertwin.core.errors import ConflictError, InvalidInputError, NotFoundError


class BillingRequestError(InvalidInputError):
    """An argument of a request makes no sense."""

    code = "input.billing_request"


class NotBilledError(NotFoundError):
    """The meter has no tariff here."""

    code = "not_found.tariff"


class NoUsageError(NotFoundError):
    """There are no intervals of the time asked about."""

    code = "not_found.usage"


class UnknownEditError(NotFoundError):
    """No edit of that name was made."""

    code = "not_found.edit"


class NoPriceError(NotFoundError):
    """Real-time prices of the time asked about are not known."""

    code = "not_found.price"


class TopUpConflictError(ConflictError):
    """A payment of that name was made with another amount."""

    code = "conflict.top_up"


class ClosedMonthError(ConflictError):
    """The month is too old to be rated again."""

    code = "conflict.closed_month"
