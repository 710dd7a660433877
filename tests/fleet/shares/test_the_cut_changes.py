"""A group of processes is cut otherwise by a fleet file, also when the controller is killed."""

import itertools

import pytest
from tests.fleet.control.conftest import TERM_S, Fleet
from tests.fleet.shares.test_shares_of_a_site import STANDS_IN, ask, parts, until_balanced

from metertwin.core.ids import GroupId
from metertwin.fleet.control.seen import look

pytestmark = pytest.mark.fault

SIZES = itertools.cycle(["3", "all", "1", "2"])
LOTS = {
    "all": {"feeder-1"},
    "1": {f"feeder-1/{share}" for share in (1, 2, 3, 4, 5)},
    "2": {f"feeder-1/{share}" for share in (1, 2, 3)},
    "3": {f"feeder-1/{share}" for share in (1, 2)},
}


async def cut_now(fleet: Fleet) -> int:
    async with fleet.reach() as reach:
        return (await look(reach)).cuts[GroupId("feeder-1")].size


async def check_cut(fleet: Fleet, size: str, site: str = "edge1") -> None:
    """Check that each lot has a host of its own, no other runs, and nothing was lost or doubled."""
    hosts = await fleet.hosts()
    assert hosts.keys() == LOTS[size]
    assert len(set(hosts.values())) == len(hosts)
    assert all(host is not None and host.startswith(f"{site}-") for host in hosts.values())
    waiting = {"edge1-twin-host"} if size == "all" else set()  # for the group to come home
    assert await parts(fleet) == {STANDS_IN, *hosts.values(), *waiting}
    twins = await ask(fleet, "twins")
    assert twins["total"] == 5
    before = await until_balanced(fleet)
    after = await until_balanced(fleet, above_count=before["received"])
    assert after["duplicate"] == 0
    homes = [item["meter"] for item in twins["items"] if not item["meter"].startswith("t")]
    for meter in homes:  # the transformer's meter is nobody's to pay for
        assert await ask(fleet, "request", meter, "bill_so_far")


async def test_a_fleet_file_cuts_a_group_otherwise(fleet: Fleet) -> None:
    size = next(SIZES)
    file = fleet.file(f"groups: {{feeder-1: {{twins_per_container: {size}}}}}")
    code, out, said = await fleet.run("diff", "-f", str(file))
    assert f"cut feeder-1 into containers of {size} twins: now it has containers of 2" in out + said
    code, _, said = await fleet.run("apply", "-f", str(file))
    assert code == 0, said
    await check_cut(fleet, size)
    code, _, said = await fleet.run("apply", "-f", str(file))  # done already
    assert code == 0, said
    await check_cut(fleet, size)


@pytest.mark.parametrize("words", ["composing", "is decided"])
async def test_a_controller_killed_in_the_middle_is_gone_on_with(fleet: Fleet, words: str) -> None:
    size = next(SIZES)
    file = fleet.file(f"groups: {{feeder-1: {{twins_per_container: {size}}}}}")
    program = await fleet.start("-f", str(file))
    await program.until_said(words)
    await program.kill()
    code, out, said = await fleet.run("apply", "--term", str(TERM_S))
    assert code == 0, out + said
    assert (await fleet.standing()).is_reached
    await check_cut(fleet, size)


async def test_what_was_begun_and_is_not_wanted_any_more_leaves_nothing_behind(
    fleet: Fleet,
) -> None:
    size = str((await cut_now(fleet)) or "all")
    file = fleet.file("groups: {feeder-1: {twins_per_container: %s}}" % ("1" if size != "1" else 2))
    program = await fleet.start("-f", str(file))
    await program.until_said("settling")
    await program.kill()
    file = fleet.file(f"groups: {{feeder-1: {{twins_per_container: {size}}}}}")
    code, out, said = await fleet.run("apply", "-f", str(file), "--term", str(TERM_S))
    assert code == 0, out + said
    await check_cut(fleet, size)


async def test_where_it_runs_it_is_cut_and_moves_on_as_it_is(fleet: Fleet) -> None:
    for at, size in (("cloud", "2"), ("cloud", "all"), ("edge1", "2")):
        file = fleet.file(f"groups: {{feeder-1: {{at: {at}, twins_per_container: {size}}}}}")
        code, _, said = await fleet.run("apply", "-f", str(file))
        assert code == 0, said
        await check_cut(fleet, size, at)
