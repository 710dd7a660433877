"""The state of lots as they shall be, from the state of the lots they were.

All were settled at one place of the stream, so a twin's row goes with everything that is true of
it: registers, ledger, commands, recent captures. The states of apps the apps themselves divide and
join.
"""

from collections import OrderedDict
from collections.abc import Collection, Sequence

import msgspec
import numpy as np

from metertwin.apps.app import Divisible
from metertwin.core.batch import Int64s
from metertwin.core.errors import ConflictError
from metertwin.core.ids import MeterId
from metertwin.core.ledger import Rows
from metertwin.twins.apps.effects import Effects
from metertwin.twins.apps.hosted_app import HostedApp, KeptState
from metertwin.twins.apps.series import CaptureSeries
from metertwin.twins.group import TwinGroup
from metertwin.twins.ready import ReadyGroup


class NotDivisibleError(ConflictError):
    """A group cannot be cut otherwise, as of an app or of a twin."""

    code = "conflict.not_divisible"


def objections_to_cut(lot: ReadyGroup, size: int) -> list[str]:
    """Return why a lot cannot be cut otherwise, in sentences; none if it can.

    Args:
        lot: The group or the share.
        size: Most twins in a container then; 0 for all in one.
    """
    group, apps = lot.group, lot.apps
    told = [_why_not_cut(hosted, size) for hosted in apps.apps]
    told += [
        f"App {name} is not listed for group {group.settings.id} and a state of it is kept, which "
        "only the app can cut. List it again."
        for name in sorted(apps.absent_states)
    ]
    unlisted = set(group.columns.meters) - set(group.settings.meters)
    if unlisted and size:
        told.append(
            f"Meter {min(unlisted)} has a twin in group {group.settings.lot} and is not in the "
            f"site's settings ({len(unlisted)} such meters), so no share would have it. Add it "
            "there."
        )
    return [each for each in told if each]


def compose(new: ReadyGroup, olds: Sequence[ReadyGroup]) -> None:
    """Put into an empty lot what the settled ones have of its twins.

    Args:
        new: The lot; a share gets the meters of its settings, a whole group gets all.
        olds: All lots of the group as they were, in their order.

    Raises:
        NotDivisibleError: The state of an app cannot be cut.
        Exception: What an app raises in `share`, `join` or `restore`.
    """
    group = new.group
    group.stream_sequence = olds[0].group.stream_sequence
    group.gateway_epoch = max(old.group.gateway_epoch for old in olds)
    is_first = group.settings.share <= 1
    if is_first:
        group.stale_count = sum(old.group.stale_count for old in olds)
    # Nobody knows any more of which twin they were; each counts all, and errs on the safe side.
    group.disconnects_accepted_at.extend(
        sorted(at for old in olds for at in old.group.disconnects_accepted_at)
    )
    for old in olds:
        _take_twins(group, old.group)
        _take_captures(new, old)
    _take_commands(group, [old.group for old in olds])
    own = frozenset(group.columns.meters)
    _take_states(new, olds)
    new.apps.effects.extend(
        each
        for old in olds
        for effects in old.apps.effects
        if (each := _effects_of(effects, own, is_first=is_first)) is not None
    )


def _shared_rows(group: TwinGroup, old: TwinGroup) -> tuple[Rows, Rows]:
    """Return the rows of the twins that both shall have: there, and here."""
    own = group.own_meters
    meters = [meter for meter in old.columns.meters if own is None or meter in own]
    return old.columns.add_meters(meters), group.enrol(meters)


def _take_twins(group: TwinGroup, old: TwinGroup) -> None:
    there, here = _shared_rows(group, old)
    columns = group.columns.add_registers(tuple(old.columns.registers))
    used = np.arange(len(old.columns.registers))
    for plane, before in zip(group.columns.planes(), old.columns.planes(), strict=True):
        if plane.ndim == 1:
            plane[here] = before[there]
        else:
            plane[np.ix_(columns, here)] = before[np.ix_(used, there)]
    for name in ("received", "taken", "duplicate"):
        getattr(group.ledger, name)[here] = getattr(old.ledger, name)[there]
    for row, place in zip(there.tolist(), here.tolist(), strict=True):
        if row in old.ledger.holes:
            group.ledger.holes[place] = [*old.ledger.holes[row]]


def _take_captures(new: ReadyGroup, old: ReadyGroup) -> None:
    there, here = _shared_rows(new.group, old.group)
    places: Int64s = np.full(len(old.group.columns), -1, np.int64)
    places[there] = here
    window, before = new.apps.window, old.apps.window
    window.now_us = max(window.now_us, before.now_us)
    for obis, since_us in before.since_us.items():
        if obis in window.wanted_days:
            window.since_us[obis] = max(window.since_us[obis], since_us)
    for kind, series in before.series.items():
        if kind.obis in window.wanted_days:
            window.series.setdefault(kind, CaptureSeries(series.register)).adopt(series, places)


def _take_commands(group: TwinGroup, olds: Sequence[TwinGroup]) -> None:
    told = [
        each
        for old in olds
        for each in old.commands.values()
        if group.columns.row_of(each[0].meter) is not None
    ]
    told.sort(key=lambda each: each[0].issued_at)
    group.commands = OrderedDict((command.id, (command, said)) for command, said in told)


def _take_states(new: ReadyGroup, olds: Sequence[ReadyGroup]) -> None:
    own = new.group.columns.row_of
    for hosted in new.apps.apps:
        parts: list[bytes] = []
        is_current = True
        for old in olds:
            before = next(each for each in old.apps.apps if each.name == hosted.name)
            meters = [meter for meter in old.group.columns.meters if own(meter) is not None]
            if before.kept is None or not meters:
                continue
            parts.append(_divisible(before).share(meters))
            is_current &= not before.is_behind
        if parts:
            assert hosted.info is not None
            state = _divisible(hosted).join(parts)
            hosted.restore(KeptState(hosted.info.version, state, is_current))
            hosted.at_work()  # raises where it cannot read what it joined


def _divisible(hosted: HostedApp) -> Divisible:
    app = hosted.at_work()
    if not isinstance(app, Divisible):
        raise NotDivisibleError(_why_not_cut(hosted, 0), app=hosted.name)
    return app


def _why_not_cut(hosted: HostedApp, size: int) -> str:
    """Return why an app cannot be cut; empty if it can."""
    if not hosted.is_running:
        return (
            f"App {hosted.name} is not at work for group {hosted.group}, and only an app at work "
            f"can cut its state: {hosted.reason}"
        )
    if not isinstance(hosted.at_work(), Divisible):
        return (
            f"App {hosted.name} cannot cut its state: it has no `share` and `join`. Leave the app "
            f"out of group {hosted.group}, or the group as it is cut."
        )
    if size and hosted.info is not None and hosted.info.needs_whole_group:
        return (
            f"App {hosted.name} must see all twins of group {hosted.group} at once. Leave the app "
            "out, or all twins in one container."
        )
    return ""


def _effects_of(effects: Effects, own: Collection[MeterId], *, is_first: bool) -> Effects | None:
    """Return what of effects is a lot's: of its meters, and of the group at the first one."""
    outputs = [
        each for each in effects.outputs if (is_first if each.meter is None else each.meter in own)
    ]
    events = [each for each in effects.events if each.meter in own]
    proposals = [each for each in effects.proposals if each.meter in own]
    if not (outputs or events or proposals):
        return None
    return msgspec.structs.replace(effects, outputs=outputs, events=events, proposals=proposals)
