"""What an app is: the one contract between an app and whoever hosts it.

An app is made per group by its factory, found by the entry point group `metertwin.apps`. Its host,
be it a twin host, a rehearsal over history or a test, calls it from one thread with a view of the
group and carries out what it returns. The app keeps its state in itself, gives it away in `save`
and takes it back in `restore`; given the same calls it returns the same, so whatever happened after
the last checkpoint happens again, equally, when the stream is replayed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable

from metertwin.apps.view import GroupView
from metertwin.core.command import Arguments, CommandKind
from metertwin.core.errors import ConflictError, InvalidInputError, NotFoundError, RefusedError
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.interval_table import IntervalTable
from metertwin.core.obis import Obis

INTERFACE_VERSION = 1
ENTRY_POINTS = "metertwin.apps"


class AppSettingsError(InvalidInputError):
    """An app's configuration cannot be used; the app does not start."""

    code = "input.app_settings"


class AppStateError(ConflictError):
    """An app's saved state cannot be read by this version of it."""

    code = "conflict.app_state"


class UnknownAppError(NotFoundError):
    """No installed package has an app of that name and version."""

    code = "not_found.app"


class GrantError(RefusedError):
    """An app needs or tried what the site did not grant it."""

    code = "refused.grant"


class RequestEffect(StrEnum):
    """What a request does to the app."""

    READS = "reads"  # answered beside the stream, in another thread if need be; changes nothing
    CHANGES = "changes"  # answered in step with the stream; durable before the answer leaves


@dataclass(frozen=True, slots=True)
class RequestKind:
    """A request an app answers.

    Attributes:
        arguments: A frozen dataclass; the host converts and checks the caller's arguments
            against it, and refuses names it does not have.
        effect: Whether it changes the app's state.
        is_of_group: Asked of the whole group rather than of one meter.
        summary: One sentence for people.
    """

    arguments: type
    summary: str
    effect: RequestEffect = RequestEffect.READS
    is_of_group: bool = False


@dataclass(frozen=True, slots=True)
class AppInfo:
    """What an app says of itself before it is started.

    Attributes:
        name: As in its entry point and in the site's file.
        version: Of the app, for rehearsal, outputs and bills.
        requests: Requests it answers, by name; names are unique on a host.
        grants: Kinds of command it may propose. The site must grant each of them.
        registers: Load-profile registers it wants kept in `GroupView.intervals`.
        window_days: How many days of intervals, besides today, it wants kept, 0 to 400.
        wakes: Whether `on_time` is to be called.
        needs_whole_group: Whether it must see all of a group's twins at once. A group may be cut
            into shares, each with an app and a view of its own; there such an app is refused.
    """

    name: str
    version: str
    requests: Mapping[str, RequestKind] = field(default_factory=dict)
    grants: frozenset[CommandKind] = frozenset()
    registers: tuple[Obis, ...] = ()
    window_days: int = 0
    wakes: bool = False
    needs_whole_group: bool = False


@dataclass(frozen=True, slots=True)
class AppSettings:
    """What a site says of an app for one group.

    Attributes:
        group: The group it works for.
        config: The app's own settings, plain values by name.
        seed: Seed of the randomness in its views.
    """

    group: GroupId
    config: Mapping[str, object] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Output:
    """A result worth keeping: the recorder stores it, anyone may listen.

    (app, meter, name, at, revision) says which; the same output said again is stored once, so an
    app that says something new of the same moment raises `revision`.

    Attributes:
        meter: Whom it is about; None: the whole group.
        name: What it is, for example `bill`.
        at: The moment it is about.
        value: Plain values by name; Decimals and times are allowed.
    """

    meter: MeterId | None
    name: str
    at: datetime
    value: Mapping[str, object]
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that happened, for the meter's event list; `name` in snake_case."""

    meter: MeterId
    name: str
    at: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """A command an app would like; the host sends it if the site granted its kind.

    Attributes:
        id: Makes it happen once: unique per app and cause.
        reason: For the audit.
    """

    id: str
    meter: MeterId
    kind: CommandKind
    reason: str
    expires_at: datetime
    arguments: Arguments = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """All an app returns when something happened."""

    outputs: Sequence[Output] = ()
    findings: Sequence[Finding] = ()
    proposals: Sequence[Proposal] = ()


NOTHING = Outcome()


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the app sees it.

    Attributes:
        meter: Whom it was asked of; None for a request of the whole group.
        arguments: An instance of the request's `arguments` class.
    """

    name: str
    meter: MeterId | None
    arguments: object


@dataclass(frozen=True, slots=True)
class HistoryWanted:
    """Intervals a request needs and the view's window may not hold.

    The host takes them from the window where it reaches, else from the recorder.

    Attributes:
        registers: Which load-profile registers.
        start: First moment, UTC.
        end: First moment not wanted, UTC.
        meters: Of which meters.
    """

    registers: Sequence[Obis]
    start: datetime
    end: datetime
    meters: Sequence[MeterId]


History = Mapping[Obis, IntervalTable]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered, and what else it brought about.

    Attributes:
        value: Plain values, dataclasses, Decimals, times; None is an answer too.
        outcome: Outputs, findings and proposals; only of requests that change state.
    """

    value: object
    outcome: Outcome = NOTHING


@dataclass(frozen=True, slots=True)
class NotNow:
    """What an app says while another image had better wait.

    Attributes:
        reason: What it is in the middle of, for people.
        for_s: How long it asks to be waited for at most, in s, above 0, counted from the first
            time it says so; saying it again does not begin it anew.
    """

    reason: str
    for_s: float


class App(Protocol):
    """An app at work for one group. Only numpy and the standard library's pure parts are needed."""

    @property
    def info(self) -> AppInfo:
        """What it says of itself; the same at every call."""
        ...

    def on_intervals(self, view: GroupView) -> Outcome:
        """Take note that `view.fresh` holds new, late or corrected intervals.

        Called when batches of the stream told any, after the window was brought up to date, and
        again with the same intervals, cut in another way, when the host recovers. An app that
        asked for no registers is called at each batch, `fresh` empty. The first call shows all
        that the window holds. `view.now` is the newest time at which the gateway received
        anything, so it is the same in a replay.
        """
        ...

    def on_time(self, view: GroupView) -> Outcome:
        """Take note that time passed; called at least once a minute of the meters' time.

        Only if `info.wakes`. May be called at any moment and any number of times: what follows
        from it must depend on `view.now` and the state alone.
        """
        ...

    def history_wanted(self, view: GroupView, asked: Asked) -> HistoryWanted | None:
        """Say which intervals answering needs; None: the view is enough.

        Raises:
            MeterTwinError: The request cannot be answered; the caller gets the error.
        """
        ...

    def answer(self, view: GroupView, asked: Asked, history: History) -> Answer:
        """Answer a request.

        Requests with `RequestEffect.READS` may be answered in another thread while the stream
        goes on: they must not change the app, and take what they read of it in one step.

        Raises:
            MeterTwinError: The request cannot be answered; the caller gets the error, and what
                the app changed for it is taken back.
        """
        ...

    def save(self) -> bytes:
        """Return the state; equal states give equal bytes."""
        ...

    def restore(self, octets: bytes) -> None:
        """Take a state back.

        Raises:
            AppStateError: This version cannot read it; say which version wrote it.
        """
        ...


@runtime_checkable
class Postponing(Protocol):
    """What an app has besides if it may ask a rollout to wait; apps without it never do."""

    def not_now(self, view: GroupView) -> NotNow | None:
        """Say whether the group had better stay with its host and image for the moment.

        Asked again and again while a rollout waits, and of a rollout only: moves that people order
        and going back do not ask. It must not change the app. Nothing is lost if the rollout goes
        on all the same: the state goes with the group.
        """
        ...


@runtime_checkable
class Divisible(Protocol):
    """What an app has besides if its group may be cut otherwise while it lives.

    A group with an app without it stays cut as it is. Neither changes the app. `join` of all the
    shares of an app gives its own state again, whichever meters went together.
    """

    def share(self, meters: Sequence[MeterId]) -> bytes:
        """Return the state as `save` would if the group had been these meters only.

        What is true of the whole group goes into every share.
        """
        ...

    def join(self, states: Sequence[bytes]) -> bytes:
        """Return the state of a group made of several, each of other meters and one at least.

        Each is as `save` or `share` gave it. What is true of the whole group was changed in each,
        or in some a moment later than in others: nothing may be lost by it, or done twice.

        Raises:
            AppStateError: This version cannot read one of them.
        """
        ...


class AppFactory(Protocol):
    """What an entry point names: called once per group."""

    def __call__(self, settings: AppSettings) -> App:
        """Make the app.

        Raises:
            AppSettingsError: The configuration cannot be used; all problems in one message.
        """
        ...
