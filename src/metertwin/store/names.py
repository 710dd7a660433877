"""Small whole numbers for names that recur in millions of rows.

A dictionary lives in memory and in a table. A new name gets its number at once and is written with
the next transaction; until that one is durable the name stays among the new ones, so a failed
transaction costs nothing.
"""

from collections.abc import Hashable, Iterable, Sequence
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)


class Names(Generic[Name]):
    """Names numbered from 0 in the order they were met.

    Args:
        durable: The names already in the table, in the order of their numbers.
    """

    def __init__(self, durable: Iterable[Name] = ()) -> None:
        self._names: list[Name] = list(durable)
        self._numbers: dict[Name, int] = {name: n for n, name in enumerate(self._names)}
        self._durable_count = len(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, number: int) -> Name:
        return self._names[number]

    def find(self, name: Name) -> int | None:
        """Return the name's number, or None for a name never met."""
        return self._numbers.get(name)

    def find_each(self, names: Sequence[Name]) -> list[int | None]:
        """Return the number of each name, None for one never met."""
        return list(map(self._numbers.get, names))

    def number(self, name: Name) -> int:
        """Return the name's number, a new one if it was never met."""
        known = self._numbers.get(name)
        if known is not None:
            return known
        fresh = len(self._names)
        self._names.append(name)
        self._numbers[name] = fresh
        return fresh

    def unwritten(self) -> list[tuple[int, Name]]:
        """Return the numbers and names that are not durable yet."""
        return list(enumerate(self._names[self._durable_count :], start=self._durable_count))

    def written_up_to(self, count: int) -> None:
        """Note that the names numbered below `count` are durable."""
        self._durable_count = count
