"""A controller killed at any point, and two at once: the fleet ends as it is wanted."""

import itertools
import signal
import time

import pytest
from tests.fleet.control.conftest import TERM_S, Fleet

pytestmark = pytest.mark.fault

F1, F2 = "feeder-1", "feeder-2"
IMAGES = itertools.cycle(["metertwin:next", "metertwin:0.1.0"])
# What a controller says just before it does it, of a move to the cloud and of a rollout.
OF_A_MOVE = [
    "gets ready for feeder-1",
    "holds feeder-1",
    "serves feeder-1",
]
# Those that leave something else behind than the one before; each costs two rollouts.
OF_A_ROLLOUT = [
    "starting edge1-twin-host",
    "serves feeder-1",
    "holds feeder-2",
    "ending edge1-twin-host",
]


async def killed_at(fleet: Fleet, file: str, words: str) -> None:
    """Apply a file and kill the controller as soon as it says some words."""
    program = await fleet.start("-f", file)
    await program.until_said(words)
    await program.kill()


async def check_reached(fleet: Fleet, at: dict[str, str], image: str) -> None:
    """Start a controller again; it ends with what is wanted, one owner per group, one host each."""
    code, out, said = await fleet.run("apply", "--term", str(TERM_S))
    assert code == 0, out + said
    standing = await fleet.standing()
    assert standing.is_reached
    assert {group.group: group.site for group in standing.groups} == at
    assert {group.image for group in standing.groups if group.site == "edge1"} <= {image}
    owned = await fleet.owned()
    assert sorted(group for each in owned.values() for group in each) == [F1, F2]
    assert len(owned) == 2
    await fleet.until_nobody_waits()


@pytest.mark.parametrize("words", OF_A_MOVE)
async def test_a_controller_killed_in_a_move_is_gone_on_with(fleet: Fleet, words: str) -> None:
    before = (await fleet.standing()).groups[0]
    there = "edge1" if before.site == "cloud" else "cloud"
    file = fleet.file(f"groups: {{feeder-1: {{at: {there}}}}}")
    await killed_at(fleet, str(file), words)
    await check_reached(fleet, {F1: there, F2: "edge1"}, "metertwin:0.1.0")


async def test_groups_go_home_before_images_are_tried(fleet: Fleet) -> None:
    code, _, said = await fleet.run("apply", "-f", str(fleet.file()), "--term", str(TERM_S))
    assert code == 0, said
    standing = await fleet.standing()
    assert {group.group: group.site for group in standing.groups} == {F1: "edge1", F2: "edge1"}
    assert standing.is_reached


@pytest.mark.parametrize("words", OF_A_ROLLOUT)
async def test_a_controller_killed_in_a_rollout_is_gone_on_with(fleet: Fleet, words: str) -> None:
    image = next(IMAGES)
    file = fleet.file(f"sites: {{edge1: {{image: '{image}'}}}}")
    await killed_at(fleet, str(file), words)
    await check_reached(fleet, {F1: "edge1", F2: "edge1"}, image)


async def test_a_rollout_that_died_halfway_is_taken_back_when_it_is_wanted_no_more(
    fleet: Fleet,
) -> None:
    standing = await fleet.standing()
    old = standing.groups[0].image
    assert old is not None
    image = next(image for image in ("metertwin:next", "metertwin:0.1.0") if image != old)
    file = fleet.file(f"sites: {{edge1: {{image: '{image}'}}}}")
    await killed_at(fleet, str(file), "watching the canary")
    assert len(set((await fleet.hosts()).values())) == 2
    file = fleet.file(f"sites: {{edge1: {{image: '{old}'}}}}")
    code, _, said = await fleet.run("apply", "-f", str(file), "--term", str(TERM_S))
    assert code == 0, said
    await check_reached(fleet, {F1: "edge1", F2: "edge1"}, old)


async def test_of_two_controllers_one_acts_and_the_other_takes_over(fleet: Fleet) -> None:
    first = await fleet.start("--watch", "-f", str(fleet.file()))
    await first.until_said("all is as revision")
    second = await fleet.start("--watch")
    assert "leads; waiting" in await second.until_said("leads")
    await fleet.start("--once", "-f", str(fleet.file("groups: {feeder-1: {at: cloud}}")))
    await first.until_said("serves feeder-1")
    await fleet.until_reached()
    assert not [line for line in second.said if "feeder" in line]
    # The leader hangs: it lets go by its own clock, before the other takes over.
    first.process.send_signal(signal.SIGSTOP)
    stopped_s = time.monotonic()
    await second.until_said("all is as revision")
    assert time.monotonic() - stopped_s > TERM_S / 2
    first.process.send_signal(signal.SIGCONT)
    await first.until_said("leads; waiting")
    assert (await fleet.standing()).is_reached
