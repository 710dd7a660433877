"""One app of one group under a host: how it stands, what it did, and the state kept of it.

An app that breaks is not called again until the host starts anew: its memory may be half changed.
What is kept of it is the state of the last checkpoint before, so nothing of it is lost.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

import msgspec
import structlog

from metertwin.apps.app import (
    App,
    AppInfo,
    AppSettings,
    AppStateError,
    GrantError,
)
from metertwin.apps.catalogue import find_factory, info_of_factory, make_app
from metertwin.core.errors import MeterTwinError, UnavailableError
from metertwin.core.ids import GroupId
from metertwin.twins.settings import AppGrant

Result = TypeVar("Result")

log = structlog.get_logger(__name__)


class AppStanding(StrEnum):
    """Whether an app is at work."""

    RUNNING = "running"
    REFUSED = "refused"  # was not started: settings, version, grants, request names
    FAILED = "failed"  # broke, or could not read its state; its log says why


class AppDownError(UnavailableError):
    """The app that would answer is not at work."""

    code = "unavailable.app"


class KeptState(msgspec.Struct, array_like=True, frozen=True):
    """An app's state in a checkpoint.

    Attributes:
        version: Of the app that wrote it.
        octets: The state.
        is_current: Whether it is as new as the checkpoint; a state that only waits is not.
    """

    version: str
    octets: bytes
    is_current: bool


@dataclass(slots=True)
class AppTally:
    """What an app did since the host started."""

    call_count: int = 0
    request_count: int = 0
    output_count: int = 0
    finding_count: int = 0
    proposal_count: int = 0
    refused_count: int = 0  # proposals that were not granted, or that no meter can be given
    error_count: int = 0


@dataclass(slots=True, eq=False)
class HostedApp:
    """An app that a site wants for a group.

    Attributes:
        info: What the app says of itself; None where it could not be found.
        share: Of the group, that it sees; 0 for the whole.
        reason: Why it is not at work.
        kept: State of the last checkpoint; None before the first.
        is_behind: Whether it has yet to be shown all that the window holds.
    """

    group: GroupId
    grant: AppGrant
    share: int = 0
    info: AppInfo | None = None
    standing: AppStanding = AppStanding.RUNNING
    reason: str = ""
    kept: KeptState | None = None
    is_behind: bool = True
    tally: AppTally = field(default_factory=AppTally)
    _app: App | None = None

    @classmethod
    def start(cls, group: GroupId, grant: AppGrant, share: int = 0) -> "HostedApp":
        """Make an app; one that cannot be made stands there with its reason."""
        hosted = cls(group, grant, share)
        try:
            hosted.info = info_of_factory(find_factory(grant.name))
            app = hosted._made()
            hosted.info = app.info
            _check_grants(app.info, grant)
            _check_share(app.info, group, share)
            hosted._app = app
        except MeterTwinError as error:
            hosted.refuse(str(error))
        except Exception as error:  # whatever an app's maker raises concerns that app only
            log.exception("app_not_made", group=group, app=grant.name)
            hosted.refuse(f"App {grant.name} cannot be made: {_said(error)}")
        return hosted

    def _made(self) -> App:
        settings = AppSettings(self.group, self.grant.config, self.grant.seed)
        return make_app(self.grant.name, self.grant.version, settings)

    @property
    def name(self) -> str:
        """Its name in the site's file."""
        return self.grant.name

    @property
    def is_running(self) -> bool:
        """Whether it is at work."""
        return self.standing is AppStanding.RUNNING

    def at_work(self) -> App:
        """Return the app; raises AppDownError with the reason where it is not at work."""
        if self._app is None or not self.is_running:
            raise AppDownError(
                f"App {self.name} is not at work for group {self.group}: {self.reason}",
                app=self.name,
                group=self.group,
            )
        return self._app

    def refuse(self, reason: str) -> None:
        """Leave it out, and say why."""
        self._stop(AppStanding.REFUSED, reason)

    @contextmanager
    def guarded(self, doing: str) -> Iterator[None]:
        """Run what may change the app: if it breaks, it is stopped and the group goes on."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - a fault of the app, whatever it is
            self.fail(doing, error)

    def fail(self, doing: str, error: Exception) -> None:
        """Stop the app: it broke while it may have been changing itself."""
        self.note_error(doing, error)
        self._stop(AppStanding.FAILED, f"It broke in {doing}: {_said(error)}")

    def note_error(self, doing: str, error: Exception) -> None:
        """Count and log a fault."""
        self.tally.error_count += 1
        log.error("app_failed", group=self.group, app=self.name, doing=doing, exc_info=error)

    def restore(self, kept: KeptState) -> None:
        """Give the app a state back; where it cannot read it, it stops and the state is kept."""
        self.kept = msgspec.structs.replace(kept, is_current=False)
        if self._app is None or not self.is_running:
            return
        try:
            self._app.restore(kept.octets)
            self.is_behind = not kept.is_current
        except AppStateError as error:
            self._stop(
                AppStanding.FAILED,
                f"{error} The state of version {kept.version} ({len(kept.octets)} bytes) is kept; "
                "install that version again to go on with it.",
            )
        except Exception as error:  # noqa: BLE001 - a state that makes it stumble is as unreadable
            self.fail("restore", error)

    def go_back(self, octets: bytes) -> None:
        """Go on with an earlier state as after a crash: in an app made anew, not in this one."""
        with self.guarded("restore"):
            app = self._made()
            app.restore(octets)
            self._app = app

    def state(self) -> KeptState | None:
        """Return the state for a checkpoint: the newest, or what was kept."""
        if self._app is not None and self.is_running:
            with self.guarded("save"):
                self.kept = KeptState(self._app.info.version, self._app.save(), is_current=True)
        if self.kept is not None and not self.is_running:
            self.kept = msgspec.structs.replace(self.kept, is_current=False)
        return self.kept

    def facts(self) -> dict[str, object]:
        """Return how it stands."""
        info = self.info
        return {
            "name": self.name,
            "version": "" if info is None else info.version,
            "standing": self.standing.value,
            "reason": self.reason,
            "grants": sorted(self.grant.grants),
            "requests": {} if info is None else _requests(info),
            "state_bytes": 0 if self.kept is None else len(self.kept.octets),
            "tally": self.tally,
        }

    def _stop(self, standing: AppStanding, reason: str) -> None:
        self.standing, self.reason = standing, reason
        log.error("app_stopped", group=self.group, app=self.name, standing=standing, reason=reason)


def _check_grants(info: AppInfo, grant: AppGrant) -> None:
    missing = sorted(info.grants - set(grant.grants))
    if missing:
        raise GrantError(
            f"App {info.name} needs to command {', '.join(missing)}, the site grants it "
            f"{', '.join(sorted(grant.grants)) or 'nothing'}. Add what is missing to the app's "
            "`grants` in the site's file, or leave the app out.",
            app=info.name,
            missing=missing,
        )


def _check_share(info: AppInfo, group: GroupId, share: int) -> None:
    if share and info.needs_whole_group:
        raise GrantError(
            f"App {info.name} must see all twins of group {group} at once, and this is its share "
            f"{share}. Leave the app out, or set twins_per_container to `all`.",
            app=info.name,
        )


def _requests(info: AppInfo) -> dict[str, dict[str, object]]:
    return {
        name: {
            "summary": kind.summary,
            "effect": kind.effect.value,
            "is_of_group": kind.is_of_group,
        }
        for name, kind in info.requests.items()
    }


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
