"""What is wrong with a document: every problem with its place, reported together."""

from collections.abc import Sequence
from dataclasses import dataclass

from metertwin.core.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: Where in the document, for example `energy.periods.peak.blocks[1].price_per_kwh`;
            empty for the document itself.
        line_number: From 1; None where the document has no lines.
        sentence: What is wrong, the value with its unit, the rule, what to check.
    """

    path: str
    line_number: int | None
    sentence: str

    def __str__(self) -> str:
        line = "" if self.line_number is None else f"line {self.line_number}"
        place = ", ".join(part for part in (line, self.path) if part)
        return f"{place}: {self.sentence}" if place else self.sentence


class DocumentError(InvalidInputError):
    """A document that cannot be read; `problems` has all that was found."""

    code = "input.document"

    def __init__(self, where: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        if len(self.problems) == 1:
            text = f"{where}: {self.problems[0]}"
        else:
            listed = "".join(f"\n  {problem}" for problem in self.problems)
            text = f"{where} has {len(self.problems)} problems:{listed}"
        super().__init__(text, where=where, problems=[str(problem) for problem in self.problems])


@dataclass(frozen=True, slots=True)
class DocumentKind:
    """What a document is meant to be, for sentences and errors.

    Attributes:
        noun: What one file holds, for example `tariff`.
        plural: Such documents, for example `tariffs`.
        error: What is raised for one that cannot be read.
    """

    noun: str
    plural: str
    error: type[DocumentError]


class Refused(Exception):  # noqa: N818  a way out of a reader, never seen outside
    """A part could not be read; why is among the problems already."""
