"""The fleet as it is: who owns each group, what the hosts run from, which apps are at work."""

import asyncio
import contextlib
from collections.abc import Collection, Iterator

import msgspec

from metertwin.bus.cuts import Cuts
from metertwin.bus.messages import Request
from metertwin.bus.requests import ask
from metertwin.bus.subjects import Kind, subject
from metertwin.core.errors import MeterTwinError, UnavailableError
from metertwin.core.ids import GroupId, LotId, SiteId, group_of, share_of
from metertwin.fleet.control.reach import Reach
from metertwin.fleet.document import Known
from metertwin.fleet.hosts import Berth, berth_of, role_of
from metertwin.fleet.local.containers import limits_of
from metertwin.fleet.moves.migration import NobodyOwnsError
from metertwin.fleet.roles import TWIN_HOST
from metertwin.fleet.runtimes.port import ContainerStatus, Phase
from metertwin.fleet.runtimes.spec import Limits
from metertwin.twins.control import Standing

_ASK_WITHIN_S = 2.0


class SeenApp(msgspec.Struct, frozen=True):
    """An app of a group, as its host tells."""

    name: str
    version: str
    standing: str


class SeenHost(msgspec.Struct, frozen=True):
    """A twin host, as the runtime tells.

    Attributes:
        share: The share it is for; None for groups that lie whole.
        is_starved: Whether it is silent because it ran out of memory, and may do so again.
        leaving: Groups it gave away while who asked still waits there, as it tells itself.
        owned: Groups it owns, as it tells itself.
    """

    host: str
    site: SiteId
    phase: Phase
    image: str = ""
    limits: Limits = Limits()
    is_starved: bool = False
    leaving: tuple[LotId, ...] = ()
    owned: tuple[LotId, ...] = ()
    share: LotId | None = None

    @property
    def is_up(self) -> bool:
        """Whether it runs, or is being started again."""
        return self.phase in {Phase.RUNNING, Phase.RESTARTING}


class SeenPart(msgspec.Struct, frozen=True):
    """A part that is no twin host, as the runtime tells; without limits where it is absent."""

    site: SiteId
    role: str
    name: str
    phase: Phase
    limits: Limits = Limits()


class SeenGroup(msgspec.Struct, frozen=True):
    """A group, or a share of one that is cut, as its claim and its host tell.

    Attributes:
        host: Its owner; None when nobody ever was, or it is not known.
        site: Where its owner is.
        apps: Its apps; None when the host does not answer.
        twins: How many twins it has; None when the host does not answer.
        in_step: How many of them are in step.
        is_taken: Whether the owner serves it, as far as it tells.
        trouble: Why the owner is not known; empty when it is.
    """

    group: LotId
    home: SiteId
    host: str | None = None
    site: SiteId | None = None
    apps: tuple[SeenApp, ...] | None = None
    twins: int | None = None
    in_step: int | None = None
    is_taken: bool = True
    trouble: str = ""


class SeenCut(msgspec.Struct, frozen=True):
    """How a group is cut.

    Attributes:
        size: Most twins in a container, as its record on the bus says; 0 for all in one.
        known_size: The same as its sites' settings say.
    """

    size: int
    known_size: int


class SeenFleet(msgspec.Struct, frozen=True):
    """All hosts that may be, all groups, the sites' other parts, and how groups are cut.

    Attributes:
        strays: Hosts that run for shares there are not: somebody was about to cut a group.
    """

    hosts: dict[str, SeenHost]
    groups: dict[LotId, SeenGroup]
    parts: tuple[SeenPart, ...] = ()
    cuts: dict[GroupId, SeenCut] = {}
    strays: tuple[SeenHost, ...] = ()

    def groups_of(self, host: str) -> tuple[LotId, ...]:
        """Return the groups a host owns."""
        return tuple(each.group for each in self.groups.values() if each.host == host)


class _ToldShare(msgspec.Struct, frozen=True):
    share: int
    twins: int
    in_step: int


class _Told(msgspec.Struct, frozen=True):
    twins: int
    in_step: int
    apps: tuple[SeenApp, ...] = ()
    shares: tuple[_ToldShare, ...] = ()


async def look(reach: Reach) -> SeenFleet:
    """Return how the fleet is now; what cannot be seen is told as a group's trouble.

    Raises:
        EngineUnavailableError: The runtime does not answer.
    """
    parts = await reach.containers.statuses()
    homes = reach.known.home_of
    looked = await asyncio.gather(*(_group(reach, group, home) for group, home in homes.items()))
    cuts = await asyncio.gather(*(_cut(reach, group) for group in homes))
    groups = [each for lots in looked for each in lots]
    hosts = [
        _host(reach, berth, host, parts) for berth in _berths(reach.known) for host in berth.hosts
    ]
    told = await asyncio.gather(*(_standing(reach, host) for host in hosts))
    standings = {each.host: each for each in told if each is not None}
    return SeenFleet(
        {each.host: _as_told(each, standings.get(each.host)) for each in hosts},
        {each.group: _with_taken(each, standings.get(each.host or "")) for each in groups},
        tuple(part for site in reach.known.sites for part in _other_parts(reach, site, parts)),
        dict(zip(homes, cuts, strict=True)),
        tuple(_strays(reach, parts, {each.host for each in hosts})),
    )


async def _cut(reach: Reach, group: GroupId) -> SeenCut:
    known_size = reach.known.size_of(group)
    record = None
    with contextlib.suppress(UnavailableError):  # the group's own trouble says so
        record = await Cuts(reach.mover(group).at_home, group).look()
    return SeenCut(known_size if record is None else record.size, known_size)


async def _standing(reach: Reach, host: SeenHost) -> Standing | None:
    if host.is_up:
        with contextlib.suppress(MeterTwinError):  # a silent host is not judged
            return await reach.standing(host.site, host.host)
    return None


def _as_told(host: SeenHost, told: Standing | None) -> SeenHost:
    if told is None:
        return host
    return msgspec.structs.replace(
        host, is_starved=False, leaving=tuple(told.leaving), owned=tuple(told.owned)
    )


def _with_taken(group: SeenGroup, told: Standing | None) -> SeenGroup:
    is_taken = told is None or group.group in told.owned
    return msgspec.structs.replace(group, is_taken=is_taken)


def _berths(known: Known) -> Iterator[Berth]:
    """Yield where twin hosts may be: a share's at its home and in the cloud."""
    for site in known.sites:
        yield Berth(site)
    for group, home in known.home_of.items():
        for lot in known.lots_of(group):
            if share_of(lot):
                yield from (Berth(site, lot) for site in dict.fromkeys((home, known.cloud)))


def _strays(
    reach: Reach, parts: dict[str, ContainerStatus], hosts: Collection[str]
) -> Iterator[SeenHost]:
    for site in reach.known.sites:
        for part in parts:
            host = part if reach.site.parts_name else f"{site}-{part}"
            berth = berth_of(host, [site])
            share = None if berth is None else berth.share
            if berth is None or share is None or host in hosts:
                continue
            if group_of(share) in reach.known.home_of:
                yield _host(reach, berth, host, parts)


def _host(reach: Reach, berth: Berth, host: str, parts: dict[str, ContainerStatus]) -> SeenHost:
    status = parts.get(reach.part(berth.site, role_of(host, berth.site)))
    if status is None:
        return SeenHost(host, berth.site, Phase.ABSENT, share=berth.share)
    return SeenHost(
        *(host, berth.site, status.phase, status.image, limits_of(status)),
        is_starved=status.was_out_of_memory,
        share=berth.share,
    )


def _other_parts(
    reach: Reach, site: SiteId, parts: dict[str, ContainerStatus]
) -> Iterator[SeenPart]:
    for role in reach.known.roles_of[site]:
        if role == TWIN_HOST:
            continue
        name = reach.part(site, role)
        status = parts.get(name)
        if status is None:
            yield SeenPart(site, role, name, Phase.ABSENT)
        else:
            yield SeenPart(site, role, name, status.phase, limits_of(status))


async def _group(reach: Reach, group: GroupId, home: SiteId) -> list[SeenGroup]:
    """Return how a group stands, or each of its shares."""
    told: _Told | None = None
    with contextlib.suppress(MeterTwinError):  # who owns it is known all the same
        to = subject(group, Kind.REQUEST)
        told = await ask(reach.cloud, to, Request("host"), _ASK_WITHIN_S, _Told)
    lots = reach.known.lots_of(group)
    return list(await asyncio.gather(*(_lot(reach, lot, home, told) for lot in lots)))


async def _lot(reach: Reach, lot: LotId, home: SiteId, told: _Told | None) -> SeenGroup:
    try:
        host, site = await reach.owner_of(lot)
    except NobodyOwnsError:
        return SeenGroup(lot, home)
    except MeterTwinError as error:
        return SeenGroup(lot, home, trouble=str(error))
    if told is None:
        return SeenGroup(lot, home, host, site)
    counts = next((each for each in told.shares if each.share == share_of(lot)), told)
    return SeenGroup(lot, home, host, site, told.apps, counts.twins, counts.in_step)
