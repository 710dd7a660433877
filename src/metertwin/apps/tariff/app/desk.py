"""What all requests work with: the configuration, the state, and months rated a moment ago."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from metertwin.apps.app import Asked, History
from metertwin.apps.tariff.app.settings import BillingSettings
from metertwin.apps.tariff.app.so_far import OpenMonths, open_months
from metertwin.apps.tariff.app.state import State
from metertwin.apps.tariff.app.usage import UsageReader
from metertwin.apps.view import GroupView
from metertwin.core.errors import NotFoundError
from metertwin.core.ids import MeterId


@dataclass(slots=True)
class Desk:
    """The app's things.

    What was rated for one answer serves the next until something of the meter changes. A number
    per meter tells: whoever rates takes it before looking at intervals and keeps the result under
    it, so a result that is older than a change is never found again.
    """

    settings: BillingSettings
    state: State
    _change_counts: dict[MeterId, int] = field(default_factory=dict)
    _rated: dict[MeterId, tuple[tuple[int, int], OpenMonths]] = field(default_factory=dict)

    @property
    def reader(self) -> UsageReader:
        """What reads usages for this configuration and state."""
        return UsageReader(self.settings, self.state)

    def forget_rated(self, meters: Iterable[MeterId | None]) -> None:
        """Take note that something of these meters changed."""
        for meter in meters:
            if meter is not None:
                self._change_counts[meter] = self._change_counts.get(meter, 0) + 1

    def open_months(self, view: GroupView, row: int, history: History) -> OpenMonths:
        """Return a meter's months that are not issued; raises as `so_far.open_months`."""
        meter = view.meters[row]
        hour = int(view.now.timestamp()) // 3600  # the running month may be another one
        key = (self._change_counts.get(meter, 0), hour)
        kept = self._rated.get(meter)
        if kept is not None and kept[0] == key and not history:
            return kept[1]
        months = open_months(self.reader, view, row, history)
        if not history:
            self._rated[meter] = (key, months)
        return months


def row_of(view: GroupView, asked: Asked) -> int:
    """Return the row of the meter that was asked of; raises NotFoundError."""
    row = None if asked.meter is None else view.registers.row_of(asked.meter)
    if row is None:
        raise NotFoundError(f"The group has no meter {asked.meter}.", meter=asked.meter)
    return row
