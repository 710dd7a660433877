"""The tariff app: issues the bills of a group, rates again what changed, and answers for both.

It is the first app of the twin and the pattern for others: pure, deterministic, with all it goes by
in its state. Rating, tariffs and estimating are others' work (`rating`, `documents`, `core.vee`);
here is when they are applied, to which intervals, and what is said about it.
"""

from metertwin.apps.tariff.app.app import TariffApp

__all__ = ["TariffApp"]
