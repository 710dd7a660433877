"""Numbers and times of a Green Button file, checked; what is wrong is collected, not raised."""

from datetime import datetime
from decimal import Decimal

from metertwin.core.clock import from_us
from metertwin.core.units import scaled
from metertwin.exchange.green_button.document import Node

INT48_MAX = 1 << 47
TIME_MAX_S = 7_258_118_400  # 2200-01-01: later times are mistakes, such as milliseconds
LENGTH_MAX_S = 0xFFFFFFFF
AMOUNT_DIGITS = 5


def integer_of(text: str | None, limit: int = INT48_MAX) -> int | None:
    """Return a whole number of at most +-`limit`; None for anything else."""
    text = (text or "").strip()
    digits = text[1:] if text[:1] in {"-", "+"} else text
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        return None
    value = int(text)
    return value if -limit <= value <= limit else None


class Checked:
    """Reads the parts of one resource and collects what is wrong with them.

    Args:
        node: The resource.
        where: What to call it in problems.
        problems: Where problems go.
    """

    def __init__(self, node: Node, where: str, problems: list[str]) -> None:
        self._node = node
        self._where = where
        self._problems = problems

    def integer(self, *path: str, limit: int = INT48_MAX) -> int | None:
        """Return a whole number; None where it is absent or, with a problem, not one."""
        text = self._node.text_at(*path)
        if not text:
            return None
        value = integer_of(text, limit)
        if value is None:
            self._problems.append(
                f"{self._where} has {path[-1]} {text[:40]!r}, which is no whole number within "
                f"+-{limit}"
            )
        return value

    def moment(self, *path: str) -> datetime | None:
        """Return a time given as seconds since 1970; None as with `integer`."""
        seconds = self.integer(*path, limit=TIME_MAX_S)
        if seconds is not None and seconds < 0:
            self._problems.append(f"{self._where} has {path[-1]} {seconds}, before 1970")
            return None
        return None if seconds is None else from_us(seconds * 1_000_000)

    def amount(self, *path: str) -> Decimal | None:
        """Return money given in hundred-thousandths; None as with `integer`."""
        value = self.integer(*path)
        return None if value is None else scaled(value, -AMOUNT_DIGITS)

    def measured(self, *path: str) -> tuple[Decimal, int] | None:
        """Return a SummaryMeasurement's value, its multiplier applied, and its unit's code."""
        value = self.integer(*path, "value")
        multiplier = self.integer(*path, "powerOfTenMultiplier", limit=12)
        if value is None:
            return None
        return scaled(value, multiplier or 0), self.integer(*path, "uom") or 0
