"""Every error the COSEM package raises, as one tree.

CosemError
├── EncodeError            a value does not fit its type
├── DecodeError            octets are not what the standard says
│   └── UnexpectedTypeError    well formed, but another data type than the reader needs
├── FrameError             a wrapper or HDLC frame is broken
├── SecurityError          a ciphered APDU cannot be trusted
│   └── ReplayError            its invocation counter was used before
├── AssociationError       the association was refused, or is not open
├── ServiceError           the meter answered the service with a refusal
└── ProtocolError          the answer does not fit the question
    └── ExceptionAnswerError   the meter answered with an exception-response
"""

from enum import IntEnum

from metertwin.core.errors import MeterTwinError


class CosemError(MeterTwinError):
    """Root of the COSEM errors."""

    code = "cosem"


class EncodeError(CosemError):
    """A value does not fit the type it is to be encoded as."""

    code = "cosem.encode"


class DecodeError(CosemError):
    """The octets break the encoding rules.

    Args:
        message: What is wrong.
        offset: Where, in octets from the start of what was decoded.
        **facts: The values the sentence mentions.
    """

    code = "cosem.decode"

    def __init__(self, message: str, *, offset: int = 0, **facts: object) -> None:
        super().__init__(message, offset=offset, **facts)
        self.offset = offset


class UnexpectedTypeError(DecodeError):
    """A value is well formed but of another type than the reader needs."""

    code = "cosem.type"


class FrameError(CosemError):
    """A wrapper or HDLC frame is broken; the connection cannot be resynchronised by guessing."""

    code = "cosem.frame"


class SecurityError(CosemError):
    """A ciphered APDU fails its check, or does not have the protection the association demands."""

    code = "cosem.security"


class ReplayError(SecurityError):
    """The invocation counter is not above the last one accepted from this sender."""

    code = "cosem.replay"


class AssociationError(CosemError):
    """The association was refused, failed its authentication, or is not open."""

    code = "cosem.association"


class ServiceError(CosemError):
    """The meter refused the service.

    Args:
        message: What was refused and why.
        result: The DataAccessResult or ActionResult the meter gave.
        **facts: The values the sentence mentions.
    """

    code = "cosem.service"

    def __init__(self, message: str, *, result: IntEnum, **facts: object) -> None:
        super().__init__(message, result=result.name, **facts)
        self.result = result


class ProtocolError(CosemError):
    """An answer does not fit the question: another service, invoke id or block number."""

    code = "cosem.protocol"


class ExceptionAnswerError(ProtocolError):
    """The meter answered with an exception-response or a confirmed service error."""

    code = "cosem.exception"
