"""A rate's fields while they are read: each is taken once, what is left over is reported."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

from metertwin.apps.tariff.documents.urdb.findings import Findings
from metertwin.apps.tariff.documents.urdb.structures import read_number
from metertwin.core.documents.place import Place
from metertwin.core.documents.problems import Refused

T = TypeVar("T")
_ZERO = re.compile(r"0+(\.0+)?")


@dataclass(slots=True)
class RateFields:
    """The fields of one rate, by name in lower case.

    Attributes:
        places: Fields that nobody took yet; those without a value are not among them.
        has_failed: A field could not be read.
    """

    places: dict[str, Place]
    findings: Findings
    has_failed: bool = field(default=False)

    @classmethod
    def of(cls, root: Place) -> "RateFields":
        """Return the fields of a rate that say something."""
        result = cls({}, Findings())
        for name, place in root.entries("fields of a rate").items():
            if name.lower() in result.places:
                place.wrong("The field stands here twice, in capital and small letters.")
                result.has_failed = True
            elif place.node.content not in (None, "", [], {}):
                result.places[name.lower()] = place
        return result

    def take(self, name: str) -> Place | None:
        """Return a field's place, which is dealt with thereby; None if the rate lacks it."""
        return self.places.pop(name, None)

    def read(self, name: str, reader: Callable[[Place], T]) -> T | None:
        """Take a field and read it; None if the rate lacks it or it could not be read."""
        place = self.take(name)
        if place is None:
            return None
        try:
            return reader(place)
        except Refused:
            self.has_failed = True
            return None

    def number(self, name: str) -> Decimal:
        """Take a number; 0 if the rate lacks it."""
        return self.read(name, read_number) or Decimal(0)

    def text(self, name: str) -> str:
        """Take a text; empty if the rate lacks it."""
        return self.read(name, lambda place: place.text("a text")) or ""

    def has_no(self, prices: str, *names: str) -> None:
        """Take fields that say nothing without `prices`, which the rate lacks, and note it."""
        for name in names:
            if self.take(name) is not None:
                self.findings.notes.append(f"{name} has nothing to say: there is no {prices}.")

    def lacks(self, name: str, reason: str, effect: str) -> None:
        """Take a field and report it as unsupported, if the rate has it and it is not 0."""
        place = self.take(name)
        if place is not None and not _ZERO.fullmatch(as_written(place)):
            self.findings.lacks(name, as_written(place), reason, effect)


def as_written(place: Place) -> str:
    """Return a field's value for a report."""
    content = place.node.content
    if isinstance(content, str) or content is None:
        return content or ""
    plain = (
        [as_written(Place(node, "", [])) for node in content]
        if isinstance(content, list)
        else [f"{key}: {as_written(Place(node, '', []))}" for key, node in content.items()]
    )
    return f"[{', '.join(plain)}]" if isinstance(content, list) else f"{{{', '.join(plain)}}}"
