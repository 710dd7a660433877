"""What an import has to say beside the tariff: how it read the rate, and what it could not take."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A field whose meaning does not, or not surely, reach the bill.

    Attributes:
        name: The field.
        value: What it says, shortened.
        reason: Why it is not taken.
        effect: How a bill may differ from the utility's.
    """

    name: str
    value: str
    reason: str
    effect: str

    def __str__(self) -> str:
        return f"{self.name} = {self.value}: {self.reason}. Effect: {self.effect}."


@dataclass(slots=True)
class Findings:
    """Collects notes, and what is unsupported, while a rate is read."""

    notes: list[str] = field(default_factory=list)
    unsupported: list[Unsupported] = field(default_factory=list)

    def lacks(self, name: str, value: object, reason: str, effect: str) -> None:
        """Report a field as unsupported; `value` is shortened."""
        text = str(value)
        shown = text if len(text) <= 80 else text[:77] + "..."
        self.unsupported.append(Unsupported(name, shown, reason, effect))
