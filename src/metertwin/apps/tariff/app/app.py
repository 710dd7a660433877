"""The app: what it says of itself, what it does with intervals and time, whom requests go to."""

from collections.abc import Sequence
from dataclasses import replace

from metertwin.apps.app import (
    NOTHING,
    Answer,
    AppInfo,
    AppSettings,
    Asked,
    History,
    HistoryWanted,
    Outcome,
)
from metertwin.apps.tariff.app.arrivals import take_note
from metertwin.apps.tariff.app.desk import Desk
from metertwin.apps.tariff.app.prepaid import watch_purses
from metertwin.apps.tariff.app.requests import HANDLERS, KINDS
from metertwin.apps.tariff.app.run import BillingRun
from metertwin.apps.tariff.app.settings import USUAL_REGISTERS, read_settings
from metertwin.apps.tariff.app.state import State, joined
from metertwin.apps.view import GroupView
from metertwin.core.ids import MeterId

_HOUR_S = 3600
# The running month and the last, while a week before it and three days behind it are at hand.
_WINDOW_DAYS = 72

INFO = AppInfo(
    name="tariff",
    version="1.0.0",
    requests=KINDS,
    registers=USUAL_REGISTERS.all(),
    window_days=_WINDOW_DAYS,
    wakes=True,
)


class TariffApp:
    """Bills a group of meters by their tariffs; docs/billing.md says what is issued when.

    Args:
        settings: `config` as `read_settings` takes it.

    Raises:
        AppSettingsError: The configuration cannot be used.
    """

    info = INFO

    def __init__(self, settings: AppSettings) -> None:
        billing = read_settings(settings.config)
        self.info = replace(INFO, registers=billing.registers.all())
        self._desk = Desk(billing, State())

    def on_intervals(self, view: GroupView) -> Outcome:
        """Take note of what came; it is looked at in the next billing run."""
        take_note(self._desk, view)
        return NOTHING

    def on_time(self, view: GroupView) -> Outcome:
        """Run billing if an hour began since the last run."""
        desk, hour = self._desk, int(view.now.timestamp()) // _HOUR_S
        if hour <= desk.state.run_hours:
            return NOTHING
        desk.state.run_hours = hour
        run = BillingRun(desk.reader, view)
        run.run()
        desk.forget_rated(output.meter for output in run.outputs)
        return Outcome(run.outputs, [*run.findings, *watch_purses(desk, view)])

    def history_wanted(self, view: GroupView, asked: Asked) -> HistoryWanted | None:
        """Say which intervals answering needs; raises what `answer` would, where it is known."""
        return HANDLERS[asked.name].wanted(self._desk, view, asked)

    def answer(self, view: GroupView, asked: Asked, history: History) -> Answer:
        """Answer a request; raises an error of `core.errors` where it cannot."""
        return HANDLERS[asked.name].answer(self._desk, view, asked, history)

    def save(self) -> bytes:
        """Return the state; equal states give equal bytes."""
        return self._desk.state.pack()

    def share(self, meters: Sequence[MeterId]) -> bytes:
        """Return the state as if the group had been these meters only."""
        return self._desk.state.of(frozenset(meters)).pack()

    def join(self, states: Sequence[bytes]) -> bytes:
        """Return one state of several; raises AppStateError for one of another version."""
        return joined([State.unpack(each) for each in states]).pack()

    def restore(self, octets: bytes) -> None:
        """Take a state back; raises AppStateError for one of another version."""
        self._desk = Desk(self._desk.settings, State.unpack(octets))
