"""The part of BER an association request and response are made of: tag, length, contents.

Only one-octet tags and definite lengths occur.
"""

from collections.abc import Iterator
from enum import IntEnum
from typing import TypeVar

from metertwin.cosem.apdu.enumerations import ApplicationContext, Mechanism
from metertwin.cosem.errors import DecodeError
from metertwin.cosem.lengths import encode_length
from metertwin.cosem.strings import read_octets

E = TypeVar("E", bound=IntEnum)

OCTET_STRING = 0x04
INTEGER = 0x02
# The object identifiers 2.16.756.5.8.1.x (application contexts) and 2.16.756.5.8.2.x (mechanisms)
# without their last arc.
_CONTEXT_NAME = bytes.fromhex("0607608574050801")
_MECHANISM_NAME = bytes.fromhex("608574050802")
# BIT STRING with one bit, set: "the authentication unit is used".
AUTHENTICATION_REQUIRED = bytes.fromhex("0780")


def field(tag: int, contents: bytes) -> bytes:
    """Return tag, length and contents."""
    return bytes((tag,)) + encode_length(len(contents)) + contents


def fields(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the tag and contents of each field.

    Raises:
        DecodeError: A field announces more octets than are left.
    """
    offset = 0
    while offset < len(octets):
        tag = octets[offset]
        contents, offset = read_octets(octets, offset + 1)
        yield tag, contents


def inner(contents: bytes, tag: int) -> bytes:
    """Return the contents of the one field that fills `contents` and must have this tag.

    Raises:
        DecodeError: Another tag stands there, or octets follow.
    """
    parts = list(fields(contents))
    if len(parts) != 1 or parts[0][0] != tag:
        raise DecodeError(f"One field {tag:02X} is due, here is {contents[:16].hex()}.")
    return parts[0][1]


def integer(contents: bytes) -> int:
    """Return the number of an INTEGER field that fills `contents`."""
    return int.from_bytes(inner(contents, INTEGER), "big")


def member(enumeration: type[E], number: int) -> E:
    """Return a member of a closed enumeration.

    Raises:
        DecodeError: The number is not one of them.
    """
    try:
        return enumeration(number)
    except ValueError:
        raise DecodeError(f"{number} is no {enumeration.__name__}.", number=number) from None


def context_name(context: ApplicationContext) -> bytes:
    """Return the application context name, with its own tag and length."""
    return _CONTEXT_NAME + bytes((context,))


def read_context_name(contents: bytes) -> ApplicationContext:
    """Read an application context name."""
    return member(ApplicationContext, _last_arc(contents, _CONTEXT_NAME))


def mechanism_name(mechanism: Mechanism) -> bytes:
    """Return the mechanism name, without tag and length: the field around it is implicit."""
    return _MECHANISM_NAME + bytes((mechanism,))


def read_mechanism_name(contents: bytes) -> Mechanism:
    """Read a mechanism name."""
    return member(Mechanism, _last_arc(contents, _MECHANISM_NAME))


def _last_arc(contents: bytes, prefix: bytes) -> int:
    if len(contents) != len(prefix) + 1 or not contents.startswith(prefix):
        raise DecodeError(f"{contents[:16].hex()} is no DLMS object identifier.")
    return contents[-1]
