"""One month being rated, for a batch of meters: what all kinds of lines are made from."""

from collections.abc import Sequence
from dataclasses import dataclass

from metertwin.apps.tariff.rating.book import Book
from metertwin.apps.tariff.rating.carry import Carry
from metertwin.apps.tariff.rating.determinants import Determinants, RunEnergies
from metertwin.apps.tariff.rating.plan import Plan
from metertwin.apps.tariff.rating.usage import Contract


@dataclass(frozen=True, slots=True, eq=False)
class Month:
    """One month being rated: where lines go and what they are made from."""

    book: Book
    plan: Plan
    determinants: Determinants
    month_index: int
    carry: Carry
    contracts: Sequence[Contract] | None

    @property
    def exports(self) -> RunEnergies | None:
        """Energy fed in; None where there is none."""
        return self.determinants.exports
