"""Rating: from interval energies and a tariff to exact bills, for one meter or a fleet in one pass.

Intervals are reduced to determinants (energy per month, period and block; peaks per demand charge)
in a few passes over integers, then priced as whole columns of exact decimals. A bill with its
sentences is made only for the meter somebody asks about.
"""

from metertwin.apps.tariff.rating.carry import Carry, CarryError
from metertwin.apps.tariff.rating.checks import check_tariff
from metertwin.apps.tariff.rating.compare import compare
from metertwin.apps.tariff.rating.engine import rate
from metertwin.apps.tariff.rating.rated import Rated
from metertwin.apps.tariff.rating.switches import check_intervals
from metertwin.apps.tariff.rating.usage import (
    Contract,
    Dynamics,
    PriceSeries,
    RatingError,
    UsageBatch,
)

__all__ = [
    "Carry",
    "CarryError",
    "Contract",
    "Dynamics",
    "PriceSeries",
    "Rated",
    "RatingError",
    "UsageBatch",
    "check_intervals",
    "check_tariff",
    "compare",
    "rate",
]
