"""What the apps of a group have against another image just now, checked before it leaves the host.

An app is asked and not believed: one that breaks, or says something that is no answer, has nothing
against it, and how long an answer counts is for the asker to bound.
"""

import math

import msgspec

from metertwin.apps.app import NotNow, Postponing
from metertwin.core.errors import ConflictError
from metertwin.twins.apps.host import AppHost
from metertwin.twins.apps.hosted_app import HostedApp

_REASON_LENGTH = 200


class ObjectionError(ConflictError):
    """What an app said is no `NotNow`."""

    code = "conflict.objection"


class Objection(msgspec.Struct, frozen=True):
    """One app's "not now".

    Attributes:
        reason: What it is in the middle of.
        for_s: How long it asks to be waited for, in s, counted from the first time.
    """

    app: str
    reason: str
    for_s: float


class Objections(msgspec.Struct, frozen=True):
    """What the apps of a group say.

    Attributes:
        objections: Of those that had better not be disturbed.
        faults: Why others could not say; they count as having nothing against it.
    """

    objections: tuple[Objection, ...] = ()
    faults: tuple[str, ...] = ()


def objections_of(apps: AppHost) -> Objections:
    """Ask each app of a group that is at work."""
    objections: list[Objection] = []
    faults: list[str] = []
    for hosted in apps.apps:
        try:
            objection = _objection(apps, hosted)
        except Exception as error:  # noqa: BLE001 - a fault of the app, whatever it is
            hosted.note_error("not_now", error)
            faults.append(f"App {hosted.name} broke in not_now: {type(error).__name__}: {error}")
        else:
            if objection is not None:
                objections.append(objection)
    return Objections(tuple(objections), tuple(faults))


def _objection(apps: AppHost, hosted: HostedApp) -> Objection | None:
    if not hosted.is_running or apps.is_closed:
        return None
    app = hosted.at_work()
    if not isinstance(app, Postponing):
        return None
    said: object = app.not_now(apps.open_view(hosted))
    if said is None:
        return None
    if not isinstance(said, NotNow):
        raise ObjectionError(f"it returned {type(said).__name__}, not a NotNow.")
    reason: object = said.reason  # an app is free to hand over what its annotations forbid
    for_s: object = said.for_s
    if not isinstance(reason, str) or not reason.strip():
        raise ObjectionError("its NotNow has no reason.")
    if not isinstance(for_s, int | float) or not 0 < for_s < math.inf:
        raise ObjectionError(f"its NotNow asks for {for_s!r} s, not a number above 0.")
    return Objection(hosted.name, reason.strip()[:_REASON_LENGTH], float(for_s))
