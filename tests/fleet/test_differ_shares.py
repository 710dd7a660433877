"""What a fleet lacks whose groups are cut into shares, each with two hosts that take turns."""

from itertools import product

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests.fleet.test_differ import CLOUD, EDGE, NEW, OLD, carried_out, kinds

from metertwin.core.ids import GroupId, LotId, SiteId
from metertwin.fleet.control.desired import DesiredFleet, DesiredGroup, DesiredHost
from metertwin.fleet.control.differ import steps_to
from metertwin.fleet.control.seen import SeenCut, SeenFleet, SeenGroup, SeenHost
from metertwin.fleet.control.steps import End, Move, Recut, RollOut, Start
from metertwin.fleet.hosts import Berth, site_of
from metertwin.fleet.runtimes.port import Phase
from metertwin.fleet.runtimes.spec import Limits

GROUP = GroupId("g")
ONE, TWO = LotId("g/1"), LotId("g/2")
BERTHS = (
    Berth(CLOUD),
    Berth(EDGE),
    *(Berth(site, share) for share, site in product((ONE, TWO), (CLOUD, EDGE))),
)
AT_HOME = {ONE: "edge1-twin-host_g_1", TWO: "edge1-twin-host_g_2"}


def fleet(image: str = OLD, *, one: SiteId = EDGE, two: SiteId = EDGE) -> DesiredFleet:
    hosts = {CLOUD: DesiredHost(OLD, Limits()), EDGE: DesiredHost(image, Limits())}
    return DesiredFleet(hosts, {ONE: DesiredGroup(one), TWO: DesiredGroup(two)})


def seen(
    owners: dict[LotId, str], images: dict[str, str], phase: Phase = Phase.RUNNING
) -> SeenFleet:
    """What is seen where hosts run from these images, or are in this phase, and no others are."""
    images = {"cloud-twin-host": OLD, **images}
    hosts = {
        host: SeenHost(
            *(host, berth.site, phase if host in images else Phase.ABSENT, images.get(host, "")),
            share=berth.share,
        )
        for berth in BERTHS
        for host in berth.hosts
    }
    groups = {
        lot: SeenGroup(lot, EDGE, host, site_of(host, (CLOUD, EDGE)), apps=())
        for lot, host in owners.items()
    }
    return SeenFleet(hosts, groups)


def from_image(image: str, *hosts: str) -> dict[str, str]:
    return dict.fromkeys(hosts, image)


def test_shares_each_in_their_own_host_lack_nothing() -> None:
    assert steps_to(fleet(), seen(AT_HOME, from_image(OLD, *AT_HOME.values()))) == ()


def test_all_shares_of_a_site_are_rolled_out_together() -> None:
    now = seen(AT_HOME, from_image(OLD, *AT_HOME.values()))
    (step,) = steps_to(fleet(NEW), now)
    assert isinstance(step, RollOut)
    assert (step.groups, step.image) == ((ONE, TWO), NEW)
    assert step.why == "it runs from metertwin:1"


def test_a_share_that_shall_go_gets_a_host_there_first_and_its_old_one_is_ended() -> None:
    now = seen(AT_HOME, from_image(OLD, *AT_HOME.values()))
    start, move = steps_to(fleet(two=CLOUD), now)
    assert isinstance(start, Start)
    assert (start.host, move) == (
        "cloud-twin-host_g_2",
        Move(TWO, "edge1-twin-host_g_2", CLOUD, None, "it is wanted at cloud"),
    )
    moved = carried_out(move, carried_out(start, now))
    assert moved.groups[TWO].host == "cloud-twin-host_g_2"
    (end,) = steps_to(fleet(two=CLOUD), moved)
    assert isinstance(end, End)
    assert end.host == "edge1-twin-host_g_2"


def test_a_host_for_groups_that_lie_whole_is_not_needed_where_all_are_cut() -> None:
    images = from_image(OLD, *AT_HOME.values(), "edge1-twin-host")
    (end,) = steps_to(fleet(), seen(AT_HOME, images))
    assert (type(end), getattr(end, "host", "")) == (End, "edge1-twin-host")
    # The cloud's stands in for its edges.
    gone = seen(AT_HOME, from_image(OLD, *AT_HOME.values()))
    cloud = msgspec.structs.replace(gone.hosts["cloud-twin-host"], phase=Phase.EXITED)
    gone = msgspec.structs.replace(gone, hosts={**gone.hosts, "cloud-twin-host": cloud})
    assert kinds(steps_to(fleet(), gone)) == [Start]


def test_a_share_whose_owner_is_not_known_is_left_alone() -> None:
    now = seen(AT_HOME, from_image(OLD, *AT_HOME.values(), "edge1-twin-host-2_g_2"))
    lost = SeenGroup(TWO, EDGE, trouble="The bus did not answer.")
    now = msgspec.structs.replace(now, groups={**now.groups, TWO: lost})
    (step,) = steps_to(fleet(NEW), now)
    assert isinstance(step, RollOut)
    assert step.groups == (ONE,)


def of_share(share: LotId) -> st.SearchStrategy[str]:
    return st.sampled_from(
        [host for berth in BERTHS if berth.share == share for host in berth.hosts]
    )


@given(
    st.tuples(of_share(ONE), of_share(TWO)),
    st.dictionaries(
        st.sampled_from([host for berth in BERTHS for host in berth.hosts]),
        st.sampled_from([OLD, NEW]),
    ),
    st.sampled_from([Phase.RUNNING, Phase.EXITED]),
    st.tuples(st.sampled_from([CLOUD, EDGE]), st.sampled_from([CLOUD, EDGE])),
    st.sampled_from([OLD, NEW, "metertwin:3"]),
)
def test_from_any_state_the_first_steps_lead_to_what_is_wanted(
    owners: tuple[str, str],
    images: dict[str, str],
    phase: Phase,
    at: tuple[SiteId, SiteId],
    image: str,
) -> None:
    now = seen(dict(zip((ONE, TWO), owners, strict=True)), images, phase)
    desired = fleet(image, one=at[0], two=at[1])
    for _ in range(30):
        steps = steps_to(desired, now)
        if not steps:
            break
        now = carried_out(steps[0], now)
    else:
        raise AssertionError(steps)
    assert {lot: group.site for lot, group in now.groups.items()} == {ONE: at[0], TWO: at[1]}
    up = {host.host for host in now.hosts.values() if host.is_up}
    owning = {group.host for group in now.groups.values()}
    assert owning <= up
    assert len(up & set(Berth(CLOUD).hosts)) == len(up - owning) == 1  # it stands in for the edge
    assert all(now.hosts[host].image == image for host in up if host.startswith("edge1"))


def test_a_group_that_is_wanted_otherwise_is_cut_after_it_was_moved() -> None:
    now = seen(AT_HOME, from_image(OLD, *AT_HOME.values()))
    now = msgspec.structs.replace(now, cuts={GROUP: SeenCut(2, 2)})
    assert steps_to(fleet(), now) == ()
    wanted = msgspec.structs.replace(fleet(one=CLOUD), sizes={GROUP: 0})
    *_, move, cut = steps_to(wanted, now)
    assert isinstance(move, Move)
    assert cut == Recut(GROUP, 2, 0)
    assert cut.sentence == (
        "cut g into one container with all twins: now it has containers of 2 twins"
    )


def test_hosts_of_shares_there_are_not_are_ended_unless_the_group_is_about_to_be_cut() -> None:
    share = LotId("g/3")
    stray = SeenHost("edge1-twin-host_g_3", EDGE, Phase.RUNNING, OLD, share=share)
    gone = SeenHost("edge1-twin-host_g_4", EDGE, Phase.EXITED, OLD, share=LotId("g/4"))
    now = seen(AT_HOME, from_image(OLD, *AT_HOME.values()))
    now = msgspec.structs.replace(now, cuts={GROUP: SeenCut(2, 2)}, strays=(stray, gone))
    assert steps_to(fleet(), now) == (End(EDGE, stray.host, "there is no share g/3"),)
    assert kinds(steps_to(msgspec.structs.replace(fleet(), sizes={GROUP: 1}), now)) == [Recut]


def test_what_was_decided_is_finished_before_anything_else() -> None:
    now = seen(AT_HOME, {})
    now = msgspec.structs.replace(now, cuts={GROUP: SeenCut(1, 2)})
    (step,) = steps_to(fleet(one=CLOUD), now)
    assert step == Recut(GROUP, 2, 1, is_decided=True)
    assert step.sentence == (
        "finish cutting g into containers of 1 twin: its sites' settings and containers are those "
        "of containers of 2 twins"
    )
