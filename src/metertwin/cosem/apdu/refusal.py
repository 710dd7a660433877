"""Answers that refuse an APDU as a whole: exception-response and confirmed service error."""

from dataclasses import dataclass

from metertwin.cosem.apdu.enumerations import (
    ApduTag,
    ConfirmedService,
    ExceptionReason,
    ServiceErrorGroup,
    StateError,
)
from metertwin.cosem.apdu.reader import Reader

_COUNTER_OCTETS = 4


@dataclass(frozen=True, slots=True)
class ExceptionResponse:
    """The server cannot process the APDU.

    Attributes:
        state_error: Whether the service is unknown or not allowed now.
        reason: Why.
        invocation_counter: With INVOCATION_COUNTER_ERROR alone: the lowest counter accepted next.
    """

    state_error: StateError
    reason: ExceptionReason
    invocation_counter: int | None = None

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        start = bytes((ApduTag.EXCEPTION_RESPONSE, self.state_error, self.reason))
        if self.reason is not ExceptionReason.INVOCATION_COUNTER_ERROR:
            return start
        return start + (self.invocation_counter or 0).to_bytes(_COUNTER_OCTETS, "big")

    @classmethod
    def read(cls, reader: Reader) -> "ExceptionResponse":
        """Read what follows the tag."""
        state_error, reason = reader.member(StateError), reader.member(ExceptionReason)
        if reason is ExceptionReason.INVOCATION_COUNTER_ERROR:
            return cls(state_error, reason, reader.uint(_COUNTER_OCTETS))
        return cls(state_error, reason)


@dataclass(frozen=True, slots=True)
class ConfirmedServiceError:
    """The server refuses a confirmed service, most often the initiate request in an AARQ.

    Attributes:
        service: Which service.
        group: Which list of reasons `value` is from.
        value: Its number in that list, 0 to 255.
    """

    service: ConfirmedService
    group: ServiceErrorGroup
    value: int

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        return bytes((ApduTag.CONFIRMED_SERVICE_ERROR, self.service, self.group, self.value))

    @classmethod
    def read(cls, reader: Reader) -> "ConfirmedServiceError":
        """Read what follows the tag."""
        return cls(reader.member(ConfirmedService), reader.member(ServiceErrorGroup), reader.uint())
