"""Why a meter did not answer, as one tree; `kind` is the word the gateway counts it under.

MeterLinkError
├── MeterUnreachableError    no connection: refused, no route, name unknown
├── MeterSilentError         connected, and no answer within the time limit
├── LinkBrokenError          the connection ended or its frames are damaged
├── AssociationRefusedError  the meter does not accept the client, its password or key
├── AnswerError              the meter answered, but not what the question needs
└── EffectError              a command was carried out and the meter shows no effect
"""

from typing import ClassVar

from metertwin.core.errors import InvalidInputError, UnavailableError


class MeterLinkError(UnavailableError):
    """A meter could not be read or commanded."""

    code = "meter"
    kind: ClassVar[str] = "other"


class MeterUnreachableError(MeterLinkError):
    """No connection to the meter can be made."""

    code = "meter.unreachable"
    kind = "unreachable"


class MeterSilentError(MeterLinkError):
    """The meter is connected and did not answer in time."""

    code = "meter.silent"
    kind = "silent"


class LinkBrokenError(MeterLinkError):
    """The connection ended in the middle, or what arrived is no frame."""

    code = "meter.broken"
    kind = "broken"


class AssociationRefusedError(MeterLinkError):
    """The meter refused the association: client address, password or key."""

    code = "meter.association"
    kind = "association"


class AnswerError(MeterLinkError):
    """The meter answered with a refusal, or with something the question has no use for."""

    code = "meter.answer"
    kind = "answer"


class EffectError(MeterLinkError):
    """The meter accepted a command and shows no effect."""

    code = "meter.effect"
    kind = "effect"


class RegistryError(InvalidInputError):
    """The file of meters cannot be used; the sentence lists every problem found."""

    code = "input.meters"


class LayoutError(InvalidInputError):
    """What a meter captures or pushes cannot be told apart as readings."""

    code = "input.layout"
