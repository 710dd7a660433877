"""What a fleet lacks is told in order, and what is not known is not touched."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from metertwin.core.ids import LotId, SiteId
from metertwin.fleet.control.desired import DesiredFleet, DesiredGroup, DesiredHost
from metertwin.fleet.control.differ import steps_to, unknown_in
from metertwin.fleet.control.seen import SeenApp, SeenFleet, SeenGroup, SeenHost, SeenPart
from metertwin.fleet.control.steps import End, Finish, Move, Recut, RollOut, Start, StartAnew, Step
from metertwin.fleet.document import AppEntry
from metertwin.fleet.hosts import Berth, berth_for, site_of
from metertwin.fleet.runtimes.port import Phase
from metertwin.fleet.runtimes.spec import Limits

CLOUD, EDGE = SiteId("cloud"), SiteId("edge1")
F1, F2 = LotId("f1"), LotId("f2")
OLD, NEW = "metertwin:1", "metertwin:2"
FIRST, SECOND = "edge1-twin-host", "edge1-twin-host-2"


def fleet(image: str = OLD, limits: Limits | None = None, **at: SiteId) -> DesiredFleet:
    return DesiredFleet(
        {CLOUD: DesiredHost(OLD, Limits()), EDGE: DesiredHost(image, limits or Limits())},
        {group: DesiredGroup(at.get(group, EDGE)) for group in (F1, F2)},
    )


def seen(
    owners: dict[LotId, str | None],
    *up: tuple[str, str],
    phases: dict[str, Phase] | None = None,
) -> SeenFleet:
    """What is seen where `up` run, by name and image, the rest is absent, but for `phases`."""
    images = {"cloud-twin-host": OLD, **dict(up)}
    hosts = {}
    for site in (CLOUD, EDGE):
        for host in Berth(site).hosts:
            phase = Phase.RUNNING if host in images else Phase.ABSENT
            phase = (phases or {}).get(host, phase)
            hosts[host] = SeenHost(host, site, phase, images.get(host, ""))
    groups = {
        group: SeenGroup(
            group, EDGE, host, None if host is None else site_of(host, (CLOUD, EDGE)), apps=()
        )
        for group, host in owners.items()
    }
    return SeenFleet(hosts, groups)


BOTH_AT_FIRST: dict[LotId, str | None] = {F1: FIRST, F2: FIRST}


def kinds(steps: tuple[Step, ...]) -> list[type]:
    return [type(step) for step in steps]


def test_a_fleet_as_it_is_wanted_lacks_nothing() -> None:
    assert steps_to(fleet(), seen(BOTH_AT_FIRST, (FIRST, OLD))) == ()


def test_a_group_elsewhere_is_moved() -> None:
    (step,) = steps_to(fleet(f1=CLOUD), seen(BOTH_AT_FIRST, (FIRST, OLD)))
    assert step == Move(F1, FIRST, CLOUD, None, "it is wanted at cloud")
    assert step.sentence == "move f1 from edge1-twin-host to cloud: it is wanted at cloud"


def test_another_image_and_other_limits_are_rolled_out_to_all_groups_of_the_host() -> None:
    (step,) = steps_to(fleet(NEW), seen(BOTH_AT_FIRST, (FIRST, OLD)))
    assert isinstance(step, RollOut)
    assert (step.groups, step.image, step.why) == ((F1, F2), NEW, "it runs from metertwin:1")
    tight = Limits(0.5, 512 * 1024**2)
    (step,) = steps_to(fleet(limits=tight), seen(BOTH_AT_FIRST, (FIRST, OLD)))
    assert step.sentence == (
        "roll metertwin:1 (0.5 cores, 512 MiB) out to f1, f2 at edge1: its limits are others"
    )


def test_a_cloud_whose_edges_are_elsewhere_keeps_its_host() -> None:
    alone = DesiredFleet({CLOUD: DesiredHost(OLD, Limits())}, {})
    hosts = seen({}, ("cloud-twin-host", OLD), ("cloud-twin-host-2", OLD)).hosts
    here = {name: host for name, host in hosts.items() if host.site == CLOUD}
    (first, second) = steps_to(alone, SeenFleet(here, {}))
    assert (type(first), type(second)) == (End, End)  # a lone site without groups needs none
    cloud = msgspec.structs.replace(alone, is_cloud=True)
    (step,) = steps_to(cloud, SeenFleet(here, {}))
    assert step == End(CLOUD, "cloud-twin-host-2", "it owns nothing and is not needed")
    # A group of an edge on another machine is with the second one, which alone says so.
    away = msgspec.structs.replace(here["cloud-twin-host-2"], owned=(LotId("f9"),))
    kept = steps_to(cloud, SeenFleet({**here, "cloud-twin-host-2": away}, {}))
    assert "cloud-twin-host-2" not in {step.host for step in kept if isinstance(step, End)}


def test_other_apps_or_versions_are_rolled_out() -> None:
    now = seen(BOTH_AT_FIRST, (FIRST, OLD))
    apps = (SeenApp("tariff", "1", "running"), SeenApp("standby", "1", "stopped"))
    groups = {name: msgspec.structs.replace(each, apps=apps) for name, each in now.groups.items()}
    now = msgspec.structs.replace(now, groups=groups)

    def lacking(*wanted: AppEntry) -> tuple[Step, ...]:
        desired = fleet()
        group = DesiredGroup(EDGE, wanted)
        groups = {**desired.groups, F1: group}
        return steps_to(msgspec.structs.replace(desired, groups=groups), now)

    assert lacking() == ()  # none named: those of the site's settings
    assert lacking(AppEntry("tariff", "1"), AppEntry("standby")) == ()
    (step,) = lacking(AppEntry("tariff", "2"), AppEntry("standby"))
    assert isinstance(step, RollOut)
    assert step.apps == {F1: ("tariff 2", "standby")}
    assert step.why == "f1 has tariff 1, standby 1"
    assert kinds(lacking(AppEntry("tariff"))) == [RollOut]


def test_an_owner_that_is_gone_is_started_as_it_ran_before_anything_else() -> None:
    now = seen(BOTH_AT_FIRST, (FIRST, OLD), phases={FIRST: Phase.EXITED})
    first, second = steps_to(fleet(NEW, f1=CLOUD), now)
    assert isinstance(first, Start)
    assert (first.image, first.why) == (OLD, "it owns f1, f2 and is exited")
    assert isinstance(second, Move)  # another image is tried once the host is well
    (absent,) = steps_to(fleet(NEW), seen(BOTH_AT_FIRST))
    assert isinstance(absent, Start)
    assert absent.image == NEW  # nobody knows what it ran from


TIGHT = Limits(0.25, 64 * 1024**2)


def with_parts(now: SeenFleet, *parts: SeenPart) -> SeenFleet:
    return msgspec.structs.replace(now, parts=parts)


def with_limits(desired: DesiredFleet, **limits: Limits) -> DesiredFleet:
    """A fleet whose edge has these roles, within these limits."""
    return msgspec.structs.replace(desired, limits={EDGE: dict(limits)})


def part(role: str, limits: Limits | None = None, phase: Phase = Phase.RUNNING) -> SeenPart:
    return SeenPart(EDGE, role, f"edge1-{role}", phase, limits or Limits())


def test_parts_with_other_limits_are_started_anew_before_groups_go_and_the_bus_last() -> None:
    now = with_parts(
        seen(BOTH_AT_FIRST, (FIRST, OLD)),
        part("bus"),
        part("recorder", TIGHT),
        part("gateway", TIGHT),
        part("api", TIGHT, Phase.RESTARTING),
    )
    desired = with_limits(fleet(f1=CLOUD), bus=TIGHT, recorder=Limits(), gateway=TIGHT, api=TIGHT)
    recorder, bus, move = steps_to(desired, now)
    assert recorder == StartAnew(EDGE, "recorder", "edge1-recorder", Limits(), TIGHT)
    assert (recorder.sentence, bus.sentence) == (
        "start edge1-recorder anew without limits: its limits are others",
        "start edge1-bus anew (0.25 cores, 64 MiB): its limits are others",
    )
    assert isinstance(move, Move)


def test_a_part_that_is_gone_is_started_and_one_that_somebody_ended_is_left() -> None:
    now = with_parts(
        seen(BOTH_AT_FIRST, (FIRST, OLD)),
        part("gateway", phase=Phase.EXITED),
        part("recorder", phase=Phase.ABSENT),
    )
    (step,) = steps_to(with_limits(fleet(), gateway=Limits(), recorder=TIGHT), now)
    assert step == StartAnew(EDGE, "recorder", "edge1-recorder", TIGHT, None)
    assert step.sentence == "start edge1-recorder anew (0.25 cores, 64 MiB): it is absent"


def test_an_owner_that_runs_out_of_memory_is_started_with_more_where_it_shall_have_more() -> None:
    now = seen(BOTH_AT_FIRST, (FIRST, OLD))
    starved = msgspec.structs.replace(now.hosts[FIRST], limits=TIGHT, is_starved=True)
    now = msgspec.structs.replace(now, hosts={**now.hosts, FIRST: starved})
    ample = Limits(memory_bytes=512 * 1024**2)
    (step,) = steps_to(fleet(NEW, limits=ample), now)
    assert isinstance(step, Start)
    assert (step.image, step.limits) == (OLD, ample)
    assert step.why == (
        "it owns f1, f2 and is out of memory: 64 MiB are too little; allow it more in the fleet "
        "file, `resources`"
    )
    # Less does not help it, and what it cannot hand over is not rolled out.
    assert steps_to(fleet(limits=TIGHT), now) == ()


def test_a_hand_over_that_died_is_finished_first() -> None:
    now = seen(BOTH_AT_FIRST, (FIRST, OLD))
    untaken = msgspec.structs.replace(now.groups[F1], is_taken=False)
    leaving = msgspec.structs.replace(now.hosts["cloud-twin-host"], leaving=(F1,))
    hosts = {**now.hosts, "cloud-twin-host": leaving}
    finish, move = steps_to(fleet(f2=CLOUD), SeenFleet(hosts, {**now.groups, F1: untaken}))
    assert finish == Finish(F1, FIRST, ("cloud-twin-host",), "its owner does not serve it yet")
    assert isinstance(move, Move)
    (finish,) = steps_to(fleet(), SeenFleet(hosts, now.groups))
    assert finish == Finish(F1, FIRST, ("cloud-twin-host",), "callers wait at its old host")


def test_a_rollout_that_died_is_gone_on_with() -> None:
    divided: dict[LotId, str | None] = {F1: SECOND, F2: FIRST}
    (step,) = steps_to(fleet(NEW), seen(divided, (FIRST, OLD), (SECOND, NEW)))
    assert isinstance(step, RollOut)
    assert step.groups == (F2,)
    # It had moved all, and not yet ended the old one.
    moved: dict[LotId, str | None] = {F1: SECOND, F2: SECOND}
    assert kinds(steps_to(fleet(NEW), seen(moved, (FIRST, OLD), (SECOND, NEW)))) == [End]
    # What it tried is wanted no more: the groups come together again, and no image is tried.
    (back,) = steps_to(fleet(OLD), seen(divided, (FIRST, OLD), (SECOND, NEW)))
    assert isinstance(back, RollOut)
    assert (back.groups, back.image) == ((F1,), OLD)
    # Neither is right: together first.
    (gather,) = steps_to(fleet("metertwin:3"), seen(divided, (FIRST, OLD), (SECOND, NEW)))
    assert isinstance(gather, Move)


def test_a_site_without_groups_keeps_one_host_as_it_is_wanted() -> None:
    away: dict[LotId, str | None] = {F1: "cloud-twin-host", F2: "cloud-twin-host"}
    desired = fleet(NEW, f1=CLOUD, f2=CLOUD)
    (step,) = steps_to(desired, seen(away, (FIRST, OLD)))
    assert isinstance(step, Start)
    assert (step.host, step.image) == (FIRST, NEW)
    assert steps_to(desired, seen(away, (SECOND, NEW))) == ()
    assert kinds(steps_to(desired, seen(away, (FIRST, OLD), (SECOND, NEW)))) == [End]


def test_what_is_not_known_is_not_touched() -> None:
    now = seen(BOTH_AT_FIRST, (FIRST, OLD))
    lost = SeenGroup(F1, EDGE, trouble="The bus did not answer.")
    now = msgspec.structs.replace(now, groups={**now.groups, F1: lost})
    desired = fleet(NEW)
    cloud_too = {**desired.hosts, CLOUD: DesiredHost(NEW, Limits())}
    assert steps_to(msgspec.structs.replace(desired, hosts=cloud_too), now) == ()
    assert unknown_in(now) == {F1: "The bus did not answer."}


owners = st.sampled_from(
    [None, FIRST, SECOND, "cloud-twin-host", "cloud-twin-host-2"],
)
phases = st.sampled_from([Phase.RUNNING, Phase.RESTARTING, Phase.EXITED, Phase.ABSENT])


def carried_out(step: Step, now: SeenFleet) -> SeenFleet:
    """A fleet after a step, as the step's own words have it: the oracle knows no planner."""
    assert not isinstance(step, Finish | Recut)  # nothing stopped half-way, and no other cut
    hosts, groups, parts = dict(now.hosts), dict(now.groups), now.parts
    if isinstance(step, StartAnew):
        others = [each for each in parts if each.role != step.role]
        parts = (*others, part(step.role, step.limits))
    elif isinstance(step, Start):
        hosts[step.host] = msgspec.structs.replace(
            hosts[step.host], phase=Phase.RUNNING, image=step.image, limits=step.limits
        )
    elif isinstance(step, End):
        assert not now.groups_of(step.host)  # never an owner
        hosts[step.host] = msgspec.structs.replace(hosts[step.host], phase=Phase.EXITED)
    elif isinstance(step, Move):
        at_work = [host for host in berth_for(step.to, step.group).hosts if now.hosts[host].is_up]
        assert now.hosts[step.source].is_up
        owning = [host for host in at_work if now.groups_of(host)]
        host = step.host or (owning or at_work)[0]
        groups[step.group] = msgspec.structs.replace(groups[step.group], host=host, site=step.to)
    else:
        for group in step.groups:
            old = now.groups[group].host
            assert old is not None
            (new,) = set(berth_for(step.site, group).hosts) - {old}
            if now.groups_of(new):
                assert (hosts[new].image, hosts[new].limits) == (step.image, step.limits)
            hosts[new] = msgspec.structs.replace(
                hosts[new], phase=Phase.RUNNING, image=step.image, limits=step.limits
            )
            groups[group] = msgspec.structs.replace(groups[group], host=new)
            hosts[old] = msgspec.structs.replace(hosts[old], phase=Phase.EXITED)
    return SeenFleet(hosts, groups, parts)


@given(
    st.tuples(owners, owners),
    st.tuples(*[st.tuples(phases, st.sampled_from([Limits(), TIGHT]))] * 2),
    st.fixed_dictionaries({host: phases for site in (CLOUD, EDGE) for host in Berth(site).hosts}),
    st.fixed_dictionaries(
        {host: st.sampled_from([OLD, NEW]) for site in (CLOUD, EDGE) for host in Berth(site).hosts}
    ),
    st.tuples(st.sampled_from([CLOUD, EDGE]), st.sampled_from([CLOUD, EDGE])),
    st.sampled_from([OLD, NEW, "metertwin:3"]),
)
def test_from_any_state_the_first_steps_lead_to_what_is_wanted(  # noqa: PLR0917 - drawn
    owned: tuple[str | None, str | None],
    parts: tuple[tuple[Phase, Limits], ...],
    phase_of: dict[str, Phase],
    image_of: dict[str, str],
    at: tuple[SiteId, SiteId],
    image: str,
) -> None:
    now = seen(dict(zip((F1, F2), owned, strict=True)), *image_of.items(), phases=phase_of)
    of_role = zip(("bus", "gateway"), parts, strict=True)
    now = with_parts(now, *(part(role, limits, phase) for role, (phase, limits) in of_role))
    desired = with_limits(fleet(image, f1=at[0], f2=at[1]), bus=TIGHT, gateway=Limits())
    for _ in range(20):  # each step is the first of a fresh look, as a controller carries it out
        steps = steps_to(desired, now)
        if not steps:
            break
        now = carried_out(steps[0], now)
    else:
        raise AssertionError(steps)
    assert all(
        group.host is None or group.site == desired.groups[name].at
        for name, group in now.groups.items()
    )
    up = [host for host in now.hosts.values() if host.is_up]
    assert sorted(host.site for host in up) == [CLOUD, EDGE]
    assert {host.image for host in up if host.site == EDGE} == {image}
    assert {each.role: each.limits for each in now.parts} == {"bus": TIGHT, "gateway": Limits()}
