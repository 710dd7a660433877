"""The root of every error MeterTwin raises on purpose.

An error carries a stable `code` for programs, a message in one sentence for people (what, where,
the value with its unit, the rule, what to check) and its facts as a mapping, so that the HTTP
problem document and the log line need not parse the sentence.
"""

from typing import ClassVar


class MeterTwinError(Exception):
    """An error whose reason is known.

    Args:
        message: One sentence or two: what, where, value with unit, rule, what to check.
        **facts: The values the sentence mentions, by name.
    """

    code: ClassVar[str] = "metertwin"

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.facts: dict[str, object] = facts


class InvalidInputError(MeterTwinError):
    """Something given to us breaks a rule; the giver can mend it."""

    code = "input.invalid"


class NotFoundError(MeterTwinError):
    """The thing asked for does not exist here."""

    code = "not_found"


class ConflictError(MeterTwinError):
    """The request contradicts what is already so: another owner, another value under one key."""

    code = "conflict"


class DeadlineError(MeterTwinError):
    """The answer did not come before the caller's deadline."""

    code = "deadline"


class UnavailableError(MeterTwinError):
    """A part this depends on does not answer now; trying again later can work."""

    code = "unavailable"


class RefusedError(MeterTwinError):
    """The caller is known, and may not do this."""

    code = "refused"
