"""What a meter sends unasked: data notifications (push) and event notifications."""

from dataclasses import dataclass

from metertwin.cosem.apdu.descriptors import AttributeDescriptor
from metertwin.cosem.apdu.enumerations import ApduTag
from metertwin.cosem.apdu.reader import Reader, octet_string, optional
from metertwin.cosem.data import Data, encode
from metertwin.cosem.errors import EncodeError

_PUSH_TAGS = frozenset(
    bytes((tag,))
    for tag in (
        ApduTag.DATA_NOTIFICATION,
        ApduTag.EVENT_NOTIFICATION_REQUEST,
        ApduTag.GLO_EVENT_NOTIFICATION_REQUEST,
        ApduTag.DED_EVENT_NOTIFICATION_REQUEST,
    )
)
_LONG_INVOKE_MAX = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class DataNotification:
    """A push.

    Attributes:
        long_invoke: The long invoke-id-and-priority: its lowest 24 bits count the pushes.
        sent_at: COSEM date-time of 12 octets, or nothing.
        body: What is pushed, as a rule a structure.
    """

    long_invoke: int
    sent_at: bytes
    body: Data

    def encode(self) -> bytes:
        """Return the APDU's octets.

        Raises:
            EncodeError: The long invoke id does not fit four octets.
        """
        if not 0 <= self.long_invoke <= _LONG_INVOKE_MAX:
            raise EncodeError(f"Long invoke id {self.long_invoke} does not fit four octets.")
        start = bytes((ApduTag.DATA_NOTIFICATION,)) + self.long_invoke.to_bytes(4, "big")
        return start + octet_string(self.sent_at) + encode(self.body)

    @classmethod
    def read(cls, reader: Reader) -> "DataNotification":
        """Read what follows the tag."""
        return cls(reader.uint(4), reader.octet_string(), reader.data())


@dataclass(frozen=True, slots=True)
class EventNotificationRequest:
    """One attribute the meter reports because something happened.

    Attributes:
        occurred_at: COSEM date-time, or None where the meter gives none.
        descriptor: The attribute.
        value: Its value.
    """

    occurred_at: bytes | None
    descriptor: AttributeDescriptor
    value: Data

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        when = None if self.occurred_at is None else octet_string(self.occurred_at)
        start = bytes((ApduTag.EVENT_NOTIFICATION_REQUEST,)) + optional(when)
        return start + self.descriptor.encode() + encode(self.value)

    @classmethod
    def read(cls, reader: Reader) -> "EventNotificationRequest":
        """Read what follows the tag."""
        occurred_at = reader.octet_string() if reader.is_present() else None
        return cls(occurred_at, AttributeDescriptor.read(reader), reader.data())


def is_push(apdu: bytes) -> bool:
    """Return whether an APDU's tag is that of a notification, plain or ciphered per service.

    Of an APDU under general ciphering nobody can tell before it is opened.
    """
    return apdu[:1] in _PUSH_TAGS
