"""OBIS codes: which quantity a value is, in six groups A-B:C.D.E*F.

A is the medium, B the channel, C the quantity, D the processing, E the tariff or harmonic, F the
billing period; 255 stands for "not used". Source of the printed form: IEC 62056-6-1.
"""

import re
from functools import lru_cache
from typing import NamedTuple, Self

from metertwin.core.errors import InvalidInputError

_PRINTED = re.compile(
    r"(?:(?P<a>\d{1,3})-)?(?:(?P<b>\d{1,3}):)?(?P<c>\d{1,3})\.(?P<d>\d{1,3})"
    r"(?:\.(?P<e>\d{1,3}))?(?:[*&](?P<f>\d{1,3}))?",
    re.ASCII,
)
_LOGICAL_NAME = re.compile(r"\d{1,3}(?:\.\d{1,3}){5}", re.ASCII)
_UNUSED = 255


class ObisError(InvalidInputError):
    """The text or bytes are not an OBIS code."""

    code = "input.obis"


class Obis(NamedTuple):
    """One OBIS code, all six groups, each 0 to 255.

    Example:
        >>> Obis.parse("1-0:1.8.0*255")
        Obis(a=1, b=0, c=1, d=8, e=0, f=255)
        >>> str(Obis.parse("1.0.32.7.0.255"))
        '1-0:32.7.0*255'
    """

    a: int
    b: int
    c: int
    d: int
    e: int
    f: int = _UNUSED

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the printed form `A-B:C.D.E*F` or the logical name `A.B.C.D.E.F`.

        Left-out groups take the values the printed form gives them on an electricity meter:
        A = 1, B = 0, E and F = 255.

        Raises:
            ObisError: The text has another form or a group is above 255.
        """
        if _LOGICAL_NAME.fullmatch(text):
            groups = [int(group) for group in text.split(".")]
        elif match := _PRINTED.fullmatch(text):
            defaults = {"a": 1, "b": 0, "e": _UNUSED, "f": _UNUSED}
            groups = [int(match[name] or defaults.get(name, 0)) for name in "abcdef"]
        else:
            raise ObisError(
                f"{text[:40]!r} is not an OBIS code; write A-B:C.D.E*F, for example 1-0:1.8.0*255.",
                text=text[:40],
            )
        if max(groups) > _UNUSED:
            raise ObisError(
                f"OBIS code {text} has a group of {max(groups)}; each of the six is 0 to 255.",
                text=text,
            )
        return cls(*groups)

    @classmethod
    def from_bytes(cls, octets: bytes) -> Self:
        """Read the six octets of a logical name.

        Raises:
            ObisError: There are not exactly six octets.
        """
        if len(octets) != 6:
            raise ObisError(
                f"A logical name has 6 octets, here are {len(octets)}.", octets=octets[:16].hex()
            )
        return cls(*octets)

    def to_bytes(self) -> bytes:
        """Return the six octets of the logical name."""
        return bytes(self)

    def __str__(self) -> str:
        return f"{self.a}-{self.b}:{self.c}.{self.d}.{self.e}*{self.f}"


@lru_cache(maxsize=4096)
def parse_cached(text: str) -> Obis:
    """Parse as `Obis.parse`; the hot path meets the same few codes again and again."""
    return Obis.parse(text)
