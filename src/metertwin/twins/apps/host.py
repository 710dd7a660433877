"""The apps of one group: shown what is new in the very step that applies it, asked, and saved.

Nothing here waits: what an app concludes is put down as effects, and carried out by `carry_out`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from metertwin.apps.app import Asked, History, Outcome
from metertwin.apps.view import GroupView
from metertwin.core.clock import Clock, from_us
from metertwin.core.errors import MeterTwinError
from metertwin.core.obis import Obis
from metertwin.twins.apps.effects import Effects, effects_of
from metertwin.twins.apps.fresh import fresh_of
from metertwin.twins.apps.hosted_app import AppDownError, HostedApp, KeptState
from metertwin.twins.apps.series import Told
from metertwin.twins.apps.views import Views
from metertwin.twins.apps.window import IntervalWindow
from metertwin.twins.group import TwinGroup

_MINUTE_S = 60


class AppHost:
    """The apps that a site wants for one group.

    Attributes:
        apps: All of them, also those not at work.
        window: What is kept for them.
        effects: What they brought about and is not yet known to be carried out.
        absent_states: States of apps that are not listed now, kept for when they are again.
        has_news: Whether something changed beside the stream since the last checkpoint.
    """

    def __init__(self, group: TwinGroup, clock: Clock) -> None:
        settings = group.settings
        self.apps = [HostedApp.start(settings.id, grant, settings.share) for grant in settings.apps]
        self._refuse_doubles()
        self.window = IntervalWindow(
            _wanted_days(self.apps), group.columns.meters, settings.maximal_power_w
        )
        if self.apps:
            group.window = self.window
        self.effects: list[Effects] = []
        self.absent_states: dict[str, KeptState] = {}
        self.has_news = False
        self._group = group
        self._clock = clock
        self._minute = -1
        self._is_closed = False

    def now(self) -> datetime:
        """Return the time by the host's clock, in UTC."""
        return self._clock.now()

    def on_applied(self) -> None:
        """Show the apps what the batches just applied told; call it in the same step."""
        told = self.window.take_fresh()
        if self._is_closed:
            return
        for hosted in self.apps:
            if hosted.is_running:
                self._show(hosted, told)

    def on_time(self) -> None:
        """Show the window to apps that are behind, and wake those that want it each minute."""
        if self._is_closed:
            return
        for hosted in self.apps:
            if hosted.is_running and hosted.is_behind:
                self._show(hosted, {})
        now = self._clock.now()
        minute = int(now.timestamp()) // _MINUTE_S
        if minute == self._minute:
            return
        self._minute = minute
        for hosted in self.apps:
            if hosted.is_running and hosted.info is not None and hosted.info.wakes:
                with hosted.guarded("on_time"):
                    view = self.views(hosted).at(now)
                    self._conclude(hosted, hosted.at_work().on_time(view), now)
                self.has_news = True

    def open_view(self, hosted: HostedApp) -> GroupView:
        """Return what an app may see to answer a request; raises AppDownError."""
        hosted.at_work()
        if self._is_closed:
            raise AppDownError(
                f"Group {self._group.settings.id} was taken over by another host; ask again.",
                group=self._group.settings.id,
            )
        return self.views(hosted).at(self._clock.now())

    def change(self, hosted: HostedApp, asked: Asked, history: History) -> object:
        """Answer a request that changes the app, and put down what it brought about.

        Raises:
            MeterTwinError: What the app answers instead; nothing of it is changed then.
            AppDownError: It broke, or is not at work.
        """
        view = self.open_view(hosted)
        self.has_news = True
        try:
            before = hosted.at_work().save()
            try:
                answer = hosted.at_work().answer(view, asked, history)
                self._conclude(hosted, answer.outcome, view.now)
            except MeterTwinError:
                # Whoever hears an error asks again, perhaps under another id, and would get twice
                # what the app had half done.
                hosted.go_back(before)
                raise
        except MeterTwinError:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of the app, whatever it is
            hosted.fail(asked.name, error)
            hosted.at_work()
        return answer.value

    def views(self, hosted: HostedApp) -> Views:
        """Return what makes the views of an app."""
        assert hosted.info is not None
        return Views(self._group, self.window, hosted.info, hosted.grant.seed)

    def close(self) -> None:
        """Do nothing more: another host owns the group."""
        self._is_closed = True
        self.effects.clear()

    @property
    def is_closed(self) -> bool:
        """Whether the group is another host's."""
        return self._is_closed

    def facts(self) -> dict[str, object]:
        """Return how the apps stand and what the window costs."""
        wanted = self.window.wanted_days
        return {
            "apps": [hosted.facts() for hosted in self.apps],
            "window_bytes": self.window.size_bytes,
            "window_first": {
                str(obis): from_us(self.window.first_us(obis)).isoformat() for obis in wanted
            },
            "window_left_out": sorted(map(str, self.window.unusable)),
        }

    def _show(self, hosted: HostedApp, told: Mapping[Obis, Sequence[Told]]) -> None:
        assert hosted.info is not None
        wanted = hosted.info.registers
        now = from_us(self.window.now_us)
        if hosted.is_behind:
            fresh = self.window.everything(wanted)
            hosted.is_behind = bool(wanted) and not len(fresh.row)
        else:
            fresh = fresh_of(each for obis in wanted for each in told.get(obis, ()))
        if wanted and not len(fresh.row):
            return
        hosted.tally.call_count += 1
        with hosted.guarded("on_intervals"):
            view = self.views(hosted).at(now, fresh)
            self._conclude(hosted, hosted.at_work().on_intervals(view), now)

    def _conclude(self, hosted: HostedApp, outcome: Outcome, now: datetime) -> None:
        if outcome.outputs or outcome.findings or outcome.proposals:
            self.effects.append(effects_of(hosted, outcome, now))

    def _refuse_doubles(self) -> None:
        seen: set[str] = set()
        for hosted in self.apps:
            if hosted.name in seen:
                hosted.refuse(f"App {hosted.name} is listed twice; one group has it once.")
            seen.add(hosted.name)


def _wanted_days(apps: Sequence[HostedApp]) -> dict[Obis, int]:
    days: dict[Obis, int] = {}
    for hosted in apps:
        if hosted.info is not None and hosted.is_running:
            for obis in hosted.info.registers:
                days[obis] = max(days.get(obis, 0), hosted.info.window_days)
    return days
