"""The carry of a meter by itself, and of several as the columns that rating takes."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from metertwin.apps.tariff.rating import Carry
from metertwin.apps.tariff.rating.fixed import Fixed
from metertwin.apps.tariff.rating.words import tidy

_NOTHING = Decimal(0)


def joined(carries: Sequence[Mapping[str, Decimal]]) -> Carry:
    """Return the carries of meters as one, a row each."""
    names = sorted({name for carry in carries for name in carry})
    columns = {name: Fixed.of([carry.get(name, _NOTHING) for carry in carries]) for name in names}
    return Carry.fresh(len(carries)).with_columns(columns)


def split(carry: Carry) -> list[dict[str, Decimal]]:
    """Return the carry of each meter: what is not 0, by name.

    Decimals have no needless zeros, so that a meter's carry does not depend on who was rated with
    it.
    """
    apart: list[dict[str, Decimal]] = [{} for _ in range(carry.meter_count)]
    for name in sorted(carry.columns):
        for row, value in enumerate(carry.columns[name].rows()):
            if value:
                apart[row][name] = tidy(value)
    return apart
