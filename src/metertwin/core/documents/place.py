"""A place in a document while it is read: where it is, what is there, what is wrong with it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TypeVar

from metertwin.core.documents.nodes import Node, joined
from metertwin.core.documents.problems import Problem, Refused

T = TypeVar("T")


@dataclass(slots=True)
class Place:
    """Where a reader is.

    A reader returns a value, or notes why not and raises Refused; what contains it goes on with
    its other parts, so that all problems of a document come to light together.

    Attributes:
        problems: Shared by all places of a document.
        has_failed: A part of this place could not be read.
    """

    node: Node
    path: str
    problems: list[Problem]
    has_failed: bool = field(default=False, init=False)

    def wrong(self, sentence: str) -> Refused:
        """Note a problem and return what to raise."""
        self.problems.append(Problem(self.path, self.node.line_number, sentence))
        return Refused()

    @contextmanager
    def part(self) -> Iterator[None]:
        """Read a part; if it is refused, go on and remember it."""
        try:
            yield
        except Refused:
            self.has_failed = True

    def finish(self) -> None:
        """Raise Refused if a part could not be read."""
        if self.has_failed:
            raise Refused

    def text(self, what: str) -> str:
        """Return the text here; `what` says what it should be."""
        content = self.node.content
        if isinstance(content, str):
            return content
        if content is None:
            raise self.wrong(f"Nothing stands here; give {what}, or leave the key out.")
        kind = "list" if isinstance(content, list) else "mapping"
        raise self.wrong(f"A {kind} stands here; give {what}.")

    def items(self, what: str) -> "list[Place]":
        """Return the places of a list of `what`."""
        content = self.node.content
        if not isinstance(content, list):
            is_yaml = self.node.line_number is not None
            form = ", each with `- ` before it" if is_yaml else ""
            raise self.wrong(f"Give a list of {what}{form}.")
        return [Place(n, f"{self.path}[{i}]", self.problems) for i, n in enumerate(content)]

    def entries(self, what: str) -> "dict[str, Place]":
        """Return the places of a mapping whose keys are names of `what`."""
        content = self.node.content
        if not isinstance(content, dict) or not content:
            raise self.wrong(f"Give {what}, each as `name: value`.")
        return {
            key: Place(node, joined(self.path, key), self.problems) for key, node in content.items()
        }

    def fields(self, known: Sequence[str], required: Sequence[str] = ()) -> "dict[str, Place]":
        """Return the places of known keys; unknown and missing ones are problems."""
        places = self.entries(f"keys of {', '.join(known)}")
        for key in list(places):
            if key not in known:
                places.pop(key).wrong(_unknown(key, known))
                self.has_failed = True
        for key in required:
            if key not in places:
                self.wrong(f"The key {key} is missing.")
                self.has_failed = True
        return places

    def each(self, what: str, reader: "Callable[[Place], T]") -> list[T]:
        """Return what a reader makes of each item of a list."""
        values: list[T] = []
        for place in self.items(what):
            with self.part():
                values.append(reader(place))
        self.finish()
        return values


def _unknown(key: str, known: Sequence[str]) -> str:
    if key.isdigit():
        return "Within braces a comma ends the value before it; write decimals with a point."
    return f"This key is not known{suggestion(key, known)}."


def suggestion(word: str, known: Sequence[str]) -> str:
    """Return the end of a sentence that names the nearest known word, or all of them.

    Example:
        >>> suggestion("tiers_rule", ["tier_rule", "periods"])
        '; did you mean tier_rule'
        >>> suggestion("x", ["tier_rule", "periods"])
        '; known are tier_rule, periods'
    """
    near = get_close_matches(word[:100], known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}" if near else f"; known are {', '.join(known)}"
