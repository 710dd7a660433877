"""The fleet as it is wanted beside the fleet as it is, for whoever asks."""

from datetime import datetime

import msgspec

from metertwin.core.ids import LotId, SiteId, group_of
from metertwin.fleet.control.desired import DesiredFleet, desired_of
from metertwin.fleet.control.differ import steps_to
from metertwin.fleet.control.reach import Reach
from metertwin.fleet.control.seen import SeenFleet, SeenGroup, SeenHost, look
from metertwin.fleet.control.steps import Finish, Move, Recut, RollOut, Start, Step
from metertwin.fleet.control.store import FleetStore
from metertwin.fleet.document import FleetFile, parse_fleet
from metertwin.fleet.local.endings import out_of_memory


class GroupStanding(msgspec.Struct, frozen=True):
    """One group, or a share of one that is cut.

    Attributes:
        wanted_at: Where it is wanted.
        site: Where its owner is; None when that is not known.
        host: Its owner.
        image: What its owner runs from.
        apps: Its apps, each with version and standing.
        lacking: What is to be done about it, in sentences.
        trouble: Why its owner is not known, or why it is silent, as far as that is known.
    """

    group: LotId
    home: SiteId
    wanted_at: SiteId
    site: SiteId | None
    host: str | None
    image: str | None
    apps: tuple[str, ...]
    twins: int | None
    in_step: int | None
    lacking: tuple[str, ...]
    trouble: str


class FleetStanding(msgspec.Struct, frozen=True):
    """All of it.

    Attributes:
        revision: Of the file that counts; 0 before the first.
        is_reached: Whether nothing is lacking at this moment.
        controller: Who acts, or acted last.
        doing: What it does, one sentence; empty while there is nothing to do.
        refused: Steps that failed for good under this revision, and why.
        lacking: All that is to be done, in order.
        elsewhere: Edges on other machines, which are looked after there.
    """

    revision: int
    where: str
    applied_at: datetime | None
    is_reached: bool
    controller: str
    doing: str
    since: datetime | None
    refused: dict[str, str]
    lacking: tuple[str, ...]
    groups: tuple[GroupStanding, ...]
    elsewhere: tuple[SiteId, ...] = ()


async def standing_of(reach: Reach) -> FleetStanding:
    """Return how a fleet stands.

    Raises:
        UnavailableError: The bus does not answer.
        EngineUnavailableError: The runtime does not answer.
        FleetFileError: What was applied does not fit what there is any more.
    """
    store = FleetStore(reach.cloud)
    applied, report = await store.applied(), await store.report()
    file = FleetFile(version=1)
    if applied is not None:
        file = parse_fleet(applied.desired.text, applied.desired.where, reach.lasting)
    desired, seen = desired_of(file, reach.known), await look(reach)
    steps = steps_to(desired, seen)
    groups = tuple(_group(seen, desired, group, steps) for group in seen.groups.values())
    is_known = all(group.host is not None for group in groups)
    return FleetStanding(
        revision=0 if applied is None else applied.revision,
        where="" if applied is None else applied.desired.where,
        applied_at=None if applied is None else applied.desired.applied_at,
        is_reached=not steps and is_known,
        controller="" if report is None else report.controller,
        doing="" if report is None else report.doing,
        since=None if report is None else report.since,
        refused={} if report is None else report.refused,
        lacking=tuple(step.sentence for step in steps),
        groups=groups,
        elsewhere=reach.elsewhere,
    )


def _group(
    seen: SeenFleet, desired: DesiredFleet, group: SeenGroup, steps: tuple[Step, ...]
) -> GroupStanding:
    host = None if group.host is None else seen.hosts.get(group.host)
    apps = tuple(f"{app.name} {app.version} ({app.standing})" for app in group.apps or ())
    return GroupStanding(
        group=group.group,
        home=group.home,
        wanted_at=desired.groups[group.group].at,
        site=group.site,
        host=group.host,
        image=None if host is None else host.image,
        apps=apps,
        twins=group.twins,
        in_step=group.in_step,
        lacking=tuple(step.sentence for step in steps if _is_about(step, group)),
        trouble=_trouble(group, host),
    )


def _trouble(group: SeenGroup, host: SeenHost | None) -> str:
    if host is not None and host.is_starved:
        return f"{host.host} is {out_of_memory(host.limits)}."
    return group.trouble


def _is_about(step: Step, group: SeenGroup) -> bool:
    match step:
        case Move() | Finish():
            return step.group == group.group
        case Recut():
            return step.group == group_of(group.group)
        case RollOut():
            return group.group in step.groups
        case Start():
            return step.host == group.host
        case _:
            return False
